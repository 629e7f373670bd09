"""Table 1: Allen–Cahn on an interval, by continuation and by its rivals."""

from typing import Any

from reproduce import Results, Run, Table, parts, published, runs, seeds

FRONT = "configs/allen_cahn_1d.py"
FIRST_ORDER = [
    "solver.name=first_order", "train.precision=float32", "train.sampler=stratified",
    "train.dispatch=50", "train.patience=10", "train.min_fall=0.02", "train.goal=0.0",
    "train.points=256",
]  # fmt: skip
LOSS = ["strategy.name=homotopy_loss", *FIRST_ORDER, "train.steps=2000"]
CLASSICAL = ["strategy.name=classical", *FIRST_ORDER]
PLACES = (0.1, 0.03, 0.01, 0.001)
# The places of Table 2 among them.
FEWER = "path.eps=(0.5,0.3,0.2,0.1,0.05,0.03,0.025,0.013,0.01,0.004,0.001)"
COARSE = "path.eps=(0.1,0.09,0.08,0.07,0.06,0.05,0.04,0.03,0.025,0.02,0.015,0.01)"
RUNS = (
    seeds("predictor–corrector", FRONT, [], ["train.steps=12", FEWER])
    | seeds("Euler, Strategy 1", f"{FRONT}:paper", [], [COARSE])
    | seeds(
        "homotopy loss, Strategy 2", FRONT, [*LOSS, "strategy.pin=0.0"], ["train.steps=50", FEWER]
    )
    | {
        "homotopy loss, pinned": Run(
            FRONT, [*LOSS, "strategy.pin=1e-4"], ["train.steps=50", FEWER]
        ),
        "predictor–corrector, no pin": Run(FRONT, ["strategy.pin=0.0"], ["train.steps=12", FEWER]),
    }
    | {
        f"classical, ε = {eps:g}": Run(
            FRONT, [*CLASSICAL, "train.steps=40000", f"path.eps=({eps},)"], ["train.steps=1000"]
        )
        for eps in PLACES[:3]
    }
)


def places(results: Results, _: Any) -> dict[str, str]:
    mine = results["runs"]
    return {
        "errors": parts.by_paper(published("table_1"), PLACES, mine, parts.loss_and_error),
        "worst": parts.worst_stages(mine),
        "made": parts.made(mine),
    }


TABLE = Table({"runs": RUNS}, places, draw=runs.picture_of("predictor–corrector"))
