"""The `hop` command.

Exit codes: 0 done; 1 a failed run or a damaged file; 2 a request that cannot be served as made;
75 ended by SIGTERM with a checkpoint saved, to be run again; 130 interrupted. Errors are one line,
`hop: error: …`; HOP_TRACEBACK=1 shows the traceback as well.
"""

import _thread
import contextlib
import functools
import gc
import importlib.metadata
import io
import json
import os
import shlex
import shutil
import sys
import textwrap
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from absl import flags

from hop import files, preemption
from hop.errors import PreemptedError, RunError, UserError

Flag = Callable[..., Any]  # defines a flag in `flag_values`

# What each command is for, and an example of it.
ABOUT = {
    "hop data build": (
        "Builds a dataset of random input functions.",
        "hop data build grf_burgers/paper",
    ),
    "hop data import": (
        "Takes in functions of your own, for hop train --config.data.samples.u0=NAME.",
        "hop data import u0.npy NAME",
    ),
    "hop check": (
        "A dry look at a PDE of your own: shapes, derivatives, boundary, reference.",
        "hop check --problem=FILE.py",
    ),
    "hop train": (
        "Trains, or resumes where the workdir stopped.",
        "hop train --config=configs/burgers_time.py --workdir=W",
    ),
    "hop evaluate": (
        "The error of every stage against a reference solution.",
        "hop evaluate --checkpoint=SOURCE",
    ),
    "hop infer": (
        "Solutions for many input functions.",
        "hop infer --checkpoint=SOURCE --input=u0.npy --output=u.npy",
    ),
    "hop refine": (
        "Trains another epsilon from the nearest stage of a source.",
        "hop refine SOURCE --eps=E --workdir=W",
    ),
    "hop publish": (
        "Keeps the networks of a workdir as a model to load by name.",
        "hop publish WORKDIR NAME",
    ),
    "hop export": (
        "A program that runs with jax alone; .onnx, one in ONNX; .safetensors, the weights.",
        "hop export --checkpoint=SOURCE --output=op.stablehlo",
    ),
    "hop info": (
        "What a source holds; without one, the pretrained models.",
        "hop info SOURCE",
    ),
}
_READS, _STAGE, _WRITES, _ELSE = "What it reads", "Which stage", "What it writes", "How"
_GROUPS = {
    _READS: "config checkpoint problem input at points sensors ends domain data_dir functions",
    _STAGE: "eps s stage",
    _WRITES: "workdir output plot json polish folder",
}
_KINDS = {"float": "=NUMBER", "int": "=N", "bool": "", "comma separated list of strings": "=A,B"}
# Objects between two looks for garbage: to trace a program makes many that are none, and with
# Python's 700 the looks take a tenth of a start.
_OBJECTS = 100_000
_FILES = {io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom}
_TWO_COLUMNS = 60  # from so many columns of the terminal on


def usage() -> str:
    """What `hop --help` prints, as wide as the terminal."""
    text = "hop learns solution operators of singularly perturbed PDEs along a homotopy, without "
    source = "SOURCE is a workdir or a pretrained model's name. 'hop COMMAND --help' lists the "
    lines = [*_wrapped(text + "labels."), ""]
    for about, example in ABOUT.values():
        lines += [*_wrapped(example, "  ", "    "), *_wrapped(about, "      "), ""]
    return "\n".join([*lines, *_wrapped(source + "flags of a command.")]) + "\n"


def help_of(command: str, found: flags.FlagValues) -> str:
    """What `COMMAND --help` prints: what it is for, an example, its flags in groups."""
    about, example = ABOUT.get(command, ("", ""))
    lines = _wrapped(about) + ["", *_wrapped(example, "  ", "    "), ""] * bool(example)
    left = [name for name in found if name not in ("help", "h")]
    named = {head: [n for n in words.split() if n in left] for head, words in _GROUPS.items()}
    named[_ELSE] = [name for name in left if name not in " ".join(_GROUPS.values()).split()]
    for head, names in named.items():
        lines += [head] * bool(names)
        for name in names:
            flag = found[name]
            said = flag.help
            if flag.default not in (None, "", False, []) and "default" not in said:
                default = flag.default
                shown = f"{default:g}" if isinstance(default, float) else str(default)
                said += f"; default: {','.join(default) if isinstance(default, list) else shown}"
            lines += _flag(f"  --{name}{_KINDS.get(flag.flag_type(), '=…')}", said)
        lines += [""] * bool(names)
    return "\n".join(lines).rstrip() + "\n"


def _columns() -> int:
    return max(40, min(shutil.get_terminal_size().columns, 100))


def _wrapped(text: str, first: str = "", later: str | None = None) -> list[str]:
    later = first if later is None else later
    return textwrap.wrap(
        text, _columns(), initial_indent=first, subsequent_indent=later,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip


def _flag(head: str, said: str) -> list[str]:
    """A flag beside what it says, or above it on a narrow terminal."""
    if _columns() < _TWO_COLUMNS:
        return [head, *_wrapped(said, " " * 6)]
    lines = _wrapped(said, " " * 24)
    if len(head) > 22:
        return [head, *lines]
    return [f"{head:<24}{lines[0].lstrip()}", *lines[1:]]


def entry() -> NoReturn:
    """`main` as a process."""
    if sys.argv[1:2] in (["train"], ["refine"]):
        preemption.end_at_once()
    process(main)


def process(command: Callable[[], int]) -> NoReturn:
    """A command as a process. Once JAX is there, one that fails or is interrupted ends at once.

    An orderly end would wait for the other processes of a job, and for programs that JAX's threads
    still compile: they outlive an interrupt, and crash when they find its devices gone.
    """
    sys.unraisablehook = interrupt_again
    for name, number in (("stdout", 1), ("stderr", 2)):
        setattr(sys, name, _lasting(getattr(sys, name), number))
    try:
        code = command()
    except SystemExit as end:  # after the help of a command
        if not isinstance(end.code, int):
            raise
        code = end.code
    _flush_files()
    gc.freeze()  # else Python searches all of JAX for garbage, three times
    sys.stdout.flush()
    if _Lasting.lost:
        said = f"not all that was printed could be written ({_Lasting.lost.strerror})"
        code = _fail(f"{said}; free some space, or send it elsewhere", code or 1, _Lasting.lost)
    if code not in (0, PreemptedError.code) and "jax" in sys.modules:
        os._exit(code)
    raise SystemExit(code)


def _flush_files() -> None:
    """Writes out what files of the user's own code still hold; a last collection would do so."""
    for thing in gc.get_objects():
        if type(thing) in _FILES:
            with contextlib.suppress(OSError, ValueError):  # it is closed, or its disk is full
                thing.flush()


def interrupt_again(dropped: Any) -> None:
    """Sends an interrupt again that came where Python drops exceptions: in JAX's part of a gc."""
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        threading.Timer(0.1, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(dropped)


class _Lasting(io.FileIO):
    """A standard stream that never fails: once it cannot be written to, what comes goes nowhere.

    Attributes:
      lost: why, unless it is that the reader left.
    """

    lost: ClassVar[OSError | None] = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                _Lasting.lost = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)


def _lasting(stream: Any, number: int) -> Any:
    """A standard stream that takes any text, in whatever encoding, as long as the process lasts."""
    if stream is None:  # closed by the caller
        return open(os.devnull, "w")
    raw = io.BufferedWriter(_Lasting(number, "wb", closefd=False))
    live = stream.line_buffering or number == 2
    return io.TextIOWrapper(raw, stream.encoding, "replace", line_buffering=live)


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("--help", "-h", "help", "-help"):
        print(usage(), end="")
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"hop {importlib.metadata.version('hop')}")
        return 0

    def command() -> int | None:
        if argv[0] not in COMMANDS:
            raise UserError(
                f"no command {argv[0]!r}; use one of {', '.join(COMMANDS)}, or see 'hop --help'"
            )
        return COMMANDS[argv[0]](argv[1:])

    return guarded(command)


def guarded(command: Callable[[], int | None]) -> int:
    """Runs a command; returns its exit code. Whatever it fails with is one line."""
    gc.set_threshold(_OBJECTS)
    try:
        settle()
        _quiet()
        return command() or 0
    except PreemptedError as error:
        print(
            f"hop: ended by SIGTERM {error}: a checkpoint is saved; run the same command to resume",
            file=sys.stderr,
        )
        return PreemptedError.code
    except (KeyboardInterrupt, Exception) as error:
        return _failed(error)


def _failed(error: BaseException) -> int:
    """One line for whatever came, no traceback, and no process of a job left waiting."""
    if _of_an_interrupt(error):
        print("hop: interrupted; run the same command to resume", file=sys.stderr)
        return 130
    if isinstance(error, UserError | flags.Error):
        return _fail(str(error), 2, error)
    if isinstance(error, RunError | OSError):
        return _fail(str(error), 1, error)
    if str(error).startswith(("Unable to initialize backend", "Unknown backend")):
        return _fail(_no_backend(), 2, error)
    kind = type(error).__name__
    return _fail(f"{kind}: {error} (unforeseen; HOP_TRACEBACK=1 shows where)", 1, error)


def _of_an_interrupt(error: BaseException | None) -> bool:
    """Whether an interrupt led to it: importing a compiled module turns one into an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _fail(message: str, code: int, error: BaseException) -> int:
    if os.environ.get("HOP_TRACEBACK") == "1":
        traceback.print_exception(error)
    print(f"hop: error: {' '.join(message.split())}", file=sys.stderr)
    return code


def settle() -> None:
    """What JAX takes from the environment, where the user has not set it.

    Compiled programs are kept from one command to the next, if there is a home folder to keep them
    in; and the CPU is at hand beside any accelerator, for datasets and references.
    """
    env = os.environ
    try:
        cache = files.path(env.get("XDG_CACHE_HOME") or "~/.cache")
        env.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache / "hop"))
    except UserError:
        pass
    env.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    platforms = env.get("JAX_PLATFORMS", "")
    if platforms and "cpu" not in platforms.split(","):
        env["JAX_PLATFORMS"] = f"{platforms},cpu"


def _check_backend() -> None:
    """Refuses to go on elsewhere than on the platform that the user names first.

    JAX itself passes over one that is not there, since another is named: the CPU, by `settle`.
    """
    import jax

    asked, here = os.environ.get("JAX_PLATFORMS", "").split(",")[0], jax.default_backend()
    if asked and asked != here and not (asked in ("cuda", "rocm") and here == "gpu"):
        raise UserError(_no_backend())


def _no_backend() -> str:
    asked = os.environ.get("JAX_PLATFORMS", "").removesuffix(",cpu")
    return (
        f"JAX has no backend for JAX_PLATFORMS={asked} here; unset it, or install hop[cuda] or "
        "hop[tpu]"
    )


def told_once() -> Callable[..., str]:
    """How a warning reads: one line, and the same one once."""
    said: set[str] = set()

    def line(message: Warning | str, *where: Any, **how: Any) -> str:
        text = f"hop: warning: {' '.join(str(message).split())}\n"
        again = text in said
        said.add(text)
        return "" if again else text

    return line


def _quiet() -> None:
    """Only `hop` speaks on the terminal, in lines, unless asked otherwise."""
    import asyncio

    from absl import logging

    warnings.formatwarning = told_once()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.set_verbosity(logging.FATAL)  # Orbax logs with a traceback what it then raises
    # When one read of a checkpoint fails, Orbax closes its event loop, and TensorStore's threads
    # print a traceback for every other read under way.
    soon = asyncio.BaseEventLoop.call_soon_threadsafe

    def soon_if_open(loop: Any, *args: Any, **kwargs: Any) -> Any:
        return None if loop.is_closed() else soon(loop, *args, **kwargs)

    asyncio.BaseEventLoop.call_soon_threadsafe = soon_if_open  # type: ignore


def text(name: str, about: str, default: str | None = "") -> Flag:
    return functools.partial(flags.DEFINE_string, name, default, about)


def number(name: str, about: str, default: float | None = None, **bounds: float) -> Flag:
    return functools.partial(flags.DEFINE_float, name, default, about, **bounds)


def whole(name: str, about: str, default: int | None = None, **bounds: int) -> Flag:
    return functools.partial(flags.DEFINE_integer, name, default, about, **bounds)


def listed(name: str, about: str, default: Sequence[str] = ()) -> Flag:
    return functools.partial(flags.DEFINE_list, name, list(default), about)


def switch(name: str, about: str) -> Flag:
    return functools.partial(flags.DEFINE_bool, name, False, about)


def parse(
    command: str,
    argv: list[str],
    *defined: Flag,
    positional: int = 0,
    required: Sequence[str] = (),
) -> tuple[dict[str, Any], list[str]]:
    """The values of a command's flags, and exactly `positional` words beside them."""
    found = flags.FlagValues()
    flags.DEFINE_bool("help", False, "show this help", short_name="h", flag_values=found)
    for define in defined:
        define(flag_values=found)
    if {"--help", "-h"} & set(argv):
        print(help_of(command, found), end="")
        raise SystemExit(0)
    words = found([command, *argv])[1:]
    if len(words) > positional:
        raise UserError(f"unexpected {words[positional]!r}; see '{command} --help'")
    if len(words) < positional:
        raise UserError(f"a name is missing: {ABOUT[command][1]}")
    values = found.flag_values_dict()
    for name in required:
        if not values[name]:
            raise UserError(f"{command} needs --{name}; see '{command} --help'")
    return values, words


_DATA_DIR = text("data_dir", "datasets' folder; default: TensorFlow Datasets' own")
_COUNT = "test functions; default: 1000, or fewer where there are very many points"
_TEST_DIR = text("data_dir", "datasets' folder; functions that are not there are drawn anew")
_SAFETY = (
    switch("fallback", "set damaged checkpoints aside and resume from the newest whole one"),
    number("watchdog", "seconds without progress after which a process prints its stacks and "
           "exits; 0 for never", 1800, lower_bound=0),
)  # fmt: skip
_PROBLEM = text("problem", "FILE.py[:CLASS]: a PDE of your own that the config does not name")
_SELECTION = (
    _PROBLEM,
    text("checkpoint", "a workdir or a pretrained model's name"),
    number("eps", "the stage with this epsilon; where epsilon is an input, any of its range"),
    number("s", "the stage with this s; 0 if only --eps is given"),
    whole("stage", "the stage of this number from 0; -1 is the last"),
)


def some(values: dict[str, Any], names: str) -> dict[str, Any]:
    """The values of the flags that are named, with spaces."""
    return {name: values[name] for name in names.split()}


def _data(argv: list[str]) -> None:
    if argv[:1] in (["--help"], ["-h"]):
        for name in ("hop data build", "hop data import"):
            about, example = ABOUT[name]
            print("\n".join([*_wrapped(example, "  ", "    "), *_wrapped(about, "      ")]))
        print("'hop data ACTION --help' lists the flags of each.")
    elif argv[:1] == ["build"]:
        _data_build(argv[1:])
    elif argv[:1] == ["import"]:
        _data_import(argv[1:])
    else:
        raise UserError("hop data takes an action, build or import; see 'hop data --help'")


def _data_build(argv: list[str]) -> None:
    values, (name,) = parse("hop data build", argv, _DATA_DIR, positional=1)
    from hop import datasets
    from hop.console import Console

    law = datasets.named(name)
    there = datasets.is_built(law, values["data_dir"])
    with Console() as console:
        path = datasets.build(law, values["data_dir"], console.building(name))
    print(f"{name} is {'already there' if there else 'built'}: {path}")


def _data_import(argv: list[str]) -> None:
    values, (file, name) = parse(
        "hop data import",
        argv,
        text("sensors", "x.npy: their places, (m,) or (m, d) on a tensor grid, the first "
             "coordinate running fastest; default: equally spaced, both ends included"),
        listed("ends", "at the ends of each axis, or of all: free, zero or periodic", ["free"]),
        listed("domain", "its lower and upper end along each axis, as 0,1; default: that of the "
               "sensors, or 0,1 without"),
        _DATA_DIR,
        positional=2,
    )  # fmt: skip
    from hop import datasets, examining
    from hop.domain import Box
    from hop.laws.samples import Samples, check_name

    check_name(name)
    try:
        sides = tuple(map(float, values["domain"]))
    except ValueError as error:
        raise UserError("--domain takes numbers with commas, as --domain=0,1") from error
    if len(sides) % 2:
        raise UserError("--domain takes two numbers for each axis, as --domain=0,1")
    ends = tuple(values["ends"])
    law = Samples(
        file,
        values["sensors"] or None,
        ends[0] if len(ends) == 1 else ends,
        domain=Box(sides[::2], sides[1::2]) if sides else None,
    )
    doubts = _said(examining.imported(law))
    path, there = datasets.keep(law, name, values["data_dir"])
    print(f"{_to_look_at(doubts)}{name} is {'already there' if there else 'imported'}: {path}")
    if doubts:
        print("it is kept all the same; to import other functions by this name, delete that file")


def _said(findings: Iterable[Any]) -> int:
    """Prints findings as they come; returns how many want a look."""
    doubts = 0
    for part, said, doubt in findings:
        doubts += doubt
        print(f"{'?' if doubt else ' '} {part:<12} {said}", flush=True)
    return doubts


def _to_look_at(doubts: int) -> str:
    return f"{doubts} {'line' if doubts == 1 else 'lines'} to look at\n" if doubts else ""


def _check(argv: list[str]) -> None:
    values, _ = parse(
        "hop check",
        argv,
        _PROBLEM,
        number("eps", "the epsilon of the place where it is looked at", 0.5, lower_bound=0.0),
        number("s", "its s", 0.0),
        required=("problem",),
    )
    from hop import examining
    from hop.config import files as config_files
    from hop.config import with_options
    from hop.problem import Lam

    problem = with_options(config_files.problem_class(values["problem"]), "problem", {})
    doubts = _said(examining.look(problem, Lam(values["s"], values["eps"])))
    print(_to_look_at(doubts) or "all is well\n", end="")


def _train(argv: list[str]) -> None:
    fields, rest = split(argv)
    values, _ = parse(
        "hop train",
        rest,
        text("config", "the experiment, FILE.py[:VARIANT]; --config.FIELD=VALUE overrides"),
        text("workdir", "where checkpoints go; training resumes from what is there"),
        _PROBLEM,
        text("data_dir", "datasets' folder, in place of config.data.data_dir"),
        *_SAFETY,
        required=("config", "workdir"),
    )
    from hop import training
    from hop.config import files as config_files
    from hop.config import with_data_dir

    own = config_files.problem_class(values["problem"]) if values["problem"] else None
    config = config_files.read(values["config"], fields, own)
    config = with_data_dir(config, values["data_dir"])
    given = [f"--problem={values['problem']}"] * bool(own)
    words = ["hop", "train", f"--config={values['config']}", *given, "--workdir=W", *fields]
    _run(training.train, config, values, shlex.join(words))


def _refine(argv: list[str]) -> None:
    fields, rest = split(argv)
    values, (source,) = parse(
        "hop refine",
        rest,
        number("eps", "the epsilon to train"),
        number("s", "its s; default: that of the nearest stage"),
        text("workdir", "where it goes, its start as stage 0; training resumes from what is there"),
        _PROBLEM,
        _DATA_DIR,
        *_SAFETY,
        positional=1,
        required=("eps", "workdir"),
    )
    from hop import refinement
    from hop.config import files as config_files
    from hop.config import with_data_dir

    config = refinement.config_for(source, values["eps"], values["s"])
    config = with_data_dir(config_files.override(config, fields), values["data_dir"])
    named = [f"--{k}={values[k]}" for k in ("eps", "s", "problem") if values[k] not in (None, "")]
    command = shlex.join(["hop", "refine", Path(source).name, *named, "--workdir=W", *fields])
    _run(functools.partial(refinement.refine, source), config, values, command)


def _problem(values: dict[str, Any], config: Any) -> Any:
    """The problem object of one's own that --problem names, with the config's options; or None."""
    if not values["problem"]:
        return None
    from hop.config import files as config_files
    from hop.config import with_options

    if "name" in config.problem:
        raise UserError(
            f"the config names the problem {config.problem['name']!r}; leave --problem out, or "
            "make the config without: hop.config.experiment(network=…)"
        )
    cls = config_files.problem_class(values["problem"])
    return with_options(cls, "problem", config.problem)


def _stored(values: dict[str, Any], source: str) -> Any:
    """The same for what a source holds."""
    if not values["problem"]:
        return None
    from hop.checkpoints import Store
    from hop.config import stored

    return _problem(values, stored(Store.find(source).config()))


def _run(train: Callable[..., Any], config: Any, values: dict[str, Any], command: str) -> None:
    """Training in this process of its job, and the picture of it."""
    import jax

    from hop import sharding
    from hop.console import Console

    sharding.start_processes()
    _check_backend()
    workdir, safety = values["workdir"], some(values, "fallback watchdog")
    problem = _problem(values, config)
    with Console(speaks=sharding.is_chief()) as console:
        try:
            train(config, workdir, console, command=command, problem=problem, **safety)
        except (jax.errors.JaxRuntimeError, ValueError) as error:
            if isinstance(error, ValueError) and "Gloo" not in str(error):
                raise  # but what JAX says of a peer that was lost while arrays were fetched
            what = str(error).splitlines()[0][:160]
            raise RunError(
                f"the devices' runtime failed ({what}). Where a process of the job was lost, or "
                "memory ran out, mend that; the same command resumes from the last checkpoint"
            ) from error
        if sharding.is_chief():
            from hop import plotting

            print(f"picture: {plotting.path(workdir, problem=problem)}")


def _evaluate(argv: list[str]) -> None:
    values, _ = parse(
        "hop evaluate",
        argv,
        *_SELECTION,
        switch("json", "print JSON"),
        whole("functions", _COUNT, lower_bound=1),
        _TEST_DIR,
        required=("checkpoint",),
    )
    from hop import evaluation
    from hop.console import Console, table

    _check_backend()
    options = some(values, "functions data_dir eps s stage")
    own = _stored(values, values["checkpoint"])
    with Console(file=sys.stderr) as console:  # standard output is for the table, or the JSON
        report = evaluation.evaluate(
            values["checkpoint"], problem=own, counting=console.counting, **options
        )
    if values["json"]:
        print(json.dumps(report, indent=2))
        return
    table(report)
    picture = files.path(values["checkpoint"]) / "plots" / "path.png"
    if picture.exists():
        print(f"picture: {picture}")


def _infer(argv: list[str]) -> None:
    values, _ = parse(
        "hop infer",
        argv,
        *_SELECTION,
        text("input", "u0.npy: (n, m) sensor values of n functions; .npz: of several inputs by "
             "name, numbers (n,); or grf_burgers/LAW:SPLIT"),
        text("output", "u.npy or u.zarr: solutions (n, q), of several unknowns (n, c, q), there "
             "once they are whole"),
        text("sensors", "places.npy: (m,), or (m, 2) in the plane, where the values are known if "
             "not at the operator's own sensors; .npz: of several inputs by name"),
        text("at", "x.npy: (q, d) query points; default: the operator's grid"),
        text("plot", "picture.png: some input functions and their solutions; in time also .gif"),
        whole("points", "query points, equally spaced along each axis", lower_bound=2),
        switch("polish", "write what Newton's method makes of the answers: the solutions of the "
               "discretised problem"),
        required=("checkpoint", "output"),
    )  # fmt: skip
    if values["at"] and values["points"]:
        raise UserError("--at and --points both name the query points; give one of them")
    from hop import inference, sharding
    from hop.console import Console

    sharding.start_processes()
    _check_backend()
    operator = _load(values)
    with Console(speaks=sharding.is_chief()) as console:
        request = some(values, "input output sensors at points plot polish")
        console.message(
            inference.infer(operator, progress=console.counting("functions", lines=True), **request)
        )


def _load(values: dict[str, Any]) -> Any:
    """The operator that a command's flags select."""
    from hop.operators import load

    own = _stored(values, values["checkpoint"])
    return load(values["checkpoint"], problem=own, **some(values, "eps s stage"))


def _export(argv: list[str]) -> None:
    output = text(
        "output",
        "NAME.stablehlo: a program for jax alone, of one epsilon, by default the lowest "
        "of the stage; NAME.onnx: one for any ONNX runtime, with epsilon as an argument where it "
        "is an input; NAME.safetensors: the weights",
    )
    required = ("checkpoint", "output")
    values, _ = parse("hop export", argv, *_SELECTION, output, required=required)
    from hop import exporting

    _check_backend()
    operator = _load(values)
    print("\n".join(map(str, exporting.export(operator, values["output"]))))
    if operator.span and values["output"].endswith(".onnx"):
        low, high = operator.span
        print(f"eps is an argument of the program, from {low:g} to {high:g}")


def _publish(argv: list[str]) -> None:
    values, (source, name) = parse(
        "hop publish",
        argv,
        listed("eps", "the stages with these epsilons; default: all"),
        whole("functions", _COUNT, lower_bound=1),
        text("folder", "where models are kept", "pretrained"),
        _PROBLEM,
        _TEST_DIR,
        positional=2,
    )
    try:
        eps = tuple(map(float, values["eps"]))
    except ValueError as error:
        raise UserError("--eps takes numbers with commas, as --eps=0.1,0.05") from error
    from hop import publishing
    from hop.console import Console
    from hop.share import share

    _check_backend()
    options = some(values, "folder functions data_dir")
    own = _stored(values, source)
    with Console() as console:
        made = publishing.publish(
            source, name, eps=eps, say=console.message, counting=console.counting,
            problem=own, **options,
        )  # fmt: skip
    print((made / "README.md").read_text(encoding="utf-8"))
    known = made == share("pretrained") / name
    print(f"published: {made}; load it with hop.load({name if known else str(made)!r})")


def _info(argv: list[str]) -> None:
    if not argv:
        from hop.checkpoints import pretrained_names

        names = pretrained_names()
        print("pretrained models: " + (", ".join(names) or "none are installed"))
        return
    values, (source,) = parse("hop info", argv, _PROBLEM, positional=1)
    from hop import evaluation
    from hop.console import describe

    describe(evaluation.info(source, problem=_stored(values, source)))


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """The words `--config.FIELD=VALUE`, and all others; a value apart goes with its flag."""
    fields: list[str] = []
    rest: list[str] = []
    into = rest
    for word in argv:
        if word.startswith("-") and word.lstrip("-")[:1].isalpha():  # not a negative number
            into = fields if word.lstrip("-").startswith("config.") else rest
        into.append(word)
    return fields, rest


# What each command does with the words after its name.
COMMANDS: dict[str, Callable[[list[str]], int | None]] = {
    "data": _data,
    "check": _check,
    "train": _train,
    "refine": _refine,
    "evaluate": _evaluate,
    "infer": _infer,
    "publish": _publish,
    "export": _export,
    "info": _info,
}
