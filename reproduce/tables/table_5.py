"""Table 5: the steady Burgers operator on the paper's fields, down in ε at s = 0."""

from typing import Any

import numpy as np

from reproduce import Results, Run, Table, parts, runs, seeds

STEADY = "configs/burgers_steady.py"
PAPER = {0.5: (1.50e-3, 1.75e-8), 0.1: (7.00e-4, 9.14e-8), 0.05: (2.52e-2, 1.2e-3)}
QUICK = ["train.steps=100", "path.eps=(0.5,0.2,0.1,0.07,0.05)"]
RUNS = {
    "free": seeds("burgers_steady", STEADY, [], QUICK),
    "odd": {"odd by construction": Run(STEADY, ["problem.symmetry=odd"], QUICK)},
}
NOTES = {
    "free": "Dataset `paper`, s = 0. The operator is constant in its input here: the paper's "
    "benchmark, not evidence of operator learning (for that see [unit](unit.md)). Below ε of 0.04 "
    "the residual no longer tells the shock's place: the path carries it.",
    "odd": "The same with u odd about ½ by construction: the shock's place is known by symmetry, "
    "and what is left converges at every ε. So what limits the table above is the slow mode "
    "alone, neither the network nor the points.",
}


def page(results: Results, _: Any) -> list[str]:
    text = [
        "Mean L2RE over the test functions, the worst function's, and the mean squared error of "
        "the shock's place; over seeds the median, the worst in brackets."
    ]
    for group, note in NOTES.items():
        found = list(results[group].values())
        if not found:
            continue
        rows = []
        for stage in found[0]["stages"]:
            eps = stage["eps"]
            paper = [f"{value:.1e}" for value in PAPER.get(eps, ())] or ["–", "–"]
            mean, worst, shock = (
                parts.cell(found, eps, key=key) for key in ("l2re", "l2re_worst", "shock")
            )
            rows.append([f"{eps:g}", paper[0], mean, worst, paper[1], shock])
        head = ["ε", "paper, mean L2RE", "hop, mean L2RE", "hop, worst function",
                "paper, shock MSE", "hop, shock MSE"]  # fmt: skip
        minutes = np.median([parts.seconds(run) for run in found]) / 60
        text += [
            note + f" Runs: {len(found)}, {minutes:.0f} minutes of training each.",
            parts.table(head, rows),
            *parts.made(results[group]),
        ]
    return text


TABLE = Table(
    "Table 5: the steady Burgers operator",
    RUNS,
    page,
    draw=runs.picture_of("burgers_steady"),
)
