"""The steady Burgers operator where it depends on its input: fields of unit size, s > 0."""

from typing import Any

from hop.files import table
from reproduce import Results, Table, declared, parts, runs


def places(results: Results, _: Any) -> dict[str, str]:
    found, rows = list(results["runs"].values()), []
    for stage in found[0]["stages"] if found else ():
        s, eps = stage["s"], stage["eps"]
        cells = [parts.cell(found, eps, s, key) for key in ("l2re", "l2re_worst", "shock")]
        rows.append([f"{s:g}", f"{eps:g}", f"{stage['constant']:.2f}", *cells])
    head = ["s", "ε", "best constant, mean L2RE", "hop, mean L2RE", "hop, worst function",
            "hop, shock MSE"]  # fmt: skip
    return {"errors": table(head, rows), "made": parts.made(results["runs"])}


TABLE = Table(declared("unit"), places, draw=runs.picture_of("burgers_steady_unit"))
