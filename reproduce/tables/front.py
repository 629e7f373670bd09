"""Allen–Cahn with an interface that truly moves: u(0) = −2, u(1) = 1.1."""

import math
from typing import Any

from hop.files import table
from reproduce import Results, Table, declared, parts, runs


def places(results: Results, _: Any) -> dict[str, str]:
    found, rows = list(results["runs"].values()), []
    for stage in found[0]["stages"] if found else ():
        eps = stage["eps"]
        here = [row for run in found if (row := parts.at(run, eps)) is not None]
        found_at = [(row["interface"], row["true_interface"]) for row in here]
        gaps = [abs(ours - true) for ours, true in found_at if ours is not None]
        asymptotic = 0.5 + eps / (2 * math.sqrt(2)) * math.log(7)
        cells = [f"{eps:g}", f"{stage['true_interface']:.6f}", f"{asymptotic:.6f}"]
        how = ", ".join(dict.fromkeys(row["place"] for row in here))
        rows.append([*cells, parts.spread(gaps), how])
    head = ["ε", "place", "asymptotic place, ½ + (ε/2√2) ln 7", "hop, error of the place",
            "place is"]  # fmt: skip
    return {"places": table(head, rows), "made": parts.made(results["runs"])}


TABLE = Table(declared("front"), places, draw=runs.picture_of("predictor–corrector"))
