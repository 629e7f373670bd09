"""Seconds of training until the steady Burgers operator is accurate, hop beside DeepXDE.

    python benchmarks/time_to_accuracy.py [--seeds=3] [--limit=100] [--output=docs/results]

Dataset `paper`, s = 0, ε = 0.05, mean L2RE of 0.01 on 100 test functions. Equal networks (branch
128-100-100-100-100, trunk 1-100-100-100-100, tanh), 100 functions × 128 points a step, float32.
DeepXDE takes Adam at 1e-3, its usual rate, with zero coordinate shift, its quickest way: directly,
and by warm starts along the ε of hop's path. Its error is looked at every 100 steps. hop's learning
rate is annealed to a budget of steps, so its budget is doubled until the goal is reached, and the
last run counts. Needs the environment of `make bench-rivals`. The seeds take turns.

Writes accuracy.md and accuracy.json into the folder of --output, or prints the page without one.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
import report
from rivals import HERE, RIVALS, STEADY, spread

from hop import config_files, files, training
from hop.config import build
from hop.datasets import load
from hop.fields import Field
from hop.progress import Console
from hop.provenance import made
from hop.tables.pages import provenance

EPS, GOAL, TESTED = 0.05, 0.01, 100
PATH, STAGE = (0.5, 0.2, 0.1, 0.07, EPS), 1500  # the places of the quickstart, and its steps
BUDGETS = tuple(25 * 2**k for k in range(9))
CONFIG = "configs/burgers_steady.py:quickstart"
OURS = {"hop, along the path": PATH, "hop, directly": (EPS,)}
THEIRS = {"DeepXDE, directly": (EPS,), "DeepXDE, warm starts": PATH}

Found = dict[str, Any]


def config(path: tuple[float, ...], steps: int, seed: int) -> Any:
    words = [f"path.eps={path}".replace(" ", ""), f"train.steps={steps}", f"seed={seed}"]
    words += [f"train.validation={TESTED}"]
    return config_files.read(CONFIG, [f"--config.{word}" for word in words])


def ours(path: tuple[float, ...], seed: int, limit: float) -> Found:
    """The first budget of steps a stage that ends below the goal."""
    for steps in BUDGETS:
        with tempfile.TemporaryDirectory() as folder, Console() as console:
            stages = training.train(config(path, steps, seed), folder, console)
        seconds, error = sum(s["seconds"] for s in stages), stages[-1]["l2re"]
        found = {"seconds": seconds, "steps": stages[-1]["total_steps"], "l2re": error}
        if error <= GOAL or seconds > limit:
            break
    return found


def theirs(path: tuple[float, ...], seed: int, limit: float, folder: Path) -> Found:
    case = STEADY | {"functions": 100, "points": 128, "table": str(folder / "train.npy")}
    command = [
        str(RIVALS), "to_accuracy.py", json.dumps(case), f"--test={folder / 'test.npz'}",
        f"--path={','.join(map(str, path))}", f"--steps={STAGE}", f"--goal={GOAL}",
        f"--limit={limit}", f"--seed={seed}",
    ]  # fmt: skip
    out = subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def write_data(folder: Path) -> None:
    """Functions to train on, and test functions with their solutions."""
    experiment = build(config((EPS,), 1, 0))
    training.provide(experiment, Console())
    law = experiment.problem.random_field
    np.save(folder / "train.npy", load(law, "train", "", 1000)["values"].astype(np.float32))
    data = load(law, "test", "", TESTED)
    x, lam = np.linspace(0, 1, 1001)[:, None], experiment.path.places[0]
    u = experiment.problem.reference(Field(data["coefficients"], law.basis), x, lam)
    values = data["values"].astype(np.float32)
    np.savez(folder / "test.npz", values=values, x=x.astype(np.float32), u=u)


def measure(seeds: int, limit: float) -> Found:
    runs: dict[str, list[Found]] = {}
    with tempfile.TemporaryDirectory() as name:
        write_data(Path(name))
        for seed in range(seeds):
            for who, path in OURS.items():
                jax.clear_caches()  # compiled anew, as in a process of its own
                runs.setdefault(who, []).append(ours(path, seed, limit))
            for who, path in THEIRS.items():
                runs.setdefault(who, []).append(theirs(path, seed, limit, Path(name)))
    cores = len(os.sched_getaffinity(0))
    return {"runs": runs, "limit": limit, "cores": cores, "load": os.getloadavg()[0]}


def page(found: Found, by: dict[str, str]) -> str:
    rows = []
    for who, runs in found["runs"].items():
        reached = [run["seconds"] for run in runs if run["l2re"] <= GOAL]
        cell = f"not in {found['limit']:.0f} s"
        if reached:
            cell = spread(reached)
        if len(reached) < len(runs):
            cell += f", {len(runs) - len(reached)} of {len(runs)} seeds" + " not" * bool(reached)
        rows.append(
            [
                who,
                cell,
                f"{statistics.median(run['steps'] for run in runs):,.0f}",
                f"{statistics.median(run['l2re'] for run in runs):.1e}",
            ]
        )
    head = ["", "seconds of training", "steps", "L2RE at the end"]
    about = " ".join(__doc__.split("\n\n")[2].split())
    return (
        "\n\n".join(
            [
                "# Time to an accuracy",
                about,
                files.table(head, rows),
                "Medians (least–most) of the seeds. Seconds of hop hold the compilation of its "
                f"program. {found['cores']} cores, load {found['load']:.1f} at the end. "
                f"{provenance(by['command'], by)}",
            ]
        )
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=100.0)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    found = measure(args.seeds, args.limit)
    by = made("python benchmarks/time_to_accuracy.py --output=docs/results")
    report.keep(args.output, "accuracy", page(found, by), found | by)


if __name__ == "__main__":
    main()
