"""Allen–Cahn with an interface that truly moves: u(0) = −2, u(1) = 1.1."""

import math
from typing import Any

from hop.files import table
from reproduce import Results, Table, parts, runs, seeds
from reproduce.tables.table_1 import FRONT

CHANGES = [
    "problem.left=-2.0", "problem.right=1.1",
    "path.eps=(0.5,0.4,0.3,0.25,0.2,0.16,0.13,0.115,0.1,0.09,0.08,0.07,0.06,0.05,0.04,0.03)",
]  # fmt: skip


def places(results: Results, _: Any) -> dict[str, str]:
    found, rows = list(results["runs"].values()), []
    for stage in found[0]["stages"] if found else ():
        eps = stage["eps"]
        here = [row for run in found if (row := parts.at(run, eps)) is not None]
        gaps = [
            abs(row["interface"] - row["true_interface"])
            for row in here
            if row["interface"] is not None
        ]
        rows.append(
            [
                f"{eps:g}",
                f"{stage['true_interface']:.6f}",
                f"{0.5 + eps / (2 * math.sqrt(2)) * math.log(7):.6f}",
                parts.spread(gaps),
                ", ".join(dict.fromkeys(row["place"] for row in here)),
            ]
        )
    head = [
        "ε",
        "place",
        "asymptotic place, ½ + (ε/2√2) ln 7",
        "hop, error of the place",
        "place is",
    ]
    return {"places": table(head, rows), "made": parts.made(results["runs"])}


TABLE = Table(
    {"runs": seeds("predictor–corrector", FRONT, CHANGES, ["train.steps=8"])},
    places,
    draw=runs.picture_of("predictor–corrector"),
)
