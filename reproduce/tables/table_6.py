"""Table 6: training time per epoch, of the paper's strategy on its four systems."""

from typing import Any

import numpy as np

from hop.files import table
from reproduce import Results, Table, parts, published
from reproduce.tables import ablation, plane, table_1, table_4

RUNS = {
    "Allen–Cahn 1D": table_1.RUNS["runs"]["homotopy loss, Strategy 2, seed 0"],
    "Allen–Cahn 2D": plane.RUNS["runs"]["homotopy loss, Strategy 2"],
    "Helmholtz, d = 20": table_4.RUNS["runs"]["homotopy loss, Strategy 2"],
    "Burgers, steady": ablation.RUNS["ingredients"]["the paper's path and loss"],
}  # fmt: skip


def places(results: Results, _: Any) -> dict[str, str]:
    paper, rows = published("table_6")["epoch"], []
    for name, run in results["runs"].items():
        last = run["stages"][1:] or run["stages"]  # the first stage's seconds hold compilation
        each = np.median([row["seconds"] / max(1, row["step"]) for row in last])
        rows.append([name, paper[name], parts.duration(each)])
    return {
        "seconds": table(["", "paper, an epoch", "hop, a step"], rows),
        "made": parts.made(results["runs"]),
    }


TABLE = Table({"runs": RUNS}, places)
