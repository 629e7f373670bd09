"""Pictures of runs. Headless."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from hop.checkpoints import Store
from hop.errors import RunError
from hop.fields import Field
from hop.operators import Operator, open_stage

_SHOWN = 8  # stages at most, from the first to the last
_PIXELS = 201  # of an image along each axis
_STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "savefig.dpi": 150,
    "legend.frameon": False,
}


def path(workdir: str) -> Path:
    """Draws W/plots/path.png: the solutions along the path beside the reference, and the loss.

    In two dimensions, the last stage's solution, reference and error instead.
    """
    store = Store.find(workdir)
    stages = store.stages()
    target = store.root / "plots" / "path.png"
    target.parent.mkdir(exist_ok=True)
    colors = plt.get_cmap("viridis")(np.linspace(0.9, 0.1, len(stages)))
    last = open_stage(store, stages[-1])
    flat = last.ansatz.problem.domain.dim == 2
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(
            1, 4 if flat else 2, figsize=(16 if flat else 10, 3.8), layout="constrained"
        )
        if flat:
            _fields(axes[:-1], last)
        else:
            shown = np.unique(np.linspace(0, len(stages) - 1, _SHOWN).round().astype(int))
            _lines(axes[0], [open_stage(store, stages[k]) for k in shown], colors[shown])
        _losses(axes[-1], store.root / "metrics.jsonl", colors)
        figure.savefig(target)
        plt.close(figure)
    return target


def _lines(axes: plt.Axes, operators: Sequence[Operator], colors: np.ndarray) -> None:
    """Solutions and references on the interval, or on the diagonal of a box."""
    problem = operators[0].ansatz.problem
    low, high = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
    line = low + np.linspace(0, 1, 1001)[:, None] * (high - low)
    for operator, color in zip(operators, colors, strict=True):
        u, r = _example(operator, line)
        axes.plot(line[:, 0], u, color=color, lw=2, label=_place(operator))
        axes.plot(line[:, 0], r, color="black", lw=0.8, ls=(0, (4, 3)))
    axes.plot([], [], color="black", lw=0.8, ls=(0, (4, 3)), label="reference")
    what = "solutions" if problem.random_field is None else "one u₀, solutions"
    where = "x" if problem.domain.dim == 1 else "first coordinate of x, on the box's diagonal"
    axes.set(xlabel=where, ylabel="u", title=f"{type(problem).__name__}: {what} along the path")
    axes.legend(fontsize=8)


def _fields(axes: np.ndarray, operator: Operator) -> None:
    """Images of a solution in two dimensions, its reference and their difference."""
    problem = operator.ansatz.problem
    low, high = problem.domain.lower, problem.domain.upper
    u, r = _example(operator, problem.domain.grid(_PIXELS, _PIXELS))
    name = type(problem).__name__
    titles = (f"{name}, {_place(operator)}: u", "reference", "u − reference")
    top, off = (np.nanmax(np.abs(values), initial=0.0) for values in ((u, r), u - r))
    for panel, title, values, limit in zip(
        axes, titles, (u, r, u - r), (top, top, off), strict=True
    ):
        image = panel.imshow(
            values.reshape(_PIXELS, _PIXELS),
            origin="lower",
            extent=(low[0], high[0], low[1], high[1]),
            aspect="auto",
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
        )
        panel.set(title=title, xlabel="x", ylabel="y")
        panel.figure.colorbar(image, ax=panel)


def _place(operator: Operator) -> str:
    s, eps = operator.s, operator.eps
    return f"s = {s:g}, ε = {eps:g}" if s else f"ε = {eps:g}"


def _example(operator: Operator, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The network's and the reference solution (q,) at x (q, d), for one input function."""
    law = operator.ansatz.problem.random_field
    if law is None:
        return operator(x), _reference(operator, None, x)
    coefficients = np.asarray(law.sample(jax.random.key(0), 1), np.float64)
    field = Field(coefficients, law.basis)
    values = np.asarray(field(jnp.asarray(law.sensors, jnp.float32)))
    return operator(values, x)[0], _reference(operator, field, x)


def _reference(operator: Operator, field: Field | None, x: np.ndarray) -> np.ndarray:
    """The reference at x (q, d); NaN, which draws nothing, where its solver does not converge."""
    try:
        return operator.ansatz.problem.reference(field, x, operator.lam)[0]
    except RunError:
        return np.full(len(x), np.nan)


def _losses(axes: plt.Axes, metrics: Path, colors: np.ndarray) -> None:
    """The residual loss of every window against the steps of all stages."""
    lines = metrics.read_text().splitlines() if metrics.exists() else []
    records = [json.loads(line) for line in lines]
    windows = [r for r in records if r["kind"] == "window"]
    for stage, color in enumerate(colors):
        mine = [r for r in windows if r["stage"] == stage]
        axes.semilogy([r["total_steps"] for r in mine], [r["residual"] for r in mine], color=color)
    axes.set(xlabel="step", ylabel="½ mean |H(u)|²", title="residual loss, stage by stage")


def inference(target: str, operator: Operator, u0: Any, x: np.ndarray, u: np.ndarray) -> None:
    """Draws the first input functions and their solutions."""
    count = 8
    with plt.rc_context(_STYLE):
        panels = 1 if u0 is None else 2
        figure, axes = plt.subplots(
            1, panels, figsize=(5 * panels, 3.5), layout="constrained", squeeze=False
        )
        order = np.argsort(x[:, 0])
        if u0 is not None:
            axes[0, 0].plot(operator.sensors, np.asarray(u0[:count]).T, lw=1)
            axes[0, 0].set(xlabel="x", ylabel="u₀", title=f"input functions (first {count})")
        axes[0, -1].plot(x[order, 0], np.atleast_2d(u)[:count, order].T, lw=1)
        title = f"their solutions at s = {operator.s:g}, ε = {operator.eps:g}"
        spread = np.ptp(np.atleast_2d(u)[:count], axis=0).max()
        if u0 is not None and spread < 0.01 * np.abs(u[:count]).max():
            title += f"\n(all agree to {spread:.0e}: here u hardly depends on u₀)"
        axes[0, -1].set(xlabel="x", ylabel="u", title=title)
        figure.savefig(target)
        plt.close(figure)
