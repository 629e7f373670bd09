"""Newton's method on Numerov's differences, for u″ = F(u, a(x), λ) on an interval.

    (u_{i−1} − 2u_i + u_{i+1}) / h² = (F_{i−1} + 10 F_i + F_{i+1}) / 12

on equally spaced points: of fourth order, and its systems have three diagonals. So many points are
cheap that layers need not be known beforehand: it takes some ten to the thinnest.
Source: Hairer, Nørsett, Wanner, *Solving Ordinary Differential Equations I*, 2nd ed., III.10.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from scipy.interpolate import CubicSpline

from hop import ambient
from hop.domain import Box
from hop.laws import Field, how_many
from hop.problem import Lam
from hop.references.newton import SMALL, Found, Guess, iterate, size_of

_BATCH = 64

# u (k,), the inputs' values (k,) by name, and λ → u″ (k,)
Force = Callable[[Array, Mapping[str, Array], Lam], Array]


@dataclasses.dataclass(frozen=True)
class Solution:
    """The cubic splines through `values` (n, N + 1) at equally spaced `places` (N + 1,)."""

    places: np.ndarray
    values: Float[np.ndarray, "n k"]

    def __call__(self, x: Float[np.ndarray, "q 1"]) -> Float[np.ndarray, "n q"]:
        """Values at points; NaN of a function that has one."""
        found = np.full((len(self.values), len(x)), np.nan)
        known = np.isfinite(self.values).all(axis=1)
        if known.any():
            found[known] = CubicSpline(self.places, self.values[known], axis=1)(x[:, 0])
        return found


def newton(
    force: Force,
    interval: Box,
    a: Mapping[str, Field],
    lam: Lam,
    ends: Float[np.ndarray, "n 2"],
    nodes: int,
    guess: Guess,
    small: float = SMALL,
) -> Found:
    """Solves u″ = F with u = `ends` at the ends of the interval.

    Args:
      force: F, pointwise in the values of u and of the inputs; a function of a module.
      interval: where.
      a: n functions for each input, by its name; {} for one function without input.
      lam: s and ε.
      ends: the values of u at the lower and at the upper end.
      nodes: N, the number of steps h.
      guess: where to start.
      small: ends the iteration, once a step is so small beside the guess.

    Returns:
      Among the rest, the `Solution`.
    """
    x = interval.grid(nodes + 1)
    start = np.array(guess(x), np.float64)
    start[:, 0], start[:, -1] = ends.T
    size, made, h = size_of(start), [], float(x[1, 0] - x[0, 0])
    with ambient.on_cpu():
        place = jnp.asarray([lam.s, lam.eps], jnp.float64)
        for first in range(0, how_many(a), _BATCH):
            chunk = slice(first, first + _BATCH)
            inputs = {
                name: jax.tree.map(lambda c: jnp.asarray(c[chunk], float), field)(jnp.asarray(x))  # noqa: B023
                for name, field in a.items()
            }
            guesses = jnp.asarray(start[chunk]), jnp.asarray(small * size[chunk])
            made.append(jax.tree.map(np.asarray, _newton(force, h, inputs, place, *guesses)))
    u, step, iterations, residual = map(np.concatenate, zip(*made, strict=True))
    return Found(Solution(x[:, 0], u), iterations, step / size, residual, nodes)


@functools.partial(jax.jit, static_argnums=0)
def _newton(
    force: Force,
    h: Array,
    inputs: Mapping[str, Array],
    place: Array,
    start: Array,
    small: Array,
) -> tuple[Array, Array, Array, Array]:
    """From guesses (b, N + 1), as `iterate`."""

    def one(u: Array, small: Array, a: Mapping[str, Array]) -> tuple[Array, Array, Array, Array]:
        def forced(whole: Array) -> Array:
            return force(whole, a, Lam(place[0], place[1]))

        def equations(inner: Array) -> tuple[Array, Array]:
            whole = jnp.concatenate([u[:1], inner, u[-1:]])
            F, slope = jax.jvp(forced, (whole,), (jnp.ones_like(whole),))
            mean = (F[:-2] + 10 * F[1:-1] + F[2:]) / 12
            rows = whole[:-2] - 2 * inner + whole[2:] - h**2 * mean
            left, right = (1 - h**2 * s / 12 for s in (slope[:-2], slope[2:]))
            middle, zero = -2 - 10 * h**2 * slope[1:-1] / 12, jnp.zeros_like(left[:1])
            below, above = jnp.concatenate([zero, left[1:]]), jnp.concatenate([right[:-1], zero])
            step = jax.lax.linalg.tridiagonal_solve(below, middle, above, rows[:, None])
            return rows, step[:, 0]

        inner, step, count, left = iterate(equations, u[1:-1], small)
        return jnp.concatenate([u[:1], inner, u[-1:]]), step, count, left

    return jax.vmap(one)(start, small, inputs)
