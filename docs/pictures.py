"""Draws the pictures of docs/concepts.md into docs/images, in about a minute on a CPU core.

python docs/pictures.py [NAME …]        # all of them by default
"""

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import hop
from hop.ansatz import columns
from hop.config import experiment
from hop.console import Console
from hop.derivatives import jet
from hop.homotopy.slow_mode import slow_mode
from hop.laws import Field
from hop.networks import Perceptron, evaluate
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady

IMAGES = Path(__file__).parent / "images"
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "font.size": 10,
    "savefig.dpi": 130,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
DASHES: Any = {"color": "black", "lw": 0.8, "ls": (0, (4, 3))}


def functions(op: hop.Operator, count: int) -> tuple[dict[str, Field], np.ndarray]:
    """Input functions of the operator's own law, and their values (n, m) at its sensors."""
    law = op.ansatz.problem.inputs["u0"]
    drawn = law.sample(jax.random.key(3), count)
    field = law.field(np.asarray(drawn.coefficients, np.float64))
    return {"u0": field}, np.asarray(law.values(drawn))


def homotopy() -> plt.Figure:
    """One step along the path of Allen–Cahn: the last network, its Euler step, the corrected one.

    The strategy `euler` stops at the predictor, and `predictor_corrector` goes on from it.
    """
    operators = {}
    for strategy in ("euler", "predictor_corrector"):
        config = experiment(
            problem="allen_cahn_1d",
            network="mlp",
            strategy=strategy,
            solver="levenberg_marquardt",
        )
        config.network.widths = (12, 12)
        config.path.eps = (0.25, 0.2)
        config.train.update(precision="float64", points=128, steps=60, dispatch=10)
        config.mesh.update(function=1, point=-1)
        with tempfile.TemporaryDirectory() as folder:
            hop.train(config, folder, reporter=Console(speaks=False))
            operators[strategy] = [hop.load(folder, stage=k) for k in (0, 1)]
    last, corrected = operators["predictor_corrector"]
    _, predicted = operators["euler"]
    # The last stage's network, asked for the next place.
    start = dataclasses.replace(last, lam=corrected.lam)
    x = np.linspace(0.505, 0.995, 400)[:, None]
    truth = corrected.ansatz.problem.reference({}, x, corrected.lam)[0]
    names = ("start: the last network", "predictor: one Euler step", "corrector: the solver")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for op, name, color in zip(
        (start, predicted, corrected), names, ("C0", "C1", "C2"), strict=True
    ):
        loss = 0.5 * np.mean(op.residual(x) ** 2)
        left.plot(x, op(x), color=color, lw=2, label=name)
        right.semilogy(
            x, np.abs(op(x) - truth), color=color, lw=2, label=f"{name}, loss {loss:.0e}"
        )
    left.plot(x, truth, **DASHES, label="reference")
    left.set(
        xlabel="x", ylabel="u", title="a stage of Allen–Cahn, from ε = 0.25 to 0.2 (right half)"
    )
    right.set(xlabel="x", ylabel="|u − reference|", title="its error at ε = 0.2", ylim=(1e-8, 1e2))
    left.legend()
    right.legend(loc="upper right")
    return figure


def stages() -> plt.Figure:
    """Three checkpoints of burgers-time on one input function."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained", sharey=True)
    times = np.linspace(0, 1, 6)
    colors = plt.get_cmap("plasma")(np.linspace(0, 0.85, len(times)))
    for panel, eps in zip(axes, (0.1, 0.01, 0.001), strict=True):
        op = hop.load("burgers-time", eps=eps)
        a, u0 = functions(op, 1)
        x = op.ansatz.problem.domain.grid(401, len(times))
        u = op(u0, x).reshape(len(times), -1)
        truth = op.ansatz.problem.reference(a, x, op.lam).reshape(u.shape)
        for mine, theirs, t, color in zip(u, truth, times, colors, strict=True):
            panel.plot(x[:401, 0], mine, color=color, lw=2, label=f"t = {t:g}")
            panel.plot(x[:401, 0], theirs, **DASHES)
        panel.set(xlabel="x", title=f'hop.load("burgers-time", eps={eps:g})')
    axes[0].plot([], [], **DASHES, label="reference")
    axes[0].set(ylabel="u")
    axes[0].legend(ncols=2)
    return figure


def singular_value(problem, eps: float) -> float:
    """σ at the reference solution, on a grid that resolves it."""
    with jax.enable_x64(True):
        x = np.linspace(0, 1, 4001)[:, None]
        a = {name: law.field(np.zeros((1, law.size))) for name, law in problem.inputs.items()}
        u = problem.reference(a, x, Lam(0.0, eps))
        u_x = np.gradient(u, x[:, 0], axis=1)
        u_xx = np.gradient(u_x, x[:, 0], axis=1)
        solution = {
            label: jnp.asarray(v) for label, v in zip(("", "x", "xx"), (u, u_x, u_xx), strict=True)
        }
        zeros = {label: jnp.zeros_like(v) for label, v in solution.items()}
        inputs = dict.fromkeys(a, zeros)
        lam = Lam(jnp.float64(0), jnp.float64(eps))
        return float(slow_mode(problem, solution, inputs, jnp.asarray(x), lam).sigma[0])


def blind() -> plt.Figure:
    """Two errors of one size at ε = 0.05, A times each, and σ against ε."""
    op = hop.load("burgers-steady", eps=0.05)
    problem, lam = op.ansatz.problem, Lam(jnp.float32(0), jnp.float32(0.05))
    _, u0 = functions(op, 1)
    x = np.linspace(0, 1, 801)[:, None]
    u, a = op.jets(u0, x)
    mode = slow_mode(problem, u, a, jnp.asarray(x, jnp.float32), lam)
    phi = np.asarray(mode.phi[0], np.float64)
    phi *= np.sign(phi[len(phi) // 2])
    wave = np.sqrt(2) * np.sin(4 * np.pi * x[:, 0])
    size = 0.05
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    for name, error, color in (
        ("slow mode", phi, "C3"),
        ("a wave", wave, "C0"),
    ):
        slopes = [size * np.gradient(error, x[:, 0]), size * error]
        slopes.append(np.gradient(slopes[0], x[:, 0]))
        off = dict(zip(("x", "", "xx"), slopes, strict=True))
        off = {label: jnp.asarray(off[label], v.dtype)[None, :] for label, v in u.items()}
        at = columns(jnp.asarray(x, jnp.float32))
        h = jax.jvp(lambda u, at=at: problem.residual(u, at, a, lam), (u,), (off,))[1][0]
        moved = {"": u[""] + off[""]}
        axes[0].plot(x, np.asarray(moved[""])[0], color=color, lw=2, label=f"u + {size:g} · {name}")
        norm = np.sqrt(np.mean(np.square(h[2:-2])))
        axes[1].plot(x[2:-2], h[2:-2], color=color, lw=2, label=f"{name}: ‖H‖ = {norm:.1e}")
    axes[0].plot(x, np.asarray(u[""])[0], **DASHES, label="u")
    axes[0].set(xlabel="x", title="steady Burgers at ε = 0.05:\ntwo errors of one size in L2")
    axes[1].set(xlabel="x", ylabel="H", title="their residuals, to first order", ylim=(-0.9, 1.3))
    for name, other, eps, color in (
        ("steady Burgers", BurgersSteady(), np.geomspace(0.5, 0.03, 13), "C3"),
        ("Allen–Cahn", AllenCahn1D(), np.geomspace(0.5, 0.085, 13), "C4"),
    ):
        sigma = [singular_value(other, value) for value in eps]
        axes[2].semilogy(1 / eps, sigma, color=color, lw=2, label=name)
    for eps in (0.5, 0.1, 0.05):
        found = hop.gauge(hop.load("burgers-steady", eps=eps), u0).sigma[0]
        axes[2].plot(1 / eps, found, "o", color="black", ms=5)
    axes[2].plot([], [], "o", color="black", ms=5, label="hop.gauge of burgers-steady")
    axes[2].set(xlabel="1/ε", ylabel="σ", title="residual of a unit error along the slow mode")
    for panel in axes:
        panel.legend()
    return figure


def gauge() -> plt.Figure:
    """What the gauge says of networks made worse by noise in their parameters, and what is so."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    x = np.linspace(0, 1, 4001)[:, None]
    for eps, color in ((0.5, "C0"), (0.1, "C1"), (0.05, "C3")):
        op = hop.load("burgers-steady", eps=eps)
        a, u0 = functions(op, 1)
        truth = op.ansatz.problem.reference(a, x, op.lam)[0]
        u, a = op.jets(u0, x, np.float64)
        with jax.enable_x64(True):
            lam = Lam(jnp.float64(0), jnp.float64(eps))
            phi = np.asarray(slow_mode(op.ansatz.problem, u, a, jnp.asarray(x), lam).phi[0])
        rows = []
        for k in range(8):
            rng = np.random.default_rng(k)
            noise = jax.tree.map(lambda leaf, rng=rng: rng.standard_normal(leaf.shape), op.params)
            size = 10 ** rng.uniform(-4, -2)
            worse = dataclasses.replace(
                op,
                params=jax.tree.map(
                    lambda leaf, z, size=size: leaf * np.float32(1 + size * z), op.params, noise
                ),
            )
            u, found = worse(u0, x)[0], hop.gauge(worse, u0)
            middle = np.abs(x[:, 0] - 0.5) < 0.2
            place = np.interp(0, -u[middle], x[middle, 0])
            along = abs(np.mean(phi * (u - truth)))
            rows.append((along, found.error[0], place - 0.5, found.offset[0]))
        along, said, offset, offset_said = np.array(rows).T
        left.loglog(along, said, "o", color=color, ms=5, label=f"ε = {eps:g}")
        right.plot(offset, offset_said, "o", color=color, ms=5)
    for panel, title in (
        (left, "L2 error along the slow mode"),
        (right, "displacement of the shock"),
    ):
        ends = np.array(panel.get_xlim())
        panel.plot(ends, ends, **DASHES, label="equal")
        panel.set(xlabel="against the reference", ylabel="by hop.gauge, without it", title=title)
    right.set_xscale("symlog", linthresh=1e-6)
    right.set_yscale("symlog", linthresh=1e-6)
    left.legend()
    return figure


def contraction() -> plt.Figure:
    """One feature of burgers-time at t = 0.6, and its derivative: B T and B T_x."""
    op = hop.load("burgers-time", eps=0.01)
    net, count = op.ansatz.network, 24
    _, u0 = functions(op, count)
    x = np.stack([np.linspace(0, 1, 200), np.full(200, 0.6)], axis=1)
    y = op.ansatz.problem.domain.to_reference(jnp.asarray(x, jnp.float32))
    outputs = net.channels * net.rank
    values = jnp.asarray(op.ansatz.problem.inputs["u0"].normalise(u0), jnp.float32)
    branch = Perceptron((*net.branch, outputs), net.activation)
    trunk = Perceptron((*net.trunk, outputs), net.activation)
    b = evaluate(branch, op.params["branch"], values)[:, : net.rank]

    def features(points):
        """Of x on the circle, by cosines and sines, and t."""
        angle = np.pi * points[:, :1] * jnp.arange(1, op.ansatz.harmonics + 1)
        seen = jnp.concatenate([jnp.cos(angle), jnp.sin(angle), points[:, 1:]], axis=1)
        return evaluate(trunk, op.params["trunk"], seen)[:, : net.rank]

    t = jet(features, y, ("x",))
    u = {"": op(u0, x), "x": op.derivative(u0, x, "x")}
    figure, axes = plt.subplots(
        2, 4, figsize=(11, 4.4), layout="constrained", width_ratios=(1, 1.6, 1.6, 1.6)
    )
    for row, label in zip(axes, ("", "x"), strict=True):
        d = "$_x$" if label else ""
        images = (
            (b, "branch B\nfunctions × p"),
            (t[label].T, f"× trunk T{d}\np × points"),
            (b @ t[label].T, f"= feature F{d}\nfunctions × points"),
            (u[label], f"→ decoder and lift: u{d}\nfunctions × points"),
        )
        for panel, (image, title) in zip(row, images, strict=True):
            top = np.percentile(np.abs(image), 99)
            panel.imshow(
                image, cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto", interpolation="nearest"
            )
            panel.set(xticks=(), yticks=(), title=title)
    return figure


PICTURES = {f.__name__: f for f in (homotopy, stages, blind, gauge, contraction)}


def main(names: list[str], folder: Path = IMAGES) -> None:
    for name in names or PICTURES:
        with plt.rc_context(STYLE):
            figure = PICTURES[name]()
            figure.savefig(folder / f"{name}.png")
            plt.close(figure)
        print(folder / f"{name}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
