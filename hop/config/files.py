"""Config files: from FILE.py[:VARIANT] and overrides `--config.FIELD=VALUE` to a Config."""

import dataclasses
import difflib
import importlib.util
import inspect
import re
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from hop import config as config_lib
from hop import files
from hop.config import Config
from hop.errors import UserError, suggestion
from hop.problem import Problem, failing
from hop.share import share


def read(file: str, words: Sequence[str] = (), own: type[Problem] | None = None) -> Config:
    """The config that FILE.py[:VARIANT] gives, overridden by words as on the command line.

    Shipped files are found as configs/NAME.py from anywhere. With a class of problems of one's own,
    `config.problem` holds its options.

    Raises:
      UserError: no such file, one that fails, or overrides that do not fit it.
    """
    whole = files.path(file).is_file()  # a colon may be part of a name
    name, _, variant = (file, "", "") if whole else file.partition(":")
    path = find(name)
    try:
        get_config = runpy.run_path(str(path))["get_config"]
        if variant and not inspect.signature(get_config).parameters:
            raise UserError(f"{path.name} has no variants; leave out ':{variant}'")
        skin = get_config(variant) if variant else get_config()
    except UserError:
        raise
    except Exception as error:  # a config file is a program: it can fail in any way
        raise _unreadable(error) from error
    if not hasattr(skin, "to_dict"):
        raise UserError("get_config() of the config file returned no ConfigDict; return one")
    if own is not None:
        skin.problem = config_lib.defaults(own) | skin.problem.to_dict()
    return _overridden(skin, words)


def problem_class(name: str) -> type[Problem]:
    """The class of problems in FILE.py[:Class]; the file is run, and is a module of its name.

    Raises:
      UserError: no such file, one that fails, or not one such class in it.
    """
    whole = files.path(name).is_file()  # a colon may be part of a name
    file, _, wanted = (name, "", "") if whole else name.rpartition(":")
    path = files.path(file or name)
    if not path.is_file():
        raise UserError(f"no file {name}; name one with a class of hop.Problem, FILE.py[:Class]")
    module = _run_as_module(path)
    found = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Problem) and value.__module__ == path.stem
    }
    if not found:
        raise UserError(f"{name} must hold a class that derives from hop.Problem; it holds none")
    if wanted and wanted not in found:
        raise UserError(
            f"{path.name} holds no class {wanted!r} that derives from hop.Problem"
            + suggestion(wanted, sorted(found))
        )
    if not wanted and len(found) > 1:
        raise UserError(
            f"{name} must hold a class that derives from hop.Problem; it holds "
            f"{', '.join(found)}: name one, {path.name}:CLASS"
        )
    return found[wanted] if wanted else next(iter(found.values()))


def _run_as_module(path: Path) -> Any:
    """The module that a file is, imported under its own name and beside its neighbours."""
    known = sys.modules.get(path.stem)
    if known is not None:
        if Path(getattr(known, "__file__", None) or "").resolve() == path.resolve():
            return known
        raise UserError(f"{path.name} has the name of another module; rename the file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[path.stem]
        if isinstance(error, UserError):
            raise
        raise failing(str(path), error) from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def override(config: Config, words: Sequence[str]) -> Config:
    """A config with some of its fields changed, as by `read`."""
    from ml_collections import config_dict

    return _overridden(config_dict.ConfigDict(dataclasses.asdict(config)), words)


def _overridden(skin: Any, words: Sequence[str]) -> Config:
    try:
        _override(skin, words)
    except UserError:
        raise
    except Exception as error:  # absl and ml_collections raise many kinds
        raise _unreadable(error) from error
    return config_lib.parse(skin.to_dict())


def _unreadable(error: Exception) -> UserError:
    gist = str(error.args[0] if error.args else "") or type(error).__name__
    gist = gist.replace("\\n", " ").replace("\\'", "'").strip("'\"")  # quoted once more by some
    return UserError(f"the config cannot be read: {gist}")


def find(name: str) -> Path:
    """The file of this name; the shipped one, where the path itself is not there."""
    shipped = share("configs") / Path(name).name
    if files.path(name).is_file():
        return files.path(name)
    if str(Path(name).parent) not in (".", "configs") or not shipped.is_file():
        known = ", ".join(f"configs/{path.name}" for path in sorted(share("configs").glob("*.py")))
        raise UserError(f"no config file {name}; shipped ones are {known}")
    return shipped


def _override(skin: Any, words: Sequence[str]) -> None:
    from ml_collections import config_flags

    for word, after in zip(words, [*words[1:], ""], strict=False):
        flag, _, name = word.lstrip("-").partition("=")
        for kind in config_lib.KINDS:
            if flag == f"config.{kind}.name":  # first: other fields may be the new name's
                renamed = skin[kind].to_dict() | {"name": name or after}
                skin[kind] = config_lib.options_for(kind, renamed)
    # Of older versions, as in the commands that stages note.
    words = [word.replace("config.network.harmonics", "config.ansatz.harmonics") for word in words]
    for word in words:  # any input may be named there
        if re.match(r"--?config\.data\.samples(=|$)", word):
            raise UserError(
                "config.data.samples needs the input's name; write --config.data.samples.u0=NAME"
            )
        if found := re.match(r"--?config\.data\.samples\.(\w+)", word):
            skin.data.samples = {found[1]: "", **skin.data.samples.to_dict()}
    for word in words:
        if found := re.match(r"--?config\.([\w.]+)", word):
            _check_field(skin.to_dict(), found[1])
    values = flags.FlagValues()
    argv = ["hop", *words]
    config_flags.DEFINE_config_dict(
        "config", skin, flag_values=values, sys_argv=argv, lock_config=True
    )
    if rest := values(argv)[1:]:
        raise UserError(f"unexpected {rest[0]!r}; overrides are --config.FIELD=VALUE")


def _check_field(fields: Mapping[str, Any], name: str) -> None:
    """Refuses a field that a config has not; names those that are spelled much the same."""

    def flat(value: Any, at: str) -> list[str]:
        if not isinstance(value, Mapping):
            return [at]
        return [at, *(name for key in value for name in flat(value[key], f"{at}.{key}"))]

    known = [field.removeprefix(".") for field in flat(fields, "")[1:]]
    if name in known:
        return
    last = name.rpartition(".")[2]
    near = [field for field in known if field.rpartition(".")[2] == last]
    near += [*difflib.get_close_matches(name, known, n=3), *difflib.get_close_matches(last, known)]
    named = ", ".join(f"config.{field}" for field in dict.fromkeys(near))
    groups = ", ".join(f"config.{field}" for field in fields)
    remedy = f"near ones are {named}" if near else f"it has {groups} (docs/config.md lists all)"
    raise UserError(f"the config has no field config.{name}; {remedy}")
