"""Pictures of runs. Headless."""

import math
import re
import sys
from collections.abc import Mapping, Sequence
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
from hop.operators import Operator, open_stage, some_of
from hop.problem import Problem, in_time, letters, reference

_DASHED: Any = {"color": "black", "lw": 0.8, "ls": (0, (4, 3))}  # references
_SHOWN = 8  # stages, from the first to the last, or functions at most
PIXELS = 201  # of an image along each axis
_MOMENTS = 6  # times that a still picture shows
FRAMES = 41  # and a moving one
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "savefig.dpi": 150,
    "legend.frameon": False,
}


def path(workdir: str, target: Path | None = None, run: str = "", **own: Any) -> Path:
    """Draws the solutions along a workdir's path beside the reference, and the loss.

    In two dimensions the last stage alone: its fields, or in time its solution at some moments.
    So too where ε is an input: on an interval its solutions at some ε.
    Of several unknowns each has its row. The picture, by default W/plots/path.png, calls it by the
    name of the run, if there is one. `own` are objects of your own, as in `hop.load`.
    """
    store = Store.find(workdir)
    stages = store.stages()
    target = target or store.root / "plots" / "path.png"
    target.parent.mkdir(exist_ok=True)
    colors = _colors(len(stages))
    last = open_stage(store, stages[-1], **own)
    problem = last.ansatz.problem
    fields = problem.domain.dim == 2 and not _moves(problem)
    rows, across, width = len(problem.unknowns), *((4, 16) if fields else (2, 11))
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(width, 3.8 if rows == 1 else 3 * rows), layout="constrained")
        grid = figure.add_gridspec(rows, across)
        panels = [[figure.add_subplot(grid[k, j]) for j in range(across - 1)] for k in range(rows)]
        if fields:
            _fields(panels, last)
        elif _moves(problem):
            _in_time([row[0] for row in panels], last)
        elif last.span:
            along = {_at(operator): operator for operator in some_of(last)}
            _lines([row[0] for row in panels], along, _colors(len(along)))
        else:
            shown = np.unique(np.linspace(0, len(stages) - 1, _SHOWN).round().astype(int))
            stays = len({_at(info) for info in stages}) < len(stages)
            names = [f"stage {k}, " * stays + _at(stages[k]) for k in shown]
            opened = [open_stage(store, stages[k], **own) for k in shown]
            drawn = dict(zip(names, opened, strict=True))
            _lines([row[0] for row in panels], drawn, colors[shown])
        tests = bool(last.config and last.config.train.tests)
        losses(figure.add_subplot(grid[:, -1]), store.root / "metrics.jsonl", colors, tests)
        if run:
            figure.suptitle(run)
        figure.savefig(target)
        plt.close(figure)
    return target


def _colors(count: int) -> np.ndarray:
    return plt.get_cmap("viridis")(np.linspace(0.9, 0.1, count))


def _moves(problem: Problem) -> bool:
    """Whether a problem is one in time and a single coordinate x."""
    return in_time(problem) and problem.domain.dim == 2


def _lines(
    panels: Sequence[plt.Axes], operators: Mapping[str, Operator], colors: np.ndarray
) -> None:
    """Solutions and references (dashed) by name, waves one below the other; a panel per unknown.

    On an interval, or on the diagonal of a box, as far from its middle as the mean coordinate of
    the box's points gets: in high dimension hardly any lies near a corner.
    """
    problem = next(iter(operators.values())).ansatz.problem
    low, high = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
    dim = problem.domain.dim
    half = 0.5 if dim == 1 else min(0.5, 4 / math.sqrt(12 * dim))  # 4 standard deviations
    line = low + np.linspace(0.5 - half, 0.5 + half, 4001)[:, None] * (high - low)
    where = letters(problem) if dim == 1 else "mean coordinate of x, on the box's diagonal"
    pairs = [_example(operator, line) for operator in operators.values()]
    for c, (axes, unknown) in enumerate(zip(panels, problem.unknowns, strict=True)):
        drawn = [np.where(np.isnan(r[c]), u[c], r[c]) for u, r in pairs]
        waves = max(int(np.sum(np.diff(np.sign(values)) != 0)) for values in drawn) > 10
        rise = 1.3 * max(float(np.ptp(values)) for values in drawn) if waves else 0.0
        for k, (name, (u, r), color) in enumerate(zip(operators, pairs, colors, strict=True)):
            axes.plot(line[:, 0], u[c] - k * rise, color=color, lw=2, label=name)
            axes.plot(line[:, 0], r[c] - k * rise, **_DASHED)
        axes.set(xlabel=where, ylabel=unknown)
        if waves:
            axes.set(yticks=(), ylabel=f"{unknown}, one stage below the other")
    _legend(panels[0], any(np.isfinite(r).any() for _, r in pairs))
    where = "at some ε" if next(iter(operators.values())).span else "along the path"
    panels[0].set(title=f"{called(problem)}: {_given(problem)}solutions {where}")


def _legend(axes: plt.Axes, compared: bool) -> None:
    """The names of lines beside a panel, with that of the references if there are some."""
    if compared:
        axes.plot([], [], **_DASHED, label="reference")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _fields(panels: Sequence[Sequence[plt.Axes]], operator: Operator) -> None:
    """Images of a solution in two dimensions, its reference and their difference; a row each."""
    problem = operator.ansatz.problem
    pair = _example(operator, problem.domain.grid(PIXELS, PIXELS))
    for k, (row, name, u, r) in enumerate(zip(panels, problem.unknowns, *pair, strict=True)):
        head = f"{called(problem)}, {_at(operator)}: " if k == 0 else ""
        titles = (f"{head}{name}", "reference", f"{name} − reference")
        top, off = (np.nanmax(np.abs(values), initial=0.0) for values in ((u, r), u - r))
        shown = zip(row, titles, (u, r, u - r), (top, top, off), strict=True)
        for panel, title, values, limit in shown:
            if np.isnan(values).all():
                panel.text(0.5, 0.5, f"no {title}", ha="center", transform=panel.transAxes)
                panel.set_axis_off()
                continue
            drawn = image(panel, problem.domain, values, limit)
            panel.set(title=title, xlabel="x", ylabel="y", aspect="equal")
            panel.figure.colorbar(drawn, ax=panel)


def image(axes: plt.Axes, box: Box, u: np.ndarray, limit: float) -> Any:
    """Draws u on the grid of `PIXELS` points along each axis of a rectangle, in [−limit, limit]."""
    extent = (box.lower[0], box.upper[0], box.lower[1], box.upper[1])
    u = u.reshape(PIXELS, PIXELS)
    return axes.imshow(u, origin="lower", extent=extent, cmap="RdBu_r", vmin=-limit, vmax=limit)


def _at(stage: Operator | StageInfo) -> str:
    s, eps = stage.s, stage.eps
    return f"s = {s:.3g}, ε = {eps:.3g}" if s else f"ε = {eps:.3g}"


def called(problem: Problem) -> str:
    """What a picture calls a problem: the first words of its file, or a class of one's own."""
    kind = type(problem)
    if not kind.__module__.startswith("hop.problems."):
        return kind.__name__
    about = sys.modules[kind.__module__].__doc__ or kind.__name__
    outside_brackets = r"[:.](?=\s)|,\s(?![^\[(]*[\])])"
    return re.split(outside_brackets, about, maxsplit=1)[0]


def _given(problem: Problem) -> str:
    """What a picture of one example says of its inputs: "one u₀, "."""
    names = " and ".join(map(_symbol, problem.inputs))
    return f"one {names}, " if names else ""


def _symbol(name: str) -> str:
    """An input's name with its last digits below the line: "u₀"."""
    digits = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    return re.sub(r"(?<=[^\W\d_])\d+$", lambda found: found[0].translate(digits), name)


def _in_time(panels: Sequence[plt.Axes], operator: Operator) -> None:
    """One solution of a problem in time and one coordinate x, at some times; a panel each."""
    problem = operator.ansatz.problem
    x = problem.domain.grid(1001, _MOMENTS)
    at, pair = x.reshape(_MOMENTS, -1, 2), _example(operator, x)
    for panel, name, u, r in zip(panels, problem.unknowns, *pair, strict=True):
        _moments(panel, at, u.reshape(_MOMENTS, -1), r.reshape(_MOMENTS, -1))
        panel.set(xlabel="x", ylabel=name)
    _legend(panels[0], bool(np.isfinite(pair[1]).any()))
    panels[0].set(title=f"{called(problem)}: {_given(problem)}in time at ε = {operator.eps:g}")


def _moments(axes: plt.Axes, x: np.ndarray, u: np.ndarray, r: np.ndarray) -> None:
    """Solutions and references (times, q) at points (times, q, 2), a line for each time."""
    colors = plt.get_cmap("plasma")(np.linspace(0.0, 0.85, len(x)))
    for k, color in enumerate(colors):
        axes.plot(x[k, :, 0], u[k], color=color, lw=2, label=f"t = {x[k, 0, -1]:g}")
        axes.plot(x[k, :, 0], r[k], **_DASHED)


def evolution(target: str, operator: Operator, given: Any) -> None:
    """Solutions of a problem in time beside the reference, for a few functions.

    A row of panels for each unknown, a panel for each function. A picture shows some times; a .gif
    moves.

    Args:
      target: the file.
      operator: of a problem in time and one coordinate x.
      given: values (n, m) as in a call of the operator, of several inputs by name; {} for none.
    """
    moves, problem = target.endswith(".gif"), operator.ansatz.problem
    given = given if isinstance(given, Mapping) else dict.fromkeys(problem.inputs, given)
    times = FRAMES if moves else _MOMENTS
    x = problem.domain.grid(501, times)
    with ambient.numerics(np.float64):
        values = {k: jnp.asarray(v, np.float64).reshape(len(v), -1) for k, v in given.items()}
        fields = {name: law.fit(values[name]) for name, law in problem.inputs.items()}
    u, r = _solved(operator, given, x), _reference(operator, fields, x)
    (rows, count), at = u.shape[:2], x.reshape(times, -1, 2)
    drawn = [values.reshape(rows * count, times, -1) for values in (u, r)]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, count, figsize=(4 * count + 1, 3.2 * rows), layout="constrained", squeeze=False
        )
        for name, row in zip(problem.unknowns, axes, strict=True):
            for panel in row:
                panel.set(xlabel="x", ylabel=name)
        panels = list(zip(axes.flat, *drawn, strict=True))
        if moves:
            _animate(target, figure, panels, at)
        else:
            for panel, mine, theirs in panels:
                _moments(panel, at, mine, theirs)
            _legend(axes[0, -1], bool(np.isfinite(r).any()))
            figure.suptitle(f"{called(problem)}, {_at(operator)}")
            figure.savefig(target)
        plt.close(figure)


def _animate(target: str, figure: Any, panels: Sequence[tuple[Any, ...]], x: np.ndarray) -> None:
    """Moves the lines of panels, each with the solution and the reference (times, q) it shows."""
    lines, ends = [], (x[0, :, 0].min(), x[0, :, 0].max())
    for panel, mine, theirs in panels:
        panel.plot(x[0, :, 0], theirs[0], color="0.8", lw=1)
        (ours,) = panel.plot([], [], color="C0", lw=2, label="network")
        (true,) = panel.plot([], [], **_DASHED, label="reference")
        low, high = np.nanmin([mine, theirs]), np.nanmax([mine, theirs])
        margin = 0.05 * (high - low)
        panel.set(xlim=ends, ylim=(low - margin, high + margin))
        lines += [(ours, mine), (true, theirs)]
    panels[0][0].legend(fontsize=8, loc="upper right")

    def frame(k: int) -> list[Any]:
        figure.suptitle(f"t = {x[k, 0, -1]:.2f}")
        for line, values in lines:
            line.set_data(x[k, :, 0], values[k])
        return [line for line, _ in lines]

    moving = animation.FuncAnimation(figure, frame, frames=len(x))
    moving.save(target, writer=animation.PillowWriter(fps=12), dpi=80)


def _example(operator: Operator, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The network's and the reference solution (c, q) at x (q, d), for one sample of the inputs."""
    fields, given = {}, {}
    with ambient.numerics(np.float32):
        for k, (name, law) in enumerate(operator.laws.items()):
            drawn = law.sample(ambient.key(k), 1)
            fields[name] = law.field(np.asarray(drawn.coefficients, np.float64))
            values = np.asarray(law.values(drawn))
            given[name] = values.reshape(1, *law.shape)
    return _solved(operator, given, x)[:, 0], _reference(operator, fields, x)[:, 0]


def _solved(operator: Operator, given: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """Solutions (c, n, q) at x (q, d), for inputs by name; n = 1 without."""
    u = operator(given, x) if given else operator(x)
    parts = u.values() if isinstance(u, dict) else [u]
    return np.stack([np.atleast_2d(part) for part in parts])


def _reference(operator: Operator, fields: Mapping[str, Field], x: np.ndarray) -> np.ndarray:
    """The references (c, n, q) at x (q, d); NaN, which draws nothing, where there are none."""
    problem = operator.ansatz.problem
    shape = (len(problem.unknowns), how_many(fields), len(x))
    try:
        return reference(problem, fields, x, operator.lam).reshape(shape)
    except (RunError, UserError):
        return np.full(shape, np.nan)


def losses(axes: plt.Axes, path: Path, colors: np.ndarray, tests: bool) -> None:
    """The residual loss of every window against the steps of all stages; else that of labels.

    `tests` says that the residual is a weak one.
    """
    records = metrics.read(path) if path.exists() else []
    windows = [r for r in records if r.get("kind") == "window"]
    name = "residual" if any("residual" in r for r in windows) else "labels"
    for stage, color in enumerate(colors):
        mine = [r for r in windows if r["stage"] == stage]
        steps, values = ([r[key] for r in mine] for key in ("total_steps", name))
        axes.semilogy(steps, values, color=color, marker="." if len(mine) < 2 else "")
    low, high = axes.get_ylim()  # whole decades, whose ticks are short
    axes.set_ylim(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)))
    label = "½ mean |u − y|²" if name == "labels" else "½ Σ R²" if tests else "½ mean |H(u)|²"
    axes.set(xlabel="step", ylabel=label, title=f"{name} loss, stage by stage")


def inference(
    target: str, operator: Operator, given: Mapping[str, Any], x: np.ndarray, u: np.ndarray
) -> None:
    """Draws the first functions and their solutions on a line; in time, beside the reference.

    A panel for each input that is a function on a line, and one for each unknown.

    Args:
      target: the file.
      operator: of a problem in one coordinate, or in time and one more.
      given: values (n, m), or numbers (n,), by the name of the input; {} for none.
      x: points (q, d).
      u: solutions (n, q), of several unknowns (n, c, q); (q,) and (c, q) without inputs.
    """
    problem = operator.ansatz.problem
    if _moves(problem):
        evolution(target, operator, {name: values[:3] for name, values in given.items()})
        return
    lines = {name: law for name, law in operator.laws.items() if len(law.letters) == 1}
    u = u.reshape(-1, len(problem.unknowns), len(x))[:_SHOWN]
    differ = any(np.ptp(values[:_SHOWN], axis=0).any() for values in given.values())
    where, order = letters(problem), np.argsort(x[:, 0])
    count = len(lines) + len(problem.unknowns)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, count, figsize=(5 * count, 3.5), layout="constrained", squeeze=False
        )
        panels = iter(axes[0])
        for name, panel in zip(lines, panels, strict=False):
            panel.plot(lines[name].sensors[:, 0], np.asarray(given[name][:_SHOWN]).T, lw=1)
            title = "input functions" + f" (first {_SHOWN})" * (len(u) == _SHOWN)
            panel.set(xlabel=lines[name].letters, ylabel=_symbol(name), title=title)
        for name, panel, values in zip(problem.unknowns, panels, np.moveaxis(u, 1, 0), strict=True):
            panel.plot(x[order, 0], values[:, order].T, lw=1)
            panel.set(xlabel=where, ylabel=name, title=_title(operator, values, name, differ))
        figure.savefig(target)
        plt.close(figure)


def _title(operator: Operator, u: np.ndarray, name: str, differ: bool) -> str:
    """What a panel of solutions (n, q) of an unknown says, also of inputs that hardly matter.

    `differ` says whether the inputs are not all the same.
    """
    whose = "their solutions" if operator.laws else "the solution"
    title = f"{whose} at s = {operator.s:g}, ε = {operator.eps:g}"
    spread = np.ptp(u, axis=0).max(initial=0.0)
    if differ and len(u) > 1 and spread < 0.01 * np.abs(u).max(initial=0.0):
        inputs = " and ".join(map(_symbol, operator.laws))
        title += f"\n(all agree to {spread:.0e}: here {name} hardly depends on {inputs})"
    return title
