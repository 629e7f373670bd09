"""The steady Burgers operator: accuracy over seeds, and what each ingredient is worth.

    python benchmarks/burgers_steady.py [--only=paper,odd,unit,ablation,solvers] [--workdir=W]

trains every run that the folder does not hold yet (about an hour in all on 2 CPU cores; it can be
interrupted and goes on), scores each on the test split, and writes docs/results/burgers_steady.md
and .json. Errors are relative L2 against a Newton solution that is shown to converge in
tests/test_problems.py.
"""

from typing import Any

import numpy as np
from harness import Rows, command, crossing, main, spread
from report import table

from hop.evaluation import Judge
from hop.operators import Operator

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
}  # fmt: skip
# Other solvers, precision and conditions. A step of them costs something else, so compare seconds.
FIXED = ["train.dispatch=10", "train.save_every=100", "train.patience=5"]
OTHERS = {
    "Muon, float32, exact conditions": [],
    "float64": ["train.precision=float64"],
    "soft boundary conditions": [
        "problem.conditions_by=loss", "strategy.condition=100.0", "strategy.slow=0.0",
    ],
    "exact, but no slow-mode term either": ["strategy.slow=0.0"],
    "L-BFGS": ["solver.name=lbfgs", "train.steps=600", *FIXED],
    "Gauss–Newton–CG": ["solver.name=gauss_newton_cg", "train.steps=60", *FIXED],
    "Gauss–Newton–CG, float64": [
        "solver.name=gauss_newton_cg", "train.steps=60", "train.precision=float64", *FIXED,
    ],
}  # fmt: skip
RUNS = {
    "paper": {f"paper-{seed}": (STEADY, [f"seed={seed}"]) for seed in SEEDS},
    "odd": {"odd-0": (STEADY, ["problem.symmetry=odd"])},
    "unit": {f"unit-{seed}": (UNIT, [f"seed={seed}"]) for seed in SEEDS},
    "ablation": {"the paper's path and loss": (f"{STEADY}:paper", ["train.steps=1500"])}
    | {name: (QUICK, change) for name, change in CHANGES.items()},
    "solvers": {name: (QUICK, change) for name, change in OTHERS.items()},
}
PAPER = {0.5: (1.50e-3, 1.75e-8), 0.1: (7.00e-4, 9.14e-8), 0.05: (2.52e-2, 1.2e-3)}


def figures(judge: Judge, operator: Operator) -> dict[str, float]:
    """The best constant predictor's error, and the mean squared error of the shock's place."""
    reference = judge.reference(operator.lam)
    points, weights = judge.quadrature(operator.eps)
    x, u = points[:, 0], operator(judge.values, points).astype(np.float64)
    size = np.sqrt(reference**2 @ weights)
    spread = np.sqrt((reference - reference.mean(axis=0)) ** 2 @ weights)
    gap = crossing(x, u) - crossing(x, reference)
    return {"constant": float(np.mean(spread / size)), "shock": float(np.nanmean(gap**2))}


def over_seeds(
    runs: dict[str, list[dict[str, Any]]], eps: float, s: float, key: str
) -> list[float]:
    return [
        row[key] for rows in runs.values() for row in rows if (row["eps"], row["s"]) == (eps, s)
    ]


def report(results: dict[str, dict[str, Rows]], made: dict[str, str]) -> list[str]:
    about = "`python benchmarks/burgers_steady.py` " + __doc__.split("\n\n")[-1].strip()
    parts = ["# The steady Burgers operator\n", about + "\n"]
    for group, title, note in (
        ("paper", "Dataset `paper`, s = 0", "The operator is constant in its input here: the "
         "paper's benchmark, not evidence of operator learning. Below ε of 0.04 the residual no "
         "longer tells the shock's place: the path carries it."),
        ("odd", "The same, odd about ½ by construction", "The steady state is odd, so the shock's "
         "place is known by symmetry, and what is left converges at every ε: what limits the "
         "table above is the slow mode alone, neither the network nor the points."),
    ):  # fmt: skip
        if not (runs := results.get(group)):
            continue
        minutes = np.median([sum(r["seconds"] for r in rows) for rows in runs.values()]) / 60
        rows = []
        for stage in next(iter(runs.values())):
            eps = stage["eps"]
            theirs = [f"{value:.1e}" for value in PAPER.get(eps, ())] or ["–", "–"]
            ours = [spread(over_seeds(runs, eps, 0.0, k)) for k in ("l2re", "l2re_worst", "shock")]
            rows.append([f"{eps:g}", theirs[0], *ours[:2], theirs[1], ours[2]])
        parts += [
            f"## {title}\n",
            f"{note} Seeds: {len(runs)}; median, the worst in brackets; {minutes:.1f} minutes of "
            "training each.\n",
            table(["ε", "paper, mean L2RE", "hop, mean L2RE", "hop, worst function",
                   "paper, shock MSE", "hop, shock MSE"], rows) + "\n",
            made[group] + "\n",
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
            made["unit"] + "\n",
        ]  # fmt: skip
    for group, title in (
        ("ablation", "What each ingredient is worth"),
        ("solvers", "Other solvers, float64, soft conditions"),
    ):
        runs, rows = results.get(group, {}), []
        for name, stages in runs.items():
            cells = []
            for eps in PAPER:
                found = [r for r in stages if r["eps"] == eps and r["s"] == 0]
                cells.append(f"{found[-1]['l2re']:.1e}" if found else "–")
            seconds = sum(r["seconds"] for r in stages)
            rows.append([name, *cells, f"{seconds:.0f} s", f"{sum(r['step'] for r in stages):,}"])
        if runs:
            parts += [
                f"## {title}\n",
                "One change each to the quickstart (dataset `paper`, s = 0), one seed: mean L2RE "
                "on the test split.\n",
                table(["", "ε = 0.5", "ε = 0.1", "ε = 0.05", "training", "steps"], rows) + "\n",
                made[group] + "\n",
                *(f"* {name}: `{command(*RUNS[group][name], 'W')}`" for name in runs),
                "",
            ]
    return parts


if __name__ == "__main__":
    main("burgers_steady", __doc__, RUNS, figures, report)
