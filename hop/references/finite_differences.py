"""Explicit finite differences in time, the baseline that the paper compares with.

u_τ = −H(u; s, ε) is marched by forward Euler on m equally spaced points, derivatives by central
differences, u fixed at the two ends. Where H holds diffusion with the positive sign, −h₂ u_xx with
h₂ ≥ 0, the march is stable for Δτ ≤ min(Δx²/(2 h₂), 2 h₂/h₁²) and tends to the solution of H = 0
like exp(−λ₀τ), λ₀ the slowest eigenvalue. So it is stopped by time, at τ = ln(1/tol)/λ₀: a small
|u_τ| says little where λ₀ is small. The space error is O(Δx²).
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hop import ambient
from hop.derivatives import Jet
from hop.laws import Field, how_many
from hop.problem import Lam, Problem


def march(
    problem: Problem,
    a: Mapping[str, Field],
    lam: Lam,
    points: int,
    decay: float,
    speed: float,
    tolerance: float = 1e-6,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Marches from u = 0 until the transient has fallen to `tolerance`.

    Args:
      problem: of second order on an interval, with u = 0 at both ends.
      a: n functions for each input, by its name; {} for one solution without input.
      lam: s and ε.
      points: m, both ends included.
      decay: λ₀.
      speed: a bound on |h₁|, for Burgers on |u|.
      tolerance: of the transient.

    Returns:
      The points (m,), the solutions (n, m), and the number of time steps.
    """
    with ambient.on_cpu():
        grid = problem.domain.grid(points)
        dx, diffusion = float(grid[1, 0] - grid[0, 0]), (1 - lam.s) * lam.eps
        step = 0.9 * min(dx**2 / (2 * diffusion), 2 * diffusion / speed**2)
        count = math.ceil(math.log(1 / tolerance) / decay / step)
        x = jnp.asarray(grid)
        inner = {name: {"": field(x[1:-1, 0])} for name, field in a.items()}
        start = jnp.zeros((how_many(a), points))
        u = _march(problem, start, inner, x, jnp.asarray([lam.s, lam.eps]), step, count)
        return grid[:, 0], np.asarray(u), count


@functools.partial(jax.jit, static_argnums=0)
def _march(
    problem: Problem,
    start: Array,
    a: Mapping[str, Jet],
    x: Array,
    lam: Array,
    step: Any,
    count: Any,
) -> Array:
    dx = x[1, 0] - x[0, 0]
    at = x[1:-1].T[:, None, :]

    def advance(_: Array, u: Array) -> Array:
        left, mid, right = u[:, :-2], u[:, 1:-1], u[:, 2:]
        jet = {"": mid, "x": (right - left) / (2 * dx), "xx": (right - 2 * mid + left) / dx**2}
        return u.at[:, 1:-1].add(-step * problem.residual(jet, at, a, Lam(lam[0], lam[1])))

    return jax.lax.fori_loop(0, count, advance, start)
