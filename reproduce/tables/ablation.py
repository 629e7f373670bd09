"""What each ingredient of the steady Burgers operator is worth."""

from typing import Any

from hop.files import table
from reproduce import Results, Run, Table, parts
from reproduce.tables.table_5 import STEADY

PLACES = (0.5, 0.1, 0.05)
BASE = f"{STEADY}:quickstart"
SHORT, LONG = ["train.steps=50"], ["train.steps=250"]
# A step of the other solvers costs something else, so compare seconds.
FIXED = ["train.dispatch=10", "train.patience=5"]
CG = ["solver.name=gauss_newton_cg", "train.steps=60", *FIXED]
RUNS = {
    "ingredients": {
        "as shipped": Run(BASE, [], SHORT),
        "the paper's path and loss": Run(f"{STEADY}:paper", ["train.steps=1500"], SHORT),
        "no slow-mode term": Run(BASE, ["strategy.slow=0.0"], SHORT),
        "direct, same total steps": Run(
            BASE, ["path.eps=(0.05,)", "train.steps=7500", "strategy.slow=0.0"], LONG
        ),
        "direct with slow-mode term": Run(BASE, ["path.eps=(0.05,)", "train.steps=7500"], LONG),
        "no tangent term": Run(BASE, ["strategy.tangent=0.0"], SHORT),
        "tangent term alone": Run(
            BASE,
            ["strategy.residual=0.0", "strategy.slow=0.0", "strategy.tangent=1.0",
             "strategy.tangent_share=inf"],
            SHORT,
        ),
        "Adam, 1e-3": Run(BASE, ["solver.optimizer=adam", "solver.learning_rate=1e-3"], SHORT),
    },
    "solvers": {
        "Muon, float32, exact conditions": Run(BASE, [], SHORT),
        "float64": Run(BASE, ["train.precision=float64"], SHORT),
        "soft boundary conditions": Run(
            BASE,
            ["problem.conditions_by=loss", "strategy.condition=100.0", "strategy.slow=0.0"],
            SHORT,
        ),
        "exact, but no slow-mode term either": Run(BASE, ["strategy.slow=0.0"], SHORT),
        "L-BFGS": Run(BASE, ["solver.name=lbfgs", "train.steps=600", *FIXED], ["train.steps=20"]),
        "Gauss–Newton–CG": Run(BASE, CG, ["train.steps=2"]),
        "Gauss–Newton–CG, float64": Run(
            BASE, [*CG, "train.precision=float64"], ["train.steps=2"]
        ),
    },
}  # fmt: skip


def places(results: Results, _: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for group, runs in results.items():
        rows = [
            [
                name,
                *(parts.cell([run], eps) for eps in PLACES),
                f"{parts.seconds(run):.0f} s",
                f"{sum(row['step'] for row in run['stages']):,}",
            ]
            for name, run in runs.items()
        ]
        head = ["", *(f"ε = {eps:g}" for eps in PLACES), "training", "steps"]
        found |= {group: table(head, rows), f"{group}_made": parts.made(runs)}
    return found


TABLE = Table(RUNS, places)
