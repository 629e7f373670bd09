"""Seconds of training until an operator is accurate, hop beside DeepXDE.

    python benchmarks/time_to_accuracy.py [--seeds=5] [--output=docs/results] [--only=1,2]

Equal widths, functions and points a step; mean L2RE, of operators on 100 test functions. hop trains
by the configs and flags that are named: operators in float32, a single function by
Levenberg–Marquardt in float64. DeepXDE takes Adam in float32, at 1e-3, its usual rate, unless said
otherwise, with zero coordinate shift where there are input functions, its quickest way; its error
is looked at every 100 steps. hop's learning rate is annealed to a budget of steps, so its budget is
raised by half until the goal is reached, and the last run counts. Seeds and contestants take turns.
Needs the environment of `make bench-rivals`.

Writes accuracy.md and accuracy.json into the folder of --output, or prints the page without one;
--only measures some of its sections again, by their numbers, and leaves the others.
"""

import argparse
import dataclasses
import json
import math
import shlex
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import report
from rivals import HERE, RIVALS, STEADY, TIME, spread

from hop import files, training
from hop.config import Config, build
from hop.config import files as config_files
from hop.console import Console
from hop.datasets import load

TESTED = 100
PATH, LONGER = (0.1, 0.05), (0.2, 0.1, 0.05)
FRONT = config_files.read("configs/allen_cahn_1d.py", []).path.eps[:16]  # to ε = 0.03
# For a few hundred steps, of which compilation is most: Adam and even points make it shorter.
SHORT = (
    "configs/burgers_steady.py:quickstart --config.train.sampler=grid --config.solver.warmup=20 "
    "--config.strategy.tangent=0."
)
MUON = f"{SHORT} --config.solver.learning_rate=0.02"
ADAM = f"{SHORT} --config.solver.optimizer=adam"
ALONE = f"{ADAM} --config.strategy.slow=0."  # no term beside the residual

Found = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Rival:
    """DeepXDE's path, its learning rate, and its steps at every ε but the last."""

    path: tuple[float, ...]
    rate: float = 1e-3
    steps: int = 1500


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is to be reached, and by whom.

    Attributes:
      title, about: of the page's section.
      error: the mean L2RE.
      limit: seconds that DeepXDE has, and after which hop's budget is not raised any more.
      seeds: at most.
      grid: points of the test along each axis.
      case: of the contestants, as in `rivals`.
      ours: name → config and flags, the path, and the first budget of steps a stage.
      theirs: name → how DeepXDE goes.
    """

    title: str
    about: str
    error: float
    limit: float
    seeds: int
    grid: tuple[int, ...]
    case: Found
    ours: dict[str, tuple[str, tuple[float, ...], int]]
    theirs: dict[str, Rival]


GOALS = [
    Goal(
        "Steady Burgers, ε = 0.05, to 1 %",
        "Dataset `paper`, s = 0; branch 128-100-100-100-100, trunk 1-100-100-100-100, tanh; 100 "
        "functions × 128 points a step. Directly, and by warm starts from ε = 0.1, or from 0.2 by "
        "0.1. Both minimise the residual alone, at points; hop also does so in its weak form (118 "
        "test functions), and in two rows with the slow mode of the config beside it. hop's "
        "settings were chosen by hand; DeepXDE's path is the best of those tried in the last "
        "section; with a look at the error every 100 steps it cannot end before 300.",
        error=0.01,
        limit=100.0,
        seeds=5,
        grid=(1001,),
        case=STEADY | {"functions": 100, "points": 128},
        ours={
            "hop, from ε = 0.1, weak form": (
                f"{ALONE} '--config.train.tests=(118,)' --config.solver.learning_rate=0.004",
                PATH,
                100,
            ),
            "hop, from ε = 0.2, at points": (
                f"{ALONE} --config.solver.learning_rate=0.003",
                LONGER,
                100,
            ),
            "hop, from ε = 0.1, slow mode": (
                f"{ADAM} --config.solver.learning_rate=0.004",
                PATH,
                45,
            ),
            "hop, directly, slow mode": (MUON, PATH[-1:], 68),
        },
        theirs={
            "DeepXDE, directly": Rival(PATH[-1:]),
            "DeepXDE, from ε = 0.2": Rival(LONGER, 3e-3, 100),
        },
    ),
    Goal(
        "Allen–Cahn on an interval, ε = 0.03, to 1 %",
        "One function, u = 2x − 1 + x(1 − x)·network, layers 1-30-30-30-1, tanh; 400 points. "
        f"Warm starts along the {len(FRONT)} ε of hop's path.",
        error=0.01,
        limit=100.0,
        seeds=2,
        grid=(1001,),
        case={"equation": "front", "width": 30, "points": 400},
        ours={"hop, along the path": ("configs/allen_cahn_1d.py", FRONT, 6)},
        theirs={"DeepXDE, directly": Rival(FRONT[-1:]), "DeepXDE, warm starts": Rival(FRONT)},
    ),
    Goal(
        "Burgers in time, ν = 0.01, to 2 %",
        "Dataset `periodic`; branch 101-128-128-128-128, trunk 9-128-128-128-128 on cos 2πmx, "
        "sin 2πmx, m ≤ 4, and t; 50 functions × 1,000 points a step. DeepXDE's has tanh and "
        "u = u₀ in the loss, 100 points of weight 100; hop's has swish and u = u₀ + t·network; "
        "hop's own network beside it has a nonlinear decoder.",
        error=0.02,
        limit=400.0,
        seeds=1,
        grid=(101, 26),
        case=TIME | {"functions": 50, "points": 1000, "periodic": True},
        ours={
            "hop, nonlinear decoder": ("configs/burgers_time.py:direct", (0.01,), 400),
            "hop, plain DeepONet": ("configs/burgers_time.py:plain", (0.01,), 400),
        },
        theirs={"DeepXDE, plain DeepONet": Rival((0.01,))},
    ),
]


SETTINGS = "Steady Burgers, ε = 0.05: settings of DeepXDE"
# So that hop is set beside the best of them, and not beside those that we happened to pick.
TRIED = [
    *(Rival(PATH[-1:], rate) for rate in (1e-3, 2e-3, 4e-3)),
    *(
        Rival(path, rate, 100)
        for path in (PATH, (0.15, 0.05), (0.2, 0.05), LONGER, (0.4, *LONGER))
        for rate in (2e-3, 3e-3, 4e-3)
    ),
    Rival(LONGER, 3e-3, 200),
]


class Clock(Console):
    """The command line's own reporter, with the steps and seconds of every window."""

    def __init__(self) -> None:
        super().__init__()
        self.windows: list[tuple[int, float]] = []
        self.began, self.steps = 0.0, 0

    @property
    def compilation(self) -> float:
        """How much longer the first window took than others of as many steps."""
        (steps, seconds), *others = self.windows
        return seconds - statistics.median(s for n, s in others if n == steps)

    def stage(self, index, lam):  # type: ignore[no-untyped-def]
        super().stage(index, lam)
        self.began = time.perf_counter()

    def window(self, record, remaining):  # type: ignore[no-untyped-def]
        super().window(record, remaining)
        now, steps = time.perf_counter(), record["total_steps"]
        self.windows.append((steps - self.steps, now - self.began))
        self.began, self.steps = now, steps


def config(command: str, path: tuple[float, ...], steps: int, seed: int) -> Config:
    file, *flags = shlex.split(command)
    words = [f"path.eps={path}".replace(" ", ""), f"train.steps={steps}", f"seed={seed}"]
    made = config_files.read(file, flags + [f"--config.{word}" for word in words])
    if made.train.dispatch > 1:
        dispatch = max(1, min(50, steps // 2))
        train = dataclasses.replace(made.train, validation=TESTED, dispatch=dispatch)
        made = dataclasses.replace(made, train=train)
    return made


def ours(goal: Goal, file: str, path: tuple[float, ...], steps: int, seed: int) -> Found:
    """The first budget of steps a stage, from `steps` on, that ends below the goal."""
    while True:
        jax.clear_caches()  # compiled anew, as in a process of its own
        with tempfile.TemporaryDirectory() as folder, Clock() as clock:
            stages = training.train(config(file, path, steps, seed), folder, clock)
        seconds, error = sum(s["seconds"] for s in stages), stages[-1]["l2re"]
        if error <= goal.error or seconds > goal.limit:
            return {
                "seconds": seconds - clock.compilation, "start": clock.compilation,
                "steps": stages[-1]["total_steps"], "l2re": error,
            }  # fmt: skip
        steps = math.ceil(1.5 * steps)


def theirs(goal: Goal, rival: Rival, seed: int, folder: Path) -> Found:
    case = goal.case | ({"table": str(folder / "train.npy")} if "functions" in goal.case else {})
    command = [
        str(RIVALS), "to_accuracy.py", json.dumps(case), f"--test={folder / 'test.npz'}",
        f"--path={','.join(map(str, rival.path))}", f"--rate={rival.rate}",
        f"--steps={rival.steps}", f"--goal={goal.error}", f"--limit={goal.limit}", f"--seed={seed}",
    ]  # fmt: skip
    out = subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def write_data(goal: Goal, folder: Path) -> None:
    """Functions to train on, and test functions with their solutions."""
    file, path, _ = next(iter(goal.ours.values()))
    experiment = build(config(file, path[-1:], 1, 0))
    problem, functions = experiment.problem, {}
    x, lam = problem.domain.grid(*goal.grid), experiment.path.places[0]
    known: dict[str, np.ndarray] = {}
    training.provide(experiment, Console())
    for name, law in problem.inputs.items():
        np.save(folder / "train.npy", load(law, "train", "", 1000)["values"].astype(np.float32))
        data = load(law, "test", "", TESTED)
        functions[name], known["values"] = law.field(data["coefficients"]), data["values"]
    known |= {"x": x, "u": problem.reference(functions, x, lam)}
    np.savez(folder / "test.npz", **{k: v.astype(np.float32) for k, v in known.items()})


def measure(goal: Goal, seeds: int) -> Found:
    runs: dict[str, list[Found]] = {}
    with tempfile.TemporaryDirectory() as name:
        write_data(goal, Path(name))
        for seed in range(min(seeds, goal.seeds)):
            for who, (file, path, steps) in goal.ours.items():
                runs.setdefault(who, []).append(ours(goal, file, path, steps, seed))
            for who, rival in goal.theirs.items():
                runs.setdefault(who, []).append(theirs(goal, rival, seed, Path(name)))
    return {"runs": runs}


def measure_tried(goal: Goal, seeds: int) -> Found:
    goal, runs = dataclasses.replace(goal, limit=30.0), []
    with tempfile.TemporaryDirectory() as name:
        write_data(goal, Path(name))
        for rival in TRIED:
            every = [theirs(goal, rival, seed, Path(name)) for seed in range(min(seeds, 3))]
            runs.append(dataclasses.asdict(rival) | {"runs": every})
    return {"goal": goal.error, "limit": goal.limit, "tried": runs}


def _words(path: Sequence[float]) -> str:
    return "ε = " + ", ".join(f"{eps:g}" for eps in path)


def section_tried(found: Found) -> list[str]:
    def row(tried: Found) -> list[str]:
        reached = [run["seconds"] for run in tried["runs"] if run["l2re"] <= found["goal"]]
        cell = spread(reached) if reached else f"not in {found['limit']:.0f} s"
        steps = f"{tried['steps']:,}" if len(tried["path"]) > 1 else "–"
        count = f"{len(reached)} of {len(tried['runs'])}"
        return [_words(tried["path"]), f"{tried['rate']:g}", steps, cell, count]

    head = [
        "path",
        "learning rate",
        "steps at every ε but the last",
        "seconds of training",
        "seeds",
    ]
    about = (
        f"As in the first section, DeepXDE alone, to {100 * found['goal']:g} % or for "
        f"{found['limit']:.0f} s: seconds of those seeds that get there, and how many do."
    )
    rows = [row(tried) for tried in found["tried"]]
    return [f"## {SETTINGS}", about, files.table(head, rows), report.caption(found)]


def section(goal: Goal, found: Found) -> list[str]:
    rows = []
    for who, every in found["runs"].items():
        reached = [run["seconds"] for run in every if run["l2re"] <= goal.error]
        cell = spread(reached) if reached else f"not in {goal.limit:.0f} s"
        if 0 < len(reached) < len(every):
            cell += f", {len(every) - len(reached)} of {len(every)} seeds not"
        steps = statistics.median(run["steps"] for run in every)
        error = statistics.median(run["l2re"] for run in every)
        start = statistics.median(run["start"] for run in every)
        done = [run["seconds"] + run["start"] for run in every if run["l2re"] <= goal.error]
        whole = spread(done) if done else "—"
        rows.append([who, cell, f"{start:.1f}", whole, f"{steps:,.0f}", f"{error:.1e}"])
    head = ["", "seconds of training", "and before it", "in all", "steps", "L2RE at the end"]
    flags = "\n".join(
        f"* {who}, {_words(path)}: `--config={file}`" for who, (file, path, _) in goal.ours.items()
    )
    return [f"## {goal.title}", goal.about, files.table(head, rows), flags, report.caption(found)]


def page(found: dict[str, Found]) -> str:
    parts = ["# Time to an accuracy", " ".join(__doc__.split("\n\n")[2].split())]
    for goal in GOALS:
        parts += section(goal, found[goal.title])
    parts += section_tried(found[SETTINGS])
    parts.append(
        "Medians (least–most) of the seeds. *Before it* is the compilation of the steps: for hop, "
        "how much longer its first window of steps took than others of as many; for DeepXDE, its "
        "first step. *In all* is both together. Neither counts what comes before the steps "
        "(imports, data, the first network), the scores, or the budgets that were too small. The "
        "same steps take up to a fifth longer in one section than in another."
    )
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    measures = {goal.title: partial(measure, goal, args.seeds) for goal in GOALS}
    measures[SETTINGS] = partial(measure_tried, GOALS[0], args.seeds)
    command = "python benchmarks/time_to_accuracy.py --output=docs/results"
    found = report.sections(args.output, "accuracy", measures, args.only, command)
    report.keep(args.output, "accuracy", page(found), found)


if __name__ == "__main__":
    main()
