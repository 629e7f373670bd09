"""The steady Burgers operator where it depends on its input: fields of unit size, s > 0."""

from typing import Any

from reproduce import Results, Table, parts, runs, seeds

UNIT = "configs/burgers_steady_unit.py"


def page(results: Results, _: Any) -> list[str]:
    found, rows = list(results["runs"].values()), []
    for stage in found[0]["stages"] if found else ():
        s, eps = stage["s"], stage["eps"]
        cells = [parts.cell(found, eps, s, key) for key in ("l2re", "l2re_worst", "shock")]
        rows.append([f"{s:g}", f"{eps:g}", f"{stage['constant']:.2f}", *cells])
    head = ["s", "ε", "best constant, mean L2RE", "hop, mean L2RE", "hop, worst function",
            "hop, shock MSE"]  # fmt: skip
    return [
        "Dataset `unit`, ε(s) = max(s, 0.05). The solution depends on the input function through "
        "the place of its shock; the best constant predictor is the mean solution. Median of the "
        "seeds, the worst in brackets.",
        parts.table(head, rows),
        *parts.made(results["runs"]),
    ]


TABLE = Table(
    "The steady Burgers operator at s > 0",
    {"runs": seeds("burgers_steady_unit", UNIT, [], ["train.steps=50"])},
    page,
    draw=runs.picture_of("burgers_steady_unit"),
)
