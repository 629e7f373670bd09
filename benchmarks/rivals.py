"""hop's training step beside that of other codes, alternating in one run.

    make bench-rivals, or: python benchmarks/rivals.py [--output=docs/results] [--rounds=5]
        [--only=4,7]

Equal networks, batches, points, precision (float32) and optimiser (Adam). Every contestant of
`benchmarks/rivals` is a process of its own; in each round they take their steps one after the
other, so that whatever else the machine does meets them alike. A ratio is the median over rounds
of the ratios within a round. Also what memory they take, and how soon hop has taken a step.

Writes speed.md and speed.json into the folder of --output, or prints the page without one; --only
measures some of its sections again, by their numbers, and leaves the others as they are there.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import report
import train_step

from hop import files

ROOT = Path(__file__).parents[1]
HERE = ROOT / "benchmarks" / "rivals"
RIVALS = ROOT / ".venv-rivals" / "bin" / "python"
sys.path.append(str(HERE))
from worker import CHANNELS, Case  # noqa: E402

HOP, ZCS, FORWARD = "hop", "DeepXDE, zero coordinate shift", "DeepXDE, forward mode"
ALIGNED, PLAIN, JINNS = "DeepXDE, aligned", "DeepXDE", "jinns"
NESTED = "JAX, nested `grad` under `vmap`"
CONTESTANTS: dict[str, list[str]] = {
    HOP: [sys.executable, "with_hop.py"],
    ZCS: [str(RIVALS), "with_deepxde.py", "--zcs"],
    FORWARD: [str(RIVALS), "with_deepxde.py", "--forward"],
    ALIGNED: [str(RIVALS), "with_deepxde.py"],
    PLAIN: [str(RIVALS), "with_deepxde.py"],
    JINNS: [str(RIVALS), "with_jinns.py"],
    NESTED: [sys.executable, "jaxpi_style.py"],
}
# equation → its name, and who takes part
EQUATIONS = {
    "time": ("Burgers in time", [HOP, ZCS, FORWARD, ALIGNED, NESTED]),
    "steady": ("steady Burgers", [HOP, ZCS, FORWARD]),
    "plane": ("Allen–Cahn in the plane", [HOP, PLAIN, JINNS, NESTED]),
    "helmholtz": ("Helmholtz, d = 20", [HOP, PLAIN, JINNS, NESTED]),
}
TIME = {"equation": "time", "width": 128, "sensors": 101}
STEADY = {"equation": "steady", "width": 100, "sensors": 128}
CASES = [
    TIME | {"functions": 50, "points": 1_000},
    TIME | {"functions": 100, "points": 2_500},
    TIME | {"functions": 400, "points": 10_000, "parts": 8},
    TIME | {"functions": 50, "points": 1_000, "nonlinear": True},
    STEADY | {"functions": 100, "points": 128},
    {"equation": "plane", "width": 64, "points": 10_000},
    {"equation": "helmholtz", "width": 64, "points": 1_000, "parts": 8},
    STEADY | {"functions": 10_000, "points": 128, "inference": True},
]
MEMORY = 16  # GiB that a contestant may take; 0 for all there is
PATIENCE = 150  # seconds that it may take to be ready, its first two steps included
ROUND = 1.0  # seconds of steps in a round, about
MOST = 50  # steps in a round
START = "Start-up of hop"

Found = dict[str, Any]


class FailedError(Exception):
    """A contestant cannot do a case; says why."""


class Contestant:
    """A process that takes training steps when it is told to."""

    def __init__(self, command: list[str], case: Found, folder: Path):
        program, script, *flags = command
        words = [program, script, json.dumps(case), f"--memory={MEMORY}", *flags]
        began = time.perf_counter()
        self.errors = folder / f"{script}{''.join(flags)}.txt"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                words, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                text=True,
            )  # fmt: skip
        self.answers = self._answers()
        with self._patience():
            ready = next((a for a in self.answers if a == "ready"), None)
        if ready is None:
            raise FailedError(self._why(time.perf_counter() - began))
        self.start = time.perf_counter() - began
        self.count = 1
        self.count = max(1, min(MOST, round(ROUND / self.seconds_a_step())))

    def seconds_a_step(self) -> float:
        print(self.count, file=self.process.stdin, flush=True)
        return float(next(self.answers)) / self.count

    def end(self) -> float:
        """Ends the process; the most memory that it took, in MiB."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        peak = float(next(self.answers))
        self.process.wait()
        return peak

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _answers(self) -> Iterator[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield line.strip()

    @contextmanager
    def _patience(self) -> Iterator[None]:
        alarm = threading.Timer(PATIENCE, self.process.kill)
        alarm.start()
        yield
        alarm.cancel()

    def _why(self, seconds: float) -> str:
        self.process.wait()
        said = self.errors.read_text()
        if seconds >= PATIENCE:
            return f"no two steps in {PATIENCE} s"
        if any(word in said for word in ("allocate memory", "ut of memory", "bad_alloc")):
            return f"more than {MEMORY} GiB" if MEMORY else "more memory than there is"
        raise SystemExit(said)


def race(case: Found, rounds: int) -> Found:
    """contestant → its milliseconds a step in every round, or why it took none."""
    found: Found = {}
    _, names = EQUATIONS[case["equation"]]
    names = [HOP, PLAIN] if case.get("inference") else names
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        if "functions" in case:
            case = case | {"table": str(folder / "values.npy")}
            program = train_step.program(1, 8, case["equation"])
            (given,) = train_step.resident(program.ansatz.problem).values()
            np.save(case["table"], np.asarray(given.values))
        running: dict[str, Contestant] = {}
        for name in names:
            try:
                running[name] = Contestant(CONTESTANTS[name], case, folder)
                stack.callback(running[name].kill)
            except FailedError as why:
                found[name] = {"failed": str(why)}
                print(f"{name}: {why}", flush=True)
        times: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(rounds):
            for name, contestant in running.items():
                times[name].append(1e3 * contestant.seconds_a_step())
        for name, contestant in running.items():
            found[name] = {
                "ms": times[name], "start_seconds": contestant.start, "memory_mib": contestant.end()
            }  # fmt: skip
            print(f"{name}: {statistics.median(times[name]):.1f} ms a step", flush=True)
    return {name: found[name] for name in names}


def start_up(repeats: int = 3) -> Found:
    """Seconds of whole processes, and of `hop train` until it has logged its first step."""

    def seconds(*words: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        return time.perf_counter() - began

    found = {
        "hop --help": [seconds("-m", "hop", "--help") for _ in range(repeats)],
        "import hop": [seconds("-c", "import hop") for _ in range(repeats)],
    }
    with tempfile.TemporaryDirectory() as folder:
        first_step(Path(folder) / "x", Path(folder))  # builds the dataset, if it is missing
        cold, warm = [], []
        for k in range(repeats):
            cache = Path(folder) / f"cache{k}"
            cold.append(first_step(cache, Path(folder)))
            warm.append(first_step(cache, Path(folder)))
    return found | {"first step, cold": cold, "first step, warm": warm}


def first_step(cache: Path, folder: Path) -> float:
    """Seconds until `hop train` has logged its first step, with compiled programs in `cache`."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        words = ["--config=configs/burgers_steady.py", f"--workdir={name}/w"]
        words += ["--config.train.dispatch=1"]
        env = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "hop", "train", *words],
            cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        log = Path(name) / "w" / "metrics.jsonl"
        while not (log.exists() and log.stat().st_size):
            if process.poll() is not None:
                raise SystemExit(f"hop train {' '.join(words)} ended before its first step")
            time.sleep(0.01)
        taken = time.perf_counter() - began
        process.kill()
        process.wait()
    return taken


def spread(values: list[float], form: str = ".1f") -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}}–{high:{form}})"


def dashes(widths: list[int]) -> str:
    return "-".join(map(str, widths))


def ratio(found: Found, name: str) -> float:
    """How many times as long a step takes as hop's: the median over the rounds."""
    pairs = zip(found[name]["ms"], found[HOP]["ms"], strict=True)
    return statistics.median(theirs / ours for theirs, ours in pairs)


def rows(found: Found) -> list[list[str]]:
    made = []
    for name, run in found.items():
        if "failed" in run:
            made.append([name, run["failed"], "–", "–", "–"])
            continue
        times = "1" if name == HOP else f"{ratio(found, name):.1f}"
        start, memory = f"{run['start_seconds']:.1f}", f"{run['memory_mib']:,.0f}"
        made.append([name, spread(run["ms"]), times, memory, start])
    return made


def title(case: Found) -> str:
    equation, _ = EQUATIONS[case["equation"]]
    net, size = Case(**case), f"{case['points']:,} points"
    size = f"{net.functions:,} functions × {size}" if net.functions else size
    kinds = {"nonlinear decoder": net.nonlinear, "inference": net.inference}
    return ", ".join([equation, *(kind for kind in kinds if kinds[kind]), size])


def about(case: Found) -> str:
    net = Case(**case)
    if not net.functions:
        how = f"Layers {dashes(net.perceptron)}."
    else:
        how = f"Branch {dashes(net.branch)}, trunk {dashes(net.trunk)}"
        if net.nonlinear:
            how += f" on x on the circle, decoder {dashes(net.decoder)} of {CHANNELS} features"
        how += "."
    if net.inference:
        how += " *A step* is u of all of them, NumPy arrays in and out, through `op` and `predict`."
    if net.parts > 1:
        how += (
            f" hop works the points of a step through in {net.parts} parts "
            f"(`config.train.accumulate={net.parts}`)."
        )
    return how


def page(found: dict[str, Found]) -> str:
    start = found[START]
    parts = [
        "# Speed, side by side",
        "Milliseconds a training step, median (least–most) of the rounds in which the contestants "
        "take turns; equal networks (tanh), batches, points, float32, "
        "Adam. *Times hop* is the median of the ratios within a round. Memory is the most that the "
        "process took, libraries included; *ready* is from its start to the end of its second "
        "step, without a cache of compiled programs.",
    ]
    head = ["", "ms a step", "times hop", "memory, MiB", "ready, s"]
    for case in CASES:
        section = found[title(case)]
        parts.append(f"## {title(case)}\n\n{about(case)}")
        parts.append(files.table(head, rows(section["contestants"])))
        by = f"{section['rounds']} rounds; {section['versions']}; {report.caption(section)}"
        parts.append(by)
    parts += [
        "## What they do",
        "In time: u_t + u u_x − ε u_xx = 0 and soft values on 40 points of the boundary, functions "
        "drawn at every step from 1,000; with the nonlinear decoder u = u₀ + t·network and the "
        "residual alone. The others: the residual alone, of the steady equation "
        "with u = x(1 − x) times the network, in the plane with u = (1 − x²)(1 − y²) times it, and "
        "of −ε² Δu − u/d = 0 without its boundary. hop and the JAX code draw fresh points at every "
        "step; DeepXDE keeps its own, which costs it nothing.",
        "* *DeepXDE, zero coordinate shift*: `deepxde.zcs`, on PyTorch, as its documentation has "
        "it ([Leng et al.](https://arxiv.org/abs/2311.00860)).\n"
        "* *DeepXDE, forward mode*: `PDEOperatorCartesianProd` after "
        '`dde.config.set_default_autodiff("forward")`.\n'
        "* *DeepXDE, aligned*: `PDEOperatorCartesianProd` as it is, function by function.\n"
        "* *DeepXDE*: `dde.data.PDE`, reverse mode.\n"
        "* *JAX, nested `grad` under `vmap`*: point by point, as "
        "[jaxpi](https://github.com/PredictiveIntelligenceLab/jaxpi) takes derivatives; written "
        "for this page (`benchmarks/rivals/jaxpi_style.py`).\n"
        "* *jinns*: `LossPDEStatio` with `laplacian_rev`; it has no DeepONet among its networks.",
        f"## {START}",
        files.table(
            ["", "seconds"],
            [
                ["`hop --help`", spread(start["hop --help"], ".2f")],
                ["`import hop`", spread(start["import hop"], ".2f")],
                ["`hop train` to its first step, nothing compiled before",
                 spread(start["first step, cold"], ".2f")],
                ["the same again, compiled programs from the cache",
                 spread(start["first step, warm"], ".2f")],
            ],
        ),
        report.caption(start),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def versions() -> str:
    show = "import deepxde, torch; from importlib.metadata import version; "
    show += "print(f'DeepXDE {version(\"deepxde\")}, PyTorch {torch.__version__}, '"
    show += "f'jinns {version(\"jinns\")}')"
    env = os.environ | {"DDE_BACKEND": "pytorch"}
    said = subprocess.run([RIVALS, "-c", show], env=env, capture_output=True, text=True, check=True)
    return f"{said.stdout.splitlines()[-1]}, jax {jax.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    if not RIVALS.exists():
        raise SystemExit("the rivals are not installed: make bench-rivals does it, and runs this")

    def measured(case: Found) -> Found:
        contestants = race(case, args.rounds)
        return {"contestants": contestants, "rounds": args.rounds, "versions": versions()}

    measures = {title(case): partial(measured, case) for case in CASES} | {START: start_up}
    found = report.sections(args.output, "speed", measures, args.only, "make bench-rivals")
    report.keep(args.output, "speed", page(found), found)


if __name__ == "__main__":
    main()
