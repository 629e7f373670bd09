"""The paper's tables and figures, and some more: a few files each in `tables`, found by its name.

TABLE.toml declares the runs that it needs; TABLE.py what fills its page from their results, and its
picture; TABLE.md is the page, with named places. `reproduce.making` trains what is missing and
writes the pages. Every figure on a page comes from a run, or is one of others, from published.toml.
"""

import dataclasses
import importlib
import pkgutil
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from hop.errors import UserError, suggestion

Results = Mapping[str, Mapping[str, Mapping[str, Any]]]  # group → run → what is known of it
Folders = Mapping[str, Path]  # run → its workdir, of those that have a finished stage

TABLES = Path(__file__).parent / "tables"
_PREFIX = "table_"  # of the modules of the paper's own tables; their ids are what follows it
_QUICK = ("train.validation=16",)  # a reference costs more than a short stage


@dataclasses.dataclass(frozen=True)
class Run:
    """A config and its changes, trained once, whichever tables show it.

    Attributes:
      config: FILE.py[:VARIANT].
      changes: overrides FIELD=VALUE.
      quick: further ones for a small budget; None leaves the run out of quick tables.
    """

    config: str
    changes: Sequence[str] = ()
    quick: Sequence[str] | None = ()

    def words(self, quick: bool) -> list[str]:
        """The overrides as the command line takes them, the last value of each field."""
        more = (*_QUICK, *(self.quick or ())) if quick else ()
        values = dict(change.split("=", 1) for change in (*self.changes, *more))
        return [f"--config.{field}={value}" for field, value in values.items()]

    def command(self, quick: bool, workdir: str = "W") -> str:
        return shlex.join(
            ["hop", "train", f"--config={self.config}", f"--workdir={workdir}", *self.words(quick)]
        )


def declared(page: str) -> dict[str, dict[str, Run]]:
    """The runs that tables/PAGE.toml declares: group → name → run.

    Their keys are those of `Run`, and two more. `seeds = true` makes three runs of one, the first
    of them in quick tables too. `eps = ["1/15", …]` makes one for each: "{eps}" is that text in
    its name, and its value in its changes. A change without "=" names some in changes.toml.

    Raises:
      UserError: a run has other keys, or names changes that are not there.
    """
    found: dict[str, dict[str, Run]] = {}
    for group, runs in _read(f"tables/{page}.toml").items():
        found[group] = {}
        for name, keys in runs.items():
            try:
                found[group] |= _runs(name, **keys)
            except (TypeError, KeyError) as error:
                raise UserError(f"tables/{page}.toml: {group}.{name}: {error}") from error
    return found


def _runs(
    name: str,
    config: str,
    changes: Sequence[str] = (),
    quick: Sequence[str] = (),
    eps: Sequence[str] = ("0",),
    seeds: bool = False,
) -> dict[str, Run]:
    """The runs that one entry makes, by their names."""
    found, named = {}, _read("changes.toml")

    def whole(words: Sequence[str]) -> list[str]:
        return [c for w in words for c in ([w] if "=" in w else whole(named[w]))]

    for place in eps:
        mine = [c.replace("{eps}", str(float(Fraction(place)))) for c in whole(changes)]
        title = name.replace("{eps}", place)
        if not seeds:
            found[title] = Run(config, mine, whole(quick))
        for k in range(3 * seeds):
            later = None if k else whole(quick)
            found[f"{title}, seed {k}"] = Run(config, [*mine, f"seed={k}"], later)
    return found


def _read(path: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).parent.joinpath(path).read_text(encoding="utf-8"))


@dataclasses.dataclass(frozen=True)
class Table:
    """What a page is made of.

    Attributes:
      runs: group → name → run. What is known of a run, in `Results`: "command"; "made", its
        command, machine and date; "stages", a row for each; "failed", why, if it did.
      places: (results, measured) → what fills the places of the page.
      measure: (workdirs, quick) → what else must be found from them, as plain JSON values.
      draw: (target, workdirs): its picture.
    """

    runs: Mapping[str, Mapping[str, Run]]
    places: Callable[[Results, Any], Mapping[str, str]]
    measure: Callable[[Folders, bool], Any] | None = None
    draw: Callable[[Path, Folders], None] | None = None


def names() -> list[str]:
    """The ids of all tables: the paper's numbers, then the others."""
    found = [m.name for m in pkgutil.iter_modules([str(TABLES)])]
    paper = sorted(name.removeprefix(_PREFIX) for name in found if name.startswith(_PREFIX))
    return paper + sorted(name for name in found if not name.startswith(_PREFIX))


def module_name(name: str) -> str:
    """The module of a table, which also names its page."""
    return f"{_PREFIX}{name}" if name[0].isdigit() else name


def find(name: str) -> Table:
    """The table of an id.

    Raises:
      UserError: there is none.
    """
    if name not in names():
        meant = name.lower().removeprefix("table").strip("_ ")
        raise UserError(f"no table {name!r}{suggestion(meant, names())}")
    return importlib.import_module(f"reproduce.tables.{module_name(name)}").TABLE


def published(page: str) -> dict[str, dict[Any, Any]]:
    """What others published that a page shows: row → place, as a number if it is one → figure."""
    return {
        row: {float(Fraction(k)) if k[0].isdigit() else k: v for k, v in figures.items()}
        for row, figures in _read("published.toml")[page].items()
        if row != "source"
    }
