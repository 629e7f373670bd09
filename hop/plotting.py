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

from hop import kernels
from hop.ansatz import Ansatz
from hop.checkpoints import Store
from hop.errors import RunError
from hop.fields import Field
from hop.networks.mlp import MLP
from hop.operators import Operator, open_stage
from hop.problems import Lam, Problem
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady
from hop.problems.helmholtz import Helmholtz

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
        shown = np.unique(np.linspace(0, len(stages) - 1, _SHOWN).round().astype(int))
        stays = len({(info.s, info.eps) for info in stages}) < len(stages)
        for k in shown:
            info, color = stages[k], colors[k]
            operator = open_stage(store, info)
            x, u, r = _example(operator)
            label = f"s = {info.s:g}, ε = {info.eps:g}" if info.s else f"ε = {info.eps:g}"
            label = f"stage {info.stage}, {label}" if stays else label
            left.plot(x, u, color=color, lw=2, label=label)
            left.plot(x, r, color="black", lw=0.8, ls=(0, (4, 3)))
        left.plot([], [], color="black", lw=0.8, ls=(0, (4, 3)), label="reference")
        problem = operator.ansatz.problem
        what = "solutions" if problem.random_field is None else "one u₀, solutions"
        where = "x" if problem.domain.dim == 1 else "first coordinate of x, on the box's diagonal"
        left.set(xlabel=where, ylabel="u", title=f"{type(problem).__name__}: {what} along the path")
        left.legend(fontsize=8)
        _losses(right, store.root / "metrics.jsonl", colors)
        figure.savefig(target)
        plt.close(figure)
    return target


def _example(operator: Operator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First coordinates (q,), the network's and the reference solution (q,) on a line.

    The line is the interval, or the diagonal of a box; the input function is one of the law.
    """
    problem, law = operator.ansatz.problem, operator.ansatz.problem.random_field
    low, high = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
    line = low + np.linspace(0, 1, 1001)[:, None] * (high - low)
    if law is None:
        return line[:, 0], operator(line), _reference(operator, None, line)
    coefficients = np.asarray(law.sample(jax.random.key(0), 1), np.float64)
    field = Field(coefficients, law.basis)
    values = np.asarray(field(jnp.asarray(law.sensors, jnp.float32)))
    return line[:, 0], operator(values, line)[0], _reference(operator, field, line)


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


def spectra(target: str, eps: Sequence[float] = (1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)) -> None:
    """Draws λ_max(D_ε) against ε, and how the eigenvalues of S fall for a fresh 3×30 tanh net."""
    n, points = 255, 200
    problems: dict[str, Problem] = {
        "Allen–Cahn 1D": AllenCahn1D(),
        "Helmholtz, d = 20, tensor grid": Helmholtz(),
        "Burgers, steady": BurgersSteady(),
    }
    ansatz = Ansatz(AllenCahn1D(conditions_by="loss"), MLP())
    x = kernels.equispaced((0.0, 1.0), points).x
    fresh = kernels.kernel(ansatz, ansatz.init(jax.random.key(0)), Lam(0.0, 1.0), x[:, None])
    with plt.rc_context(_STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
        for (name, problem), marker in zip(problems.items(), "os^", strict=True):
            left.loglog(eps, kernels.largest(problem, eps, n), marker=marker, ms=4, label=name)
        title = f"largest |eigenvalue| of the linearised operator,\nat h = length/{n + 1} an axis"
        left.set(xlabel="ε", ylabel="λ_max(D_ε)", title=title)
        left.legend(fontsize=8)
        index, s = np.arange(1, points + 1), fresh.s
        for dtype, color in (("float32", "C2"), ("float64", "C1")):
            v = fresh.value.astype(dtype)
            formed = np.sort(np.abs(np.linalg.eigvalsh(v @ v.T)))[::-1] / s.eigenvalues[0]
            right.semilogy(index, formed, ".", color=color)
            label = f"S formed as a product in {dtype}: rank {s.formed(dtype)}"
            right.text(40, 8 * formed[20], label, color=color, ha="right", fontsize=8)
        right.semilogy(index, s.eigenvalues / s.eigenvalues[0], "o", ms=6, mfc="none", color="C0")
        floor = (s.rounding / s.sigma[0]) ** 2
        right.axhline(floor, color="C0", lw=0.8, ls=(0, (4, 3)))
        label = f"singular values of V, squared: rank {s.rank}"
        right.text(40, 8 * floor, label, color="C0", ha="right", fontsize=8)
        title = f"eigenvalues of S at {points} points,\n3×30 tanh network, Xavier start"
        right.set(xlabel="i", ylabel="|λ_i| / λ_1", title=title, xlim=(0, 41), ylim=(1e-36, 1e2))
        figure.savefig(target)
        plt.close(figure)
