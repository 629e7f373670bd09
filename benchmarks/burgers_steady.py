"""The steady Burgers operator: accuracy over seeds, and what each ingredient is worth.

    python benchmarks/burgers_steady.py [--only=paper,unit,ablation] [--workdir=runs/benchmarks]

trains every run that the folder does not hold yet (about an hour in all on 2 CPU cores; it can be
interrupted and goes on), scores each on the test split, and writes docs/results/burgers_steady.md
and .json. Errors are relative L2 against a Newton solution that is shown to converge in
tests/test_problems.py.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from report import provenance, table

from hop.checkpoints import Store
from hop.config import build, parse
from hop.evaluation import Judge
from hop.operators import open_stage

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (0, 1, 2)
STEADY, UNIT = "configs/burgers_steady.py", "configs/burgers_steady_unit.py"
# The ablation: one change each to the quickstart, at its budget of 1,500 steps a stage.
QUICK = f"{STEADY}:quickstart"
CHANGES = {
    "as shipped": [],
    "no slow-mode term": ["strategy.slow=0.0"],
    "direct, same total steps": ["path.eps=(0.05,)", "train.steps=7500", "strategy.slow=0.0"],
    "direct with slow-mode term": ["path.eps=(0.05,)", "train.steps=7500"],
    "no tangent term": ["strategy.tangent=0.0"],
    "tangent term alone": [
        "strategy.residual=0.0", "strategy.slow=0.0", "strategy.tangent=1.0",
        "strategy.tangent_share=inf",
    ],
    "Adam, 1e-3": ["solver.optimizer=adam", "solver.learning_rate=1e-3"],
    "soft boundary conditions": [
        "problem.conditions_by=loss", "strategy.condition=100.0", "strategy.slow=0.0",
    ],
    "float64": ["train.precision=float64"],
}  # fmt: skip
RUNS: dict[str, dict[str, tuple[str, list[str]]]] = {
    "paper": {f"paper-{seed}": (STEADY, [f"seed={seed}"]) for seed in SEEDS},
    "unit": {f"unit-{seed}": (UNIT, [f"seed={seed}"]) for seed in SEEDS},
    "ablation": {"the paper's path and loss": (f"{STEADY}:paper", ["train.steps=1500"])}
    | {name: (QUICK, change) for name, change in CHANGES.items()},
}
PAPER = {0.5: (1.50e-3, 1.75e-8), 0.1: (7.00e-4, 9.14e-8), 0.05: (2.52e-2, 1.2e-3)}


def command(config: str, changes: list[str], workdir: str) -> str:
    overrides = " ".join(f"--config.{change}" for change in changes)
    return f"hop train --config={config} --workdir={workdir} {overrides}".strip()


def run(
    name: str, config: str, changes: list[str], folder: Path, train: bool
) -> list[dict[str, Any]] | None:
    """A run's stages scored on the test split; trains it first unless it is there.

    Returns None where it is not there and not to be trained.
    """
    workdir = folder / name.replace(" ", "-").replace(",", "").replace("'", "")
    scored = workdir / "scores.json"
    if not scored.exists():
        if not train:
            return None
        words = command(config, changes, str(workdir)).split()[1:]
        done = subprocess.run([sys.executable, "-m", "hop", *words], cwd=ROOT)
        if done.returncode == 1:  # a failed stage is a result; a refused request is a mistake here
            print(f"{name}: the run failed; its finished stages are scored", file=sys.stderr)
        elif done.returncode:
            raise SystemExit(done.returncode)
        scored.write_text(json.dumps(scores(workdir), indent=2))
    return json.loads(scored.read_text())


def scores(workdir: Path) -> list[dict[str, Any]]:
    """Every stage's errors, shock places, and the best constant predictor's error."""
    store = Store.find(workdir)
    judge = Judge.of(build(parse(store.config())), "test")
    rows = []
    for info in store.stages():
        operator = open_stage(store, info)
        reference = judge.reference(operator.lam)
        points, weights = judge._quadrature(operator.eps)
        x, u = points[:, 0], operator(judge.values, points).astype(np.float64)
        size = np.sqrt(reference**2 @ weights)
        spread = np.sqrt((reference - reference.mean(axis=0)) ** 2 @ weights)
        gap = shock(x, u) - shock(x, reference)
        rows.append({
            **{key: info.record[key] for key in ("stage", "s", "eps", "seconds", "step")},
            **judge.scores(operator),
            "constant": float(np.mean(spread / size)),
            "shock": float(np.nanmean(gap**2)),
        })  # fmt: skip
    return rows


def shock(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The interpolated downward zero nearest ½ of each function, NaN where there is none."""
    places = np.full(len(u), np.nan)
    for i, row in enumerate(u):
        down = np.flatnonzero((row[:-1] > 0) & (row[1:] <= 0))
        if len(down):
            zeros = x[down] + (x[down + 1] - x[down]) * row[down] / (row[down] - row[down + 1])
            places[i] = zeros[np.argmin(np.abs(zeros - 0.5))]
    return places


def over_seeds(
    runs: dict[str, list[dict[str, Any]]], eps: float, s: float, key: str
) -> list[float]:
    return [
        row[key] for rows in runs.values() for row in rows if (row["eps"], row["s"]) == (eps, s)
    ]


def spread(values: list[float]) -> str:
    return f"{np.median(values):.1e} ({max(values):.1e})" if values else "–"


def report(results: dict[str, dict[str, list[dict[str, Any]]]], note: str) -> str:
    about = "`python benchmarks/burgers_steady.py` " + __doc__.split("\n\n")[-1].strip()
    parts = ["# The steady Burgers operator\n", f"{about} {note}".strip() + "\n"]
    if runs := results.get("paper"):
        minutes = np.median([sum(r["seconds"] for r in rows) for rows in runs.values()]) / 60
        rows = []
        for stage in next(iter(runs.values())):
            eps = stage["eps"]
            theirs = [f"{value:.1e}" for value in PAPER.get(eps, ())] or ["–", "–"]
            ours = [spread(over_seeds(runs, eps, 0.0, k)) for k in ("l2re", "l2re_worst", "shock")]
            rows.append([f"{eps:g}", theirs[0], *ours[:2], theirs[1], ours[2]])
        parts += [
            "## Dataset `paper`, s = 0\n",
            "The operator is constant in its input here: the paper's benchmark, not evidence of "
            f"operator learning. Median of {len(runs)} seeds, the worst seed in brackets; "
            f"{minutes:.1f} minutes of training each.\n",
            table(["ε", "paper, mean L2RE", "hop, mean L2RE", "hop, worst function",
                   "paper, shock MSE", "hop, shock MSE"], rows) + "\n",
            provenance(command(STEADY, ["seed=0"], "W")) + "\n",
        ]  # fmt: skip
    if runs := results.get("unit"):
        minutes = np.median([sum(r["seconds"] for r in rows) for rows in runs.values()]) / 60
        places = [(r["s"], r["eps"], r["constant"]) for r in next(iter(runs.values()))]
        rows = [
            [f"{s:g}", f"{eps:g}", f"{constant:.2f}", spread(over_seeds(runs, eps, s, "l2re")),
             spread(over_seeds(runs, eps, s, "l2re_worst")),
             spread(over_seeds(runs, eps, s, "shock"))]
            for s, eps, constant in places
        ]  # fmt: skip
        parts += [
            "## Dataset `unit`, ε(s) = max(s, 0.05)\n",
            "Here the solution depends on the input function. The best constant predictor is the "
            f"mean solution. Median of {len(runs)} seeds, the worst in brackets; {minutes:.1f} "
            "minutes of training each.\n",
            table(["s", "ε", "best constant, mean L2RE", "hop, mean L2RE", "hop, worst function",
                   "hop, shock MSE"], rows) + "\n",
            provenance(command(UNIT, ["seed=0"], "W")) + "\n",
        ]  # fmt: skip
    if runs := results.get("ablation"):
        rows = []
        for name, stages in runs.items():
            cells = []
            for eps in PAPER:
                found = [r for r in stages if r["eps"] == eps and r["s"] == 0]
                cells.append(f"{found[-1]['l2re']:.1e}" if found else "–")
            seconds = sum(r["seconds"] for r in stages)
            rows.append([name, *cells, f"{seconds:.0f} s", f"{sum(r['step'] for r in stages):,}"])
        parts += [
            "## What each ingredient is worth\n",
            "One change each to the quickstart (dataset `paper`, s = 0), one seed: mean L2RE on "
            "the test split.\n",
            table(["", "ε = 0.5", "ε = 0.1", "ε = 0.05", "training", "steps"], rows) + "\n",
            provenance("python benchmarks/burgers_steady.py --only=ablation") + "\n",
            *(f"* {name}: `{command(*RUNS['ablation'][name], 'W')}`" for name in runs),
            "",
        ]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(RUNS))
    parser.add_argument("--workdir", type=Path, default=ROOT / "runs" / "benchmarks")
    parser.add_argument("--report", action="store_true", help="train nothing, report what is there")
    parser.add_argument("--note", default="", help="a sentence on how the runs were made")
    args = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    for group in args.only.split(","):
        results[group] = {}
        for name, (config, changes) in RUNS[group].items():
            rows = run(name, config, changes, args.workdir, train=not args.report)
            if rows is not None:
                results[group][name] = rows
    out = ROOT / "docs" / "results"
    out.mkdir(parents=True, exist_ok=True)
    (out / "burgers_steady.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / "burgers_steady.md").write_text(report(results, args.note))
    print(f"written: {out / 'burgers_steady.md'}")


if __name__ == "__main__":
    main()
