"""Table 4: Helmholtz in 20 dimensions."""

from typing import Any

from reproduce import Results, Run, Table, parts, published, runs, seeds
from reproduce.tables.table_1 import CLASSICAL

WAVE = "configs/helmholtz_20d.py"
PLACES = (0.5, 0.05, 0.02)
PLAIN = [
    *CLASSICAL, "network.activation=tanh", "network.widths=(30,30,30)", "train.points=1000",
    "train.steps=4000",
]  # fmt: skip
FEWER = "path.eps=(1.0,0.5,0.26,0.14,0.08,0.05,0.033,0.02)"
RUNS = (
    seeds("tanh", f"{WAVE}:tanh", [], ["train.steps=6", FEWER])
    | seeds("sines", WAVE, [], ["train.steps=10"])
    | {"homotopy loss, Strategy 2": Run(f"{WAVE}:paper", [], ["train.steps=10"])}
    | {
        f"classical, ε = {eps:g}": Run(WAVE, [*PLAIN, f"path.eps=({eps},)"], ["train.steps=150"])
        for eps in PLACES
    }
)


def places(results: Results, _: Any) -> dict[str, str]:
    mine = results["runs"]
    return {
        "errors": parts.by_paper(published("table_4"), PLACES, mine),
        "worst": parts.worst_stages(mine),
        "made": parts.made(mine),
    }


TABLE = Table({"runs": RUNS}, places, draw=runs.picture_of("tanh"))
