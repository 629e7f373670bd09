"""Table 5: the steady Burgers operator on the paper's fields, down in ε at s = 0."""

from typing import Any

import numpy as np

from hop.files import table
from reproduce import Results, Table, declared, parts, published, runs

RUNS = declared("table_5")


def places(results: Results, _: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for group in RUNS:
        mine = list(results[group].values())
        minutes = np.median([parts.seconds(run) for run in mine] or [0]) / 60
        found |= {
            f"{group}_runs": str(len(mine) or ""),
            f"{group}_minutes": f"{minutes:.0f}",
            group: down(mine) if mine else "",
            f"{group}_made": parts.made(results[group]),
        }
    return found


def down(found: list[Any]) -> str:
    """The table of some runs of one path."""
    paper, rows = published("table_5"), []
    for stage in found[0]["stages"]:
        eps = stage["eps"]
        mean, worst, shock = (
            parts.cell(found, eps, key=key) for key in ("l2re", "l2re_worst", "shock")
        )
        theirs = {name: f"{row[eps]:.1e}" if eps in row else "–" for name, row in paper.items()}
        rows.append([f"{eps:g}", theirs["mean L2RE"], mean, worst, theirs["shock MSE"], shock])
    head = ["ε", "paper, mean L2RE", "hop, mean L2RE", "hop, worst function",
            "paper, shock MSE", "hop, shock MSE"]  # fmt: skip
    return table(head, rows)


TABLE = Table(RUNS, places, draw=runs.picture_of("burgers_steady"))
