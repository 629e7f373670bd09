"""Allen–Cahn in the plane: homotopy and its rivals, at one budget and with one symmetry."""

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from hop.errors import UserError
from hop.files import table
from hop.operators import Operator, load
from hop.plotting import PIXELS, STYLE, image
from hop.problem import reference
from reproduce import Folders, Results, Table, declared, parts

PLACES = (0.05, 0.03, 0.02)
RUNS = declared("plane")


def places(results: Results, _: Any) -> dict[str, str]:
    rows = []
    for name, found in parts.by_method(results["runs"]).items():
        cells = [*(parts.cell(found, eps) for eps in PLACES), parts.cell(found, 0.05, key="loss")]
        rows.append([f"hop: {name}", *cells, parts.training(found)])
    head = ["", *map(parts.place, PLACES), "loss at ε = 1/20", "training"]
    return {"errors": table(head, rows), "made": parts.made(results["runs"])}


def draw(target: Path, folders: Folders) -> None:
    operators: dict[str, Operator] = {}
    for run, folder in folders.items():
        with contextlib.suppress(UserError):  # one that failed on its way there
            operators.setdefault(parts.method(run), load(folder, eps=0.05))
    if not operators:
        raise UserError("no run came to ε = 0.05")
    planes(target, operators)


def planes(target: Path, operators: Mapping[str, Operator]) -> None:
    """Images of solutions in the plane by name, one beside the other, the reference first."""
    first = next(iter(operators.values()))
    domain = first.ansatz.problem.domain
    x = domain.grid(PIXELS, PIXELS)
    images = {"reference": reference(first.ansatz.problem, {}, x, first.lam)[0]}
    images |= {name: operator(x) for name, operator in operators.items()}
    top = np.nanmax(np.abs(images["reference"]))
    columns = math.ceil(len(images) / 2)
    (left, bottom), (right, upper) = domain.lower, domain.upper
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            2, columns, figsize=(2.6 * columns, 5.4), layout="constrained", squeeze=False
        )
        for panel in axes.ravel()[len(images) :]:
            panel.set_axis_off()
        for panel, (name, u) in zip(axes.ravel(), images.items(), strict=False):
            drawn = image(panel, domain, u, top)
            panel.set_title(name, fontsize=8)
            panel.set(xticks=(left, 0.5 * (left + right), right), xlabel="x")
            panel.set(yticks=(bottom, 0.5 * (bottom + upper), upper), ylabel="y")
            panel.label_outer(remove_inner_ticks=True)
        figure.suptitle(f"Allen–Cahn 2D, ε = {first.eps:g}")
        figure.colorbar(drawn, ax=axes, shrink=0.6, label="u")
        figure.savefig(target)
        plt.close(figure)


TABLE = Table(RUNS, places, draw=draw)
