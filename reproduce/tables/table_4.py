"""Table 4: Helmholtz in 20 dimensions."""

from typing import Any

from reproduce import Results, Run, Table, parts, runs, seeds
from reproduce.tables.table_1 import CLASSICAL

WAVE = "configs/helmholtz_20d.py"
PLACES = (0.5, 0.05, 0.02)
PAPER = {
    0.5: ("1.23e-3", "5.86e-4"), 0.05: ("7.21e-2", "5.00e-4"), 0.02: ("9.98e-1", "5.89e-4"),
}  # fmt: skip
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


def page(results: Results, _: Any) -> list[str]:
    return [
        "L2RE: the median of the seeds, the worst in brackets. *tanh* is the paper's network, 3×30 "
        "tanh, by block Kaczmarz; *sines* is one layer of 8 sines, which holds the exact solution: "
        "it measures the continuation and not the network. Strategy 2 has 500 steps a stage, "
        "classical training 4,000 in all.",
        parts.by_paper(PAPER, PLACES, results["runs"]),
        parts.worst_stages(results["runs"]),
        *parts.made(results["runs"]),
    ]


TABLE = Table(
    "Table 4: Helmholtz in 20 dimensions",
    {"runs": RUNS},
    page,
    draw=runs.picture_of("tanh"),
)
