"""Table 7: the fit of sin(πx/ε)."""

import functools
from typing import Any

from reproduce import Results, Run, Table, parts, runs, seeds
from reproduce.tables.table_1 import CLASSICAL

FIT = "configs/high_frequency.py"
PLACES = (1 / 15, 1 / 35, 1 / 50, 1 / 100, 1 / 200)
PAPER = {
    1 / 15: ("4.91e-6", "1.73e-6"), 1 / 35: ("7.21e-2", "1.91e-6"), 1 / 50: ("3.29e-1", "2.82e-5"),
}  # fmt: skip
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


losses = functools.partial(parts.loss_and_error, worst_of="loss")


def page(results: Results, _: Any) -> list[str]:
    return [
        "The loss ½ mean |u − sin(πx/ε)|² on 1,001 points or 20 per ε, held out (the paper's is on "
        "its training points), then L2RE: medians of the seeds, the worst loss in brackets. *tanh* "
        "is the paper's network, 3×30 tanh; *sines* is one layer of 200 whose frequencies are "
        "drawn around the target's.",
        parts.by_paper(PAPER, PLACES, results["runs"], losses),
        parts.worst_stages(results["runs"]),
        *parts.made(results["runs"]),
    ]


TABLE = Table("Table 7: high frequencies", {"runs": RUNS}, page, draw=runs.picture_of("tanh"))
