# %% [markdown]
"""
# Recover u₀ from noisy observations

Forty noisy values of a solution of Burgers' equation with viscosity 0.01, at scattered places and
times t > 0.2, determine its initial state u₀: the pretrained operator `burgers-time` is
differentiable, so Gauss–Newton finds the most probable u₀ under the law of the field, and its last
Jacobian gives the band around it (Laplace's approximation). The classical solver, which took no
part, then has the last word: from the recovered u₀ it must meet the data to within the noise.

    python examples/inverse.py --count=40 --output=runs
"""

# %%
import argparse
import timeit
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import least_squares

import hop
from hop.problems.burgers_time import diffusion, transport
from hop.references import spectral

parser = argparse.ArgumentParser(description="The initial state of a solution, from its values.")
parser.add_argument("--count", type=int, default=40, help="observations")
parser.add_argument("--states", type=int, default=10, help="initial states, each recovered alone")
parser.add_argument("--output", type=Path, default=Path("runs"), help="folder of the picture")
# A notebook has no command line.
args = parser.parse_args([] if "get_ipython" in globals() else None)

# %% [markdown]
"""
## The estimate

u₀ = Σ_j √λ_j z_j e_j, with z ~ N(0, 1) by the law of the field. The most probable z minimises
|G(z) − data|²/2σ² + |z|²/2, where G is the operator at the places of the observations. The
operator's own error, about 0.1 % of a typical u₀, counts as noise beside that of the data.
"""

# %%
op = hop.load("burgers-time", eps=0.01)
law = op.ansatz.problem.inputs["u0"]
scales = np.sqrt(law.spectrum).astype(np.float32)
MODEL_ERROR = 1e-3 * law.scale


def basis(x: np.ndarray) -> np.ndarray:
    """√λ_j e_j at x (q,): (q, K)."""
    each = law.field(jnp.eye(law.size))
    return scales * np.asarray(each(jnp.asarray(x, jnp.float32))).T


modes = basis(op.sensors)


@jax.jit
def predict(z: jax.Array, points: jax.Array) -> jax.Array:
    return op((modes @ z)[None], points)[0]


slopes = jax.jit(jax.jacrev(predict))


def recover(points: np.ndarray, data: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """The most probable z (K,), and the covariance (K, K) of what is left unknown."""
    sigma, points = np.hypot(noise, MODEL_ERROR), points.astype(np.float32)

    def rows(z):
        return np.concatenate([(predict(z.astype(np.float32), points) - data) / sigma, z])

    def jacobian(z):
        return np.concatenate([slopes(z.astype(np.float32), points) / sigma, np.eye(len(z))])

    best = least_squares(rows, np.zeros(len(scales)), jacobian, method="lm", xtol=1e-5)
    return best.x, np.linalg.inv(best.jac.T @ best.jac)


# %% [markdown]
"""
## Against the truth, and against the noise

The data are those of the classical solver from a u₀ drawn from the law, with Gaussian noise in
per cent of a typical u₀. The error is relative in L2; "in band" is how much of the truth lies in
the 95 % band; "misfit" is that of the classical solver from the recovered u₀, in units of the
noise. Medians over the u₀. The last row is a control: with the data exchanged among their places,
nothing is recovered and nothing fits.
"""

# %%
rng = np.random.default_rng(7)
NOISES = [0.1, 0.03, 0.01, 0.003]
circle = np.linspace(0, 1, 201)
waves = basis(circle)
points = np.stack([rng.random(args.count), rng.uniform(0.2, 1, args.count)], axis=1)
truths = rng.normal(size=(args.states, len(scales)))


def classical(z: np.ndarray, points: np.ndarray) -> np.ndarray:
    a = {"u0": law.field(scales * z)}
    return op.ansatz.problem.reference(a, points, op.lam)


def judge(truth: np.ndarray, data: np.ndarray, noise: float) -> tuple[float, ...]:
    """Relative error, mean deviation of the band, share in the band, misfit of the solver."""
    z, covariance = recover(points, data, noise)
    band = np.sqrt(np.einsum("xi,ij,xj->x", waves, covariance, waves))
    off, size = waves @ (z - truth), np.linalg.norm(waves @ truth)
    misfit = np.sqrt(np.mean((classical(z[None], points)[0] - data) ** 2)) / noise
    inside = np.mean(np.abs(off) <= 1.96 * band)
    return np.linalg.norm(off) / size, np.linalg.norm(band) / size, inside, misfit


clean, draws = classical(truths, points), rng.normal(size=(args.states, args.count))
order, results = rng.permutation(args.count), {}
cases = {f"{100 * noise:g} %": (noise, slice(None)) for noise in NOISES}
cases["1 %, exchanged"] = (0.01, order)
print(f"{'noise':16}{'error of u₀':>12}{'worst':>9}{'deviation':>11}{'in band':>9}{'misfit':>8}")
for name, (level, places) in cases.items():
    noise = level * law.scale
    data = (clean + noise * draws)[:, places]
    results[name] = np.array([judge(*pair, noise) for pair in zip(truths, data, strict=True)])
    error, deviation, inside, misfit = np.median(results[name], axis=0)
    worst = results[name][:, 0].max()
    print(f"{name:16}{error:12.2g}{worst:9.2g}{deviation:11.2g}{inside:9.0%}{misfit:8.2g}")

# %% [markdown]
"""
## What does it cost?

A Jacobian, most of the work of a step: through the operator, and by differences of the spectral
solver on a grid, 16 modes and 20 steps, that is more accurate than the operator and needs 33
marches. Most of the solver's time goes into stopping at every observation's own time; a march
written for the purpose, with its adjoint, would be far quicker. The operator's adjoint is there.
"""


# %%
def differences(z: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """∂u/∂z_j at the observations for the modes of the coarse grid, (q, 32)."""
    steps = step * np.eye(len(z))[LOW]
    shifted = law.field(scales * np.concatenate([z[None], z + steps]))
    fine = np.full(33, 16), np.full(33, 20)
    u = spectral.solve(transport, diffusion(op.eps), shifted, *points.T, *fine, block=64)
    return (u[1:] - u[0]).T / step


LOW = np.r_[:16, law.modes : law.modes + 16]  # cosines, then sines
at = truths[0].astype(np.float32), points.astype(np.float32)
ways = {
    "operator": lambda: np.asarray(slopes(*at))[:, LOW],
    "solver": lambda: differences(truths[0]),
}
jacobians = {name: way() for name, way in ways.items()}
for name, way in ways.items():
    seconds = min(timeit.repeat(way, repeat=5, number=1))
    print(f"a Jacobian by the {name}: {1000 * seconds:.1f} ms")
apart = np.linalg.norm(jacobians["operator"] - jacobians["solver"])
print(f"relative difference {apart / np.linalg.norm(jacobians['solver']):.1e}")

# %%
noise = NOISES[0] * law.scale
data = clean[0] + noise * draws[0]
z, covariance = recover(points, data, noise)
middle, band = waves @ z, 1.96 * np.sqrt(np.einsum("xi,ij,xj->x", waves, covariance, waves))
plt.rc("legend", frameon=False, fontsize=8)
figure, (start, plane, errors) = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
label = "95 % band"
start.fill_between(circle, middle - band, middle + band, color="C0", alpha=0.3, lw=0, label=label)
start.plot(circle, middle, "C0", label="recovered")
start.plot(circle, waves @ truths[0], "k--", lw=1, label="truth")
title = f"u₀ from {args.count} values with {100 * NOISES[0]:g} % noise"
start.set(xlabel="x", ylabel="u₀", title=title)
start.legend()
u = classical(z[None], op.grid).reshape(101, 101)
style = {"cmap": "RdBu_r", "vmin": -np.abs(u).max(), "vmax": np.abs(u).max()}
image = plane.imshow(u, origin="lower", extent=(0, 1, 0, 1), aspect="auto", **style)
plane.scatter(*points.T, c=data, edgecolors="black", s=30, **style)
plane.set(xlabel="x", ylabel="t", title="the classical solution from it, and the data")
figure.colorbar(image, ax=plane)
percent = 100 * np.array(NOISES)
each = 100 * np.stack([results[f"{level:g} %"][:, 0] for level in percent])
errors.loglog(percent, each, ".", color="0.6")
errors.loglog(percent, np.median(each, axis=1), "C0o-", label="median")
errors.axhline(100, color="black", lw=0.8, ls=(0, (4, 3)), label="the law's mean, u₀ = 0")
errors.set(xlabel="noise in %", ylabel="error of u₀ in %", title=f"{args.states} u₀ at each noise")
errors.legend()
args.output.mkdir(parents=True, exist_ok=True)
figure.savefig(args.output / "inverse.png", dpi=120)
