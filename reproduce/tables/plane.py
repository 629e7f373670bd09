"""Allen–Cahn in the plane: homotopy and its rivals, at one budget and with one symmetry."""

import contextlib
from pathlib import Path
from typing import Any

from hop import plotting
from hop.errors import UserError
from hop.operators import Operator, load
from reproduce import Folders, Results, Run, Table, parts, seeds

PLANE = "configs/allen_cahn_2d.py"
PLACES = (0.05, 0.03, 0.02)
SHORT = ["train.steps=50"]
# The budget of the homotopy loss: 12 stages of 1,000 steps.
STEPS = ["train.steps=1000"]
# Without biases a perceptron of tanh is odd, and its part odd in x and in y is zero: a root of the
# equation, with no gradient to leave it by. What has no other start needs another activation.
UNEVEN = ["network.activation=swish"]
BUDGET = {"classical": "train.steps=12000", "resampling": "train.steps=12000"}
RUNS = (
    seeds("predictor–corrector", PLANE, [], ["train.steps=3"])
    | {"homotopy loss, Strategy 2": Run(f"{PLANE}:paper", STEPS, SHORT)}
    | {
        name: Run(f"{PLANE}:paper", [f"strategy.name={name}", steps, *UNEVEN], ["train.steps=300"])
        for name, steps in BUDGET.items()
    }
    | {
        "curriculum": Run(f"{PLANE}:paper", ["strategy.name=curriculum", *STEPS, *UNEVEN], SHORT),
        "sequence to sequence": Run(
            f"{PLANE}:paper",
            [
                "strategy.name=sequence_to_sequence",
                "strategy.windows=12",
                "strategy.horizon=12.0",
                *STEPS,
            ],
            SHORT,
        ),
        "predictor–corrector, no symmetry": Run(f"{PLANE}:free", [], ["train.steps=3"]),
    }
)


def page(results: Results, _: Any) -> list[str]:
    rows = [
        [
            f"hop: {name}",
            *(parts.cell(found, eps) for eps in PLACES),
            parts.cell(found, 0.05, key="loss"),
            parts.training(found),
        ]
        for name, found in parts.by_method(results["runs"]).items()
    ]
    head = ["", *map(parts.place, PLACES), "loss at ε = 1/20", "training"]
    return [
        "The steady state that is odd in x and in y, a saddle: L2RE, the median of the seeds, the "
        "worst in brackets. All rows but the last have that symmetry built in; the first sees the "
        "plane through sin πx and sin πy, which makes it odd about the boundary too. An error "
        "near 1 with a small loss is another root of the equation, mostly u = 0. Classical "
        "training, resampling and curriculum have swish for tanh, since at the start of a tanh "
        "network its part of that symmetry is u = 0 exactly, and training would stay there; the "
        "other rows start from a function that is not zero. The first row and "
        "the last solve least squares in float64; all others take 12,000 steps of Adam, or as many "
        "in parts. Only the first has more than one seed. The paper says that only homotopy finds "
        "this solution.",
        parts.table(head, rows),
        *parts.made(results["runs"]),
    ]


def draw(target: Path, folders: Folders) -> None:
    operators: dict[str, Operator] = {}
    for run, folder in folders.items():
        with contextlib.suppress(UserError):  # one that failed on its way there
            operators.setdefault(parts.method(run), load(folder, eps=0.05))
    if not operators:
        raise UserError("no run came to ε = 0.05")
    plotting.planes(str(target), operators)


TABLE = Table("Allen–Cahn in the plane", {"runs": RUNS}, page, draw=draw)
