"""Pictures of runs. Headless."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import animation

from hop import ambient, metrics
from hop.checkpoints import StageInfo, Store
from hop.domain import Box
from hop.errors import RunError, UserError
from hop.laws import Field, how_many
from hop.operators import Operator, open_stage
from hop.problem import Problem, in_time, reference

_DASHED: Any = {"color": "black", "lw": 0.8, "ls": (0, (4, 3))}  # references
_SHOWN = 8  # stages, from the first to the last, or functions at most
PIXELS = 201  # of an image along each axis
_MOMENTS = 6  # times that a still picture shows
_FRAMES = 41  # and a moving one
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "savefig.dpi": 150,
    "legend.frameon": False,
}


def path(workdir: str, target: Path | None = None, run: str = "") -> Path:
    """Draws the solutions along a workdir's path beside the reference, and the loss.

    In two dimensions the last stage alone: its fields, or in time its solution at some moments.
    The picture, by default W/plots/path.png, calls it by the name of the run, if there is one.
    """
    store = Store.find(workdir)
    stages = store.stages()
    target = target or store.root / "plots" / "path.png"
    target.parent.mkdir(exist_ok=True)
    colors = plt.get_cmap("viridis")(np.linspace(0.9, 0.1, len(stages)))
    last = open_stage(store, stages[-1])
    problem = last.ansatz.problem
    plane, time = problem.domain.dim == 2, in_time(problem)
    with plt.rc_context(STYLE):
        count, width = (4, 16) if plane and not time else (2, 11)
        figure, axes = plt.subplots(1, count, figsize=(width, 3.8), layout="constrained")
        if plane and time:
            _in_time(axes[0], last)
        elif plane:
            _fields(axes[:-1], last)
        else:
            shown = np.unique(np.linspace(0, len(stages) - 1, _SHOWN).round().astype(int))
            stays = len({_at(info) for info in stages}) < len(stages)
            names = [f"stage {k}, " * stays + _at(stages[k]) for k in shown]
            opened = [open_stage(store, stages[k]) for k in shown]
            _lines(axes[0], dict(zip(names, opened, strict=True)), colors[shown])
        losses(axes[-1], store.root / "metrics.jsonl", colors)
        if run:
            figure.suptitle(run)
        figure.savefig(target)
        plt.close(figure)
    return target


def _lines(axes: plt.Axes, operators: Mapping[str, Operator], colors: np.ndarray) -> None:
    """Solutions and references (dashed) by name, waves one below the other.

    On an interval, or on the diagonal of a box, as far from its middle as the mean coordinate of
    the box's points gets: in high dimension hardly any lies near a corner.
    """
    problem = next(iter(operators.values())).ansatz.problem
    low, high = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
    dim = problem.domain.dim
    half = 0.5 if dim == 1 else min(0.5, 4 / math.sqrt(12 * dim))  # 4 standard deviations
    line = low + np.linspace(0.5 - half, 0.5 + half, 4001)[:, None] * (high - low)
    pairs = [_example(operator, line) for operator in operators.values()]
    drawn = [np.where(np.isnan(r), u, r) for u, r in pairs]
    waves = max(int(np.sum(np.diff(np.sign(values)) != 0)) for values in drawn) > 10
    rise = 1.3 * max(float(np.ptp(values)) for values in drawn) if waves else 0.0
    for k, (name, (u, r), color) in enumerate(zip(operators, pairs, colors, strict=True)):
        axes.plot(line[:, 0], u - k * rise, color=color, lw=2, label=name)
        axes.plot(line[:, 0], r - k * rise, **_DASHED)
    what = "one u₀, solutions" if problem.inputs else "solutions"
    where = "x" if dim == 1 else "mean coordinate of x, on the box's diagonal"
    axes.set(xlabel=where, ylabel="u", title=f"{_name(problem)}: {what} along the path")
    if waves:
        axes.set(yticks=(), ylabel="u, one stage below the other")
    axes.plot([], [], **_DASHED, label="reference")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _fields(axes: np.ndarray, operator: Operator) -> None:
    """Images of a solution in two dimensions, its reference and their difference."""
    problem = operator.ansatz.problem
    u, r = _example(operator, problem.domain.grid(PIXELS, PIXELS))
    name = _name(problem)
    titles = (f"{name}, {_at(operator)}: u", "reference", "u − reference")
    top, off = (np.nanmax(np.abs(values), initial=0.0) for values in ((u, r), u - r))
    shown = zip(axes, titles, (u, r, u - r), (top, top, off), strict=True)
    for panel, title, values, limit in shown:
        drawn = image(panel, problem.domain, values, limit)
        panel.set(title=title, xlabel="x", ylabel="y", aspect="auto")
        panel.figure.colorbar(drawn, ax=panel)


def image(axes: plt.Axes, box: Box, u: np.ndarray, limit: float) -> Any:
    """Draws u on the grid of `PIXELS` points along each axis of a rectangle, in [−limit, limit]."""
    extent = (box.lower[0], box.upper[0], box.lower[1], box.upper[1])
    u = u.reshape(PIXELS, PIXELS)
    return axes.imshow(u, origin="lower", extent=extent, cmap="RdBu_r", vmin=-limit, vmax=limit)


def _at(stage: Operator | StageInfo) -> str:
    s, eps = stage.s, stage.eps
    return f"s = {s:.3g}, ε = {eps:.3g}" if s else f"ε = {eps:.3g}"


def _name(problem: Problem) -> str:
    """The words of a problem's class: "Burgers Steady"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z\d])", " ", type(problem).__name__)
    return words.replace("Allen Cahn", "Allen–Cahn")


def _in_time(axes: plt.Axes, operator: Operator) -> None:
    """One solution of a problem in time and one coordinate x, at some times."""
    x = operator.ansatz.problem.domain.grid(1001, _MOMENTS)
    u, r = (values.reshape(_MOMENTS, -1) for values in _example(operator, x))
    _moments(axes, x.reshape(_MOMENTS, -1, 2), u, r)
    name = _name(operator.ansatz.problem)
    axes.set(xlabel="x", ylabel="u", title=f"{name}: one u₀ in time at ε = {operator.eps:g}")


def _moments(axes: plt.Axes, x: np.ndarray, u: np.ndarray, r: np.ndarray) -> None:
    """Solutions and references (times, q) at points (times, q, 2), a line for each time."""
    colors = plt.get_cmap("plasma")(np.linspace(0.0, 0.85, len(x)))
    for k, color in enumerate(colors):
        axes.plot(x[k, :, 0], u[k], color=color, lw=2, label=f"t = {x[k, 0, -1]:g}")
        axes.plot(x[k, :, 0], r[k], **_DASHED)
    axes.plot([], [], **_DASHED, label="reference")
    axes.legend(fontsize=8)


def evolution(target: str, operator: Operator, u0: np.ndarray) -> None:
    """Solutions of a problem in time beside the reference, for values u0 (n, m) of a few functions.

    A picture shows some times; a .gif moves.
    """
    moves, problem = target.endswith(".gif"), operator.ansatz.problem
    times = _FRAMES if moves else _MOMENTS
    x = problem.domain.grid(501, times)
    with ambient.numerics(np.float64):
        values = jnp.asarray(u0, np.float64)
        fields = {name: law.fit(values) for name, law in problem.inputs.items()}
    shape = (len(u0), times, -1)
    u = operator(u0, x).reshape(shape)
    r = _reference(operator, fields, x).reshape(shape)
    at = x.reshape(times, -1, 2)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(u0), figsize=(4 * len(u0), 3.2), layout="constrained", squeeze=False
        )
        for panel, mine, theirs in zip(axes[0], u, r, strict=True):
            panel.set(xlabel="x", ylabel="u")
            if not moves:
                _moments(panel, at, mine, theirs)
        if moves:
            _animate(target, figure, axes[0], at, u, r)
        else:
            figure.suptitle(f"{_name(problem)}, {_at(operator)}")
            figure.savefig(target)
        plt.close(figure)


def _animate(
    target: str, figure: Any, axes: np.ndarray, x: np.ndarray, u: np.ndarray, r: np.ndarray
) -> None:
    lines = []
    for panel, mine, theirs in zip(axes, u, r, strict=True):
        panel.plot(x[0, :, 0], theirs[0], color="0.8", lw=1)
        (ours,) = panel.plot([], [], color="C0", lw=2, label="network")
        (true,) = panel.plot([], [], **_DASHED, label="reference")
        low, high = np.nanmin([mine, theirs]), np.nanmax([mine, theirs])
        margin = 0.05 * (high - low)
        panel.set(xlim=(0, 1), ylim=(low - margin, high + margin))
        lines += [(ours, mine), (true, theirs)]
    axes[0].legend(fontsize=8, loc="upper right")

    def frame(k: int) -> list[Any]:
        figure.suptitle(f"t = {x[k, 0, -1]:.2f}")
        for line, values in lines:
            line.set_data(x[k, :, 0], values[k])
        return [line for line, _ in lines]

    moving = animation.FuncAnimation(figure, frame, frames=len(x))
    moving.save(target, writer=animation.PillowWriter(fps=12), dpi=80)


def _example(operator: Operator, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The network's and the reference solution (q,) at x (q, d), for one input function."""
    fields, values = {}, []
    with ambient.numerics(np.float32):
        for name, law in operator.ansatz.problem.inputs.items():
            drawn = law.sample(ambient.key(0), 1)
            fields[name] = law.field(np.asarray(drawn.coefficients, np.float64))
            values.append(np.asarray(law.values(drawn)))
    return np.atleast_2d(operator(*values, x))[0], _reference(operator, fields, x)[0]


def _reference(operator: Operator, fields: Mapping[str, Field], x: np.ndarray) -> np.ndarray:
    """The references (n, q) at x (q, d); NaN, which draws nothing, where there are none."""
    try:
        return reference(operator.ansatz.problem, fields, x, operator.lam)
    except (RunError, UserError):
        return np.full((how_many(fields), len(x)), np.nan)


def losses(axes: plt.Axes, path: Path, colors: np.ndarray) -> None:
    """The residual loss of every window against the steps of all stages."""
    records = metrics.read(path) if path.exists() else []
    windows = [r for r in records if r.get("kind") == "window"]
    for stage, color in enumerate(colors):
        mine = [r for r in windows if r["stage"] == stage]
        axes.semilogy([r["total_steps"] for r in mine], [r["residual"] for r in mine], color=color)
    axes.set(xlabel="step", ylabel="½ mean |H(u)|²", title="residual loss, stage by stage")


def inference(target: str, operator: Operator, u0: Any, x: np.ndarray, u: np.ndarray) -> None:
    """Draws the first input functions and their solutions; in time, beside the reference."""
    if in_time(operator.ansatz.problem):
        evolution(target, operator, np.asarray(u0[:3]))
        return
    with plt.rc_context(STYLE):
        panels = 1 if u0 is None else 2
        figure, axes = plt.subplots(
            1, panels, figsize=(5 * panels, 3.5), layout="constrained", squeeze=False
        )
        order, u = np.argsort(x[:, 0]), np.atleast_2d(u)[:_SHOWN]
        if u0 is not None:
            axes[0, 0].plot(operator.sensors, np.asarray(u0[:_SHOWN]).T, lw=1)
            axes[0, 0].set(xlabel="x", ylabel="u₀", title=f"input functions (first {_SHOWN})")
        axes[0, -1].plot(x[order, 0], u[:, order].T, lw=1)
        title = f"their solutions at s = {operator.s:g}, ε = {operator.eps:g}"
        spread = np.ptp(u, axis=0).max()
        if u0 is not None and spread < 0.01 * np.abs(u).max():
            title += f"\n(all agree to {spread:.0e}: here u hardly depends on u₀)"
        axes[0, -1].set(xlabel="x", ylabel="u", title=title)
        figure.savefig(target)
        plt.close(figure)
