"""Steers noisy particles by the gradient of an operator, to an end of least cost.

The operator gives u(x, t), the least cost from x with the time t left, of a cost it has never seen.
Particles go by the feedback −∇u,

    dX = −∇u(X, 1 − s) ds + √(2ε) dW,  0 ≤ s ≤ 1,

and pay ½ |∇u|² on the way and g(X_1) at the end. As ε → 0 they tend to the straight line to the end
y that minimises g(y) + ½ |y − x|², the deterministic optimum. Beside the feedback stands that line
flown blindly with the same noise, and no control at all.

python examples/steering.py                      # with the pretrained model, writes steering.png
python examples/steering.py runs/family --key=3  # with another, for another cost and start
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

import hop
from hop import files
from hop.checkpoints import Store

STARTS = 40  # of the search for the best end


def walk(control, start, eps, noise):
    """Positions (steps + 1, q, d) of particles from one start, and ∫ ½ |control|² of each (q,).

    `control` takes positions (q, d) and the time that has passed; `noise` is (steps, q, d) of
    standard normal numbers.
    """
    dt = 1 / len(noise)
    x, effort = [np.tile(start, (noise.shape[1], 1))], 0.0
    for k, z in enumerate(noise):
        push = control(x[-1], k * dt)
        effort = effort + dt * np.sum(push**2, axis=1) / 2
        x.append(x[-1] + dt * push + np.sqrt(2 * eps * dt) * z)
    return np.stack(x), effort


def best_end(g, start, rng):
    """The y that minimises g(y) + ½ |y − x|², from several starts."""
    whole = jax.jit(jax.value_and_grad(lambda y: g(y) + jnp.sum((y - start) ** 2) / 2))

    def of(y):
        value, slope = whole(y)
        return float(value), np.asarray(slope, float)

    tries = start + rng.normal(size=(STARTS, len(start)))
    return min((minimize(of, at, jac=True) for at in tries), key=lambda each: each.fun).x


def main(words=None):
    parser = argparse.ArgumentParser(description="Steers particles by the gradient of an operator.")
    parser.add_argument("source", nargs="?", default="hamilton-jacobi-20d")
    parser.add_argument("--key", type=int, default=0, help="of the cost and the start")
    parser.add_argument("--particles", type=int, default=200)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--output", default="steering.png")
    args = parser.parse_args(words)
    ladder = [hop.load(args.source, stage=i.stage) for i in Store.find(args.source).stages()]
    problem, rng = ladder[0].ansatz.problem, np.random.default_rng(args.key)
    numbers = np.asarray(problem.law.sample(jax.random.key(args.key), 1).coefficients)
    start = rng.normal(size=problem.dim)
    parts = problem.cost_of({"cost": jnp.asarray(numbers.T[..., None])}, numbers.dtype)

    def costs(ends):
        return problem.value(parts, jnp.asarray(ends, numbers.dtype).T[:, None])[0]

    end = best_end(lambda y: costs(y[None])[0], start, rng)
    noise = rng.normal(size=(args.steps, args.particles, problem.dim))
    rows, flown = [], []
    for op in ladder:

        def feedback(x, time, op=op):
            left = np.full((len(x), 1), 1 - time)
            return -op.derivative(numbers, np.hstack([x, left]), "∇")[:, 0].T

        def straight(x, time):
            return np.tile(end - start, (len(x), 1))

        controls = (feedback, straight, lambda x, time: np.zeros_like(x))
        walks = [walk(control, start, op.eps, noise) for control in controls]
        means = [np.mean(effort + np.asarray(costs(x[-1]))) for x, effort in walks]
        least = op(numbers, np.append(start, 1.0)[None])[0, 0]
        field = {"cost": problem.law.field(numbers)}
        exact = problem.reference(field, np.append(start, 1.0)[None], op.lam)[0, 0]
        rows.append([f"{op.eps:g}", *(f"{v:.3f}" for v in (exact, least, *means))])
        flown.append((op.eps, walks[0][0]))
    columns = ["ε", "least cost", "u", "steered by −∇u", "straight to the best end", "no control"]
    print(files.table(columns, rows))
    draw(problem, parts, flown, start, end, costs, Path(args.output))
    print(args.output)


def draw(problem, parts, flown, start, end, costs, target):
    """The paths in the plane of the two directions with the highest waves."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    height = np.hypot(parts.p, parts.q).ravel()
    v = problem.directions[np.sort(np.argsort(height)[-2:])]
    side = np.linspace(-2.5, 2.5, 121)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    ground = np.asarray(costs(end + (grid - v @ end) @ v)).reshape(len(side), -1)
    figure, panels = plt.subplots(1, len(flown), figsize=(3.1 * len(flown), 3.5), sharey=True)
    for panel, (eps, x) in zip(np.atleast_1d(panels), flown, strict=True):
        panel.contourf(side, side, ground, 24, cmap="Greys", alpha=0.6)
        along = x @ v.T
        panel.plot(along[:, :60, 0], along[:, :60, 1], color="C0", lw=0.6, alpha=0.5)
        panel.plot(
            along[-1, :, 0], along[-1, :, 1], ".", color="C0", ms=3, label="steered, and ends"
        )
        line = np.stack([start, end]) @ v.T
        panel.plot(line[:, 0], line[:, 1], "--", color="C3", lw=1.8, label="optimum for ε = 0")
        panel.plot(*line[0], "o", color="black", ms=5)
        panel.set(title=f"ε = {eps:g}", xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), xlabel="along v₁")
        panel.set_aspect("equal")
    np.atleast_1d(panels)[0].set_ylabel("along v₂")
    np.atleast_1d(panels)[0].legend(loc="lower left", fontsize=7)
    figure.tight_layout()
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    try:
        main()
    except hop.UserError as error:
        raise SystemExit(f"steering.py: {error}") from error
