"""Table 7: the fit of sin(πx/ε)."""

import functools
from typing import Any

from reproduce import Results, Run, Table, parts, published, runs, seeds
from reproduce.tables.table_1 import CLASSICAL

FIT = "configs/high_frequency.py"
PLACES = (1 / 15, 1 / 35, 1 / 50, 1 / 100, 1 / 200)
FEWER = f"path.eps={tuple(1 / n for n in (2, 6, 15, 25, 35, 50))}"
RUNS = (
    seeds("tanh", f"{FIT}:tanh", [], ["train.steps=10", "path.adaptive=False", FEWER])
    | seeds("sines", FIT, [], ["train.steps=5"])
    | {"homotopy loss, Strategy 2": Run(f"{FIT}:paper", [], ["train.steps=200"])}
    | {
        f"classical, ε = 1/{round(1 / eps)}": Run(
            f"{FIT}:tanh",
            [*CLASSICAL, "path.adaptive=False", "train.steps=40000", f"path.eps=({eps},)"],
            ["train.steps=1000"],
        )
        for eps in PLACES[:3]
    }
)


def places(results: Results, _: Any) -> dict[str, str]:
    mine, losses = results["runs"], functools.partial(parts.loss_and_error, worst_of="loss")
    return {
        "errors": parts.by_paper(published("table_7"), PLACES, mine, losses),
        "worst": parts.worst_stages(mine),
        "made": parts.made(mine),
    }


TABLE = Table({"runs": RUNS}, places, draw=runs.picture_of("tanh"))
