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

from hop.checkpoints import StageInfo, Store
from hop.domain import Box
from hop.errors import RunError
from hop.fields import Field
from hop.operators import Operator, open_stage
from hop.problems import in_time

_SHOWN = 8  # stages at most, from the first to the last
_STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "savefig.dpi": 150,
    "legend.frameon": False,
}


def path(workdir: str) -> Path:
    """Draws W/plots/path.png: the solutions along the path beside the reference, and the loss."""
    store = Store.find(workdir)
    stages = store.stages()
    target = store.root / "plots" / "path.png"
    target.parent.mkdir(exist_ok=True)
    colors = plt.get_cmap("viridis")(np.linspace(0.9, 0.1, len(stages)))
    with plt.rc_context(_STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
        last = open_stage(store, stages[-1])
        problem = last.ansatz.problem
        if in_time(problem) and problem.domain.dim == 2:
            _in_time(left, last)
        else:
            _along_path(left, problem.domain, store, stages, colors)
        _losses(right, store.root / "metrics.jsonl", colors)
        figure.savefig(target)
        plt.close(figure)
    return target


def _along_path(
    axes: plt.Axes, domain: Box, store: Store, stages: Sequence[StageInfo], colors: np.ndarray
) -> None:
    """The solutions of some stages, on the interval or on the diagonal of a box."""
    shown = np.unique(np.linspace(0, len(stages) - 1, _SHOWN).round().astype(int))
    low, high = np.asarray(domain.lower), np.asarray(domain.upper)
    x = low + np.linspace(0, 1, 1001)[:, None] * (high - low)
    for k in shown:
        info, color = stages[k], colors[k]
        operator = open_stage(store, info)
        u, r = _example(operator, x)
        label = f"s = {info.s:g}, ε = {info.eps:g}" if info.s else f"ε = {info.eps:g}"
        axes.plot(x[:, 0], u, color=color, lw=2, label=label)
        axes.plot(x[:, 0], r, color="black", lw=0.8, ls=(0, (4, 3)))
    axes.plot([], [], color="black", lw=0.8, ls=(0, (4, 3)), label="reference")
    problem = operator.ansatz.problem
    what = "solutions" if problem.random_field is None else "one u₀, solutions"
    where = "x" if problem.domain.dim == 1 else "first coordinate of x, on the box's diagonal"
    axes.set(xlabel=where, ylabel="u", title=f"{type(problem).__name__}: {what} along the path")
    axes.legend(fontsize=8)


def _in_time(axes: plt.Axes, operator: Operator) -> None:
    """One solution of a problem in time and one coordinate x, at some times."""
    domain, moments = operator.ansatz.problem.domain, 6
    x = domain.grid(1001, moments)
    u, r = (values.reshape(moments, -1) for values in _example(operator, x))
    colors = plt.get_cmap("plasma")(np.linspace(0.0, 0.85, moments))
    for k, t in enumerate(x[::1001, -1]):
        axes.plot(x[:1001, 0], u[k], color=colors[k], lw=2, label=f"t = {t:g}")
        axes.plot(x[:1001, 0], r[k], color="black", lw=0.8, ls=(0, (4, 3)))
    axes.plot([], [], color="black", lw=0.8, ls=(0, (4, 3)), label="reference")
    name = type(operator.ansatz.problem).__name__
    axes.set(xlabel="x", ylabel="u", title=f"{name}: one u₀ in time at ε = {operator.eps:g}")
    axes.legend(fontsize=8)


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
