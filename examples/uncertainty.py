# %% [markdown]
"""
# From the law of u₀ to the law of u(x, t)

A hundred thousand random initial states of Burgers' equation with viscosity 0.01 go through the
pretrained operator `burgers-time`. Out come mean, deviation, quantiles and density of the solution
at a point and of its steepest descent max −u_x, how sharp the shock is. The classical spectral
solver runs on a thousand of the same states, which tells the operator's bias from Monte Carlo
error, and is timed beside it in the same run: for this equation it is hard to beat.

    python examples/uncertainty.py --count=100000 --output=runs
"""

# %%
import argparse
import timeit
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import hop
from hop.laws import Field
from hop.problems.burgers_time import diffusion, transport
from hop.references import spectral

parser = argparse.ArgumentParser(description="The law of a solution from the law of its u₀.")
parser.add_argument("--count", type=int, default=100_000, help="random initial states")
parser.add_argument("--output", type=Path, default=Path("runs"), help="folder of the picture")
# A notebook has no command line.
args = parser.parse_args([] if "get_ipython" in globals() else None)

# %% [markdown]
"""
## The operator on every state

New draws from the law that the operator was trained on. Batches bound the memory: of each solution
only the quantities of interest are kept. Both have the same law at every x, for the law of u₀ does
not change when it is shifted; nor does it under x ↦ −x, u ↦ −u, so the first mean is 0 exactly.
"""

# %%
BATCH, CELLS, TIMES = 5_000, 128, np.linspace(0, 1, 5)
op = hop.load("burgers-time", eps=0.01)
law = op.ansatz.problem.inputs["u0"]
grid = np.stack([np.tile(np.arange(CELLS) / CELLS, len(TIMES)), np.repeat(TIMES, CELLS)], axis=1)
sizes = [min(BATCH, args.count - first) for first in range(0, args.count, BATCH)]


def draw(batch: int) -> Field:
    key = jax.random.fold_in(jax.random.key(2024), batch)
    return law.sample(key, sizes[batch])


def quantities(u: np.ndarray) -> np.ndarray:
    """u(½, t) and max −u_x(·, t), (2, n, times), from values at the cells."""
    u = u.reshape(len(u), -1, CELLS)
    derivative = 2j * np.pi * np.arange(CELLS // 2) * np.fft.rfft(u, norm="forward")[..., :-1]
    slope = np.fft.irfft(derivative, 4 * CELLS, norm="forward")  # between the cells, too
    return np.stack([u[..., CELLS // 2], -slope.min(axis=-1)])


def row(*cells: object) -> None:
    print(f"{cells[0]!s:19}" + "".join(f"{cell!s:>12}" for cell in cells[1:]))


started = timeit.default_timer()
values = (np.asarray(law.values(draw(batch))) for batch in range(len(sizes)))
found = np.concatenate([quantities(op(u0, grid)) for u0 in values], axis=1)
print(f"{args.count:,} states, {len(grid)} values each: {timeit.default_timer() - started:.1f} s")
row("", "mean", "± MC error", "deviation", "5 %", "50 %", "95 %")
names = ("u(1/2, t)", "max -u_x")
for name, laws in zip(names, found, strict=True):
    for t, v in zip(TIMES, laws.T, strict=True):
        numbers = v.mean(), v.std() / len(v) ** 0.5, v.std(), *np.quantile(v, [0.05, 0.5, 0.95])
        row(f"{name}, t = {t:g}", *(f"{number:.4f}" for number in numbers))

# %% [markdown]
"""
## Is it right?

The bias is the mean difference from a converged solution of the same states, at t = 1. While it is
below the Monte Carlo error, more states help and a better solver does not.
"""

# %%
few, last = min(1000, args.count), grid[-CELLS:]
states = law.field(draw(0).coefficients[:few])
exact = op.ansatz.problem.reference({"u0": states}, last, op.lam)
truth = quantities(exact)[..., 0]
off = found[:, :few, -1] - truth
row(f"{few:,} states, t = 1", "operator", "solver", "bias", f"MC {few:,}", f"MC {args.count:,}")
for name, theirs, difference in zip(names, truth, off, strict=True):
    errors = difference.mean(), *theirs.std() / np.sqrt([few, args.count])
    means = (f"{mean:.4f}" for mean in (theirs.mean() + difference.mean(), theirs.mean()))
    row(name, *means, *(f"{error:.1e}" for error in errors))

# %% [markdown]
"""
## What does it cost?

Seconds for these states at t = 1, for u on the circle and for u(½, 1) alone, the best of three
without compilation. A dozen modes and ten steps, in double precision, are quicker on the circle
than the operator, and more accurate. The operator is ahead where a few values of each solution are
enough at its accuracy, since the solver has to march through all of x and t even for one.
"""

# %%
u0 = np.asarray(law.values(states))


def solver(modes: int, steps: int):
    fine = np.full(few, modes), np.full(few, steps)
    burgers = transport, diffusion(op.eps), states
    return lambda x: spectral.solve(*burgers, x[:, 0], x[:, 1], *fine, block=1024)


grids = [(8, 10), (12, 10), (16, 20), (32, 40)]
methods = {f"{m} modes, {s} steps": solver(m, s) for m, s in grids}
costs = {}
row("", "L2RE", "of max -u_x", "circle", "point")
for name, method in {"operator": lambda x: op(u0, x), **methods}.items():
    u = method(last)
    l2re = np.mean(np.linalg.norm(u - exact, axis=1) / np.linalg.norm(exact, axis=1))
    slopes = np.linalg.norm(quantities(u)[1, :, 0] - truth[1]) / np.linalg.norm(truth[1])
    seconds = []
    for x in (last, last[CELLS // 2 :][:1]):
        method(x)
        seconds.append(min(timeit.repeat(lambda m=method, x=x: m(x), repeat=3, number=1)))
    costs[name] = l2re, *seconds
    row(name, f"{l2re:.1e}", f"{slopes:.1e}", *(f"{s:.4f} s" for s in seconds))

# %%
plt.rc("axes.spines", top=False, right=False)
plt.rc("legend", frameon=False, fontsize=8)
figure, (fan, density, cost) = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
low, lower, median, upper, high = np.quantile(found[1], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
fan.fill_between(TIMES, low, high, color="C0", alpha=0.2, lw=0, label="5 to 95 %")
fan.fill_between(TIMES, lower, upper, color="C0", alpha=0.35, lw=0, label="25 to 75 %")
fan.plot(TIMES, median, "C0o-", label="median")
fan.set(xlabel="t", ylabel="max −u$_x$", title="How sharp is the shock?")
fan.legend()
edges = np.linspace(0, np.quantile(found[1, :, -1], 0.999), 41)
label = f"operator, {args.count:,} states"
density.hist(found[1, :, -1], edges, density=True, color="C0", alpha=0.35, label=label)
heights, wide = np.histogram(truth[1], edges[::2])
scale, label = few * np.diff(wide), f"solver, {few:,} states, ± MC error"
centres, error = (wide[1:] + wide[:-1]) / 2, np.sqrt(heights) / scale
density.errorbar(centres, heights / scale, error, fmt="k.", lw=1, label=label)
density.set(xlabel="max −u$_x$(·, 1)", ylabel="density", title="Its law at t = 1")
density.legend()
for name, (l2re, circle, point) in costs.items():
    color, height = ("C0", "bottom") if name == "operator" else ("black", "top")
    cost.loglog([circle, point], [l2re] * 2, "o-", color=color, lw=0.8, mfc="white")
    cost.loglog(circle, l2re, "o", color=color)
    cost.text(max(circle, point), l2re, f"   {name}", fontsize=8, va=height, color=color)
cost.set(xlabel=f"seconds for {few:,} states: ● circle, ○ one point", ylabel="mean L2RE at t = 1")
cost.set(title="Accuracy and cost", xlim=(None, 5 * max(c[1] for c in costs.values())))
args.output.mkdir(parents=True, exist_ok=True)
figure.savefig(args.output / "uncertainty.png", dpi=120)
