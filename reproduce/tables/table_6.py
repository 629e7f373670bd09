"""Table 6: training time per epoch, of the paper's strategy on its four systems."""

from typing import Any

import numpy as np

from reproduce import Results, Table, parts
from reproduce.tables import ablation, plane, table_1, table_4

RUNS = {
    "Allen–Cahn 1D": table_1.RUNS["homotopy loss, Strategy 2, seed 0"],
    "Allen–Cahn 2D": plane.RUNS["homotopy loss, Strategy 2"],
    "Helmholtz, d = 20": table_4.RUNS["homotopy loss, Strategy 2"],
    "Burgers, steady": ablation.RUNS["ingredients"]["the paper's path and loss"],
}  # fmt: skip
PAPER = {
    "Allen–Cahn 1D": "0.05 s", "Allen–Cahn 2D": "0.09 s", "Helmholtz, d = 20": "0.01 s",
    "Burgers, steady": "0.4 s",
}  # fmt: skip


def page(results: Results, _: Any) -> list[str]:
    rows = []
    for name, run in results["runs"].items():
        last = run["stages"][1:] or run["stages"]  # the first stage's seconds hold compilation
        each = np.median([row["seconds"] / max(1, row["step"]) for row in last])
        rows.append([name, PAPER[name], parts.duration(each)])
    return [
        "Seconds of training for one step of Strategy 2 on all its points, which is what the paper "
        "calls an epoch; its machine is not stated. Helmholtz costs most here, since a Laplacian "
        "in 20 dimensions is 20 second derivatives.",
        parts.table(["", "paper, an epoch", "hop, a step"], rows),
        *parts.made(results["runs"]),
    ]


TABLE = Table("Table 6: training time", {"runs": RUNS}, page)
