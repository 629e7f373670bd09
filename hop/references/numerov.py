"""Newton's method on Numerov's differences, for u″ = F(u, a(x), λ) on an interval.

    (u_{i−1} − 2u_i + u_{i+1}) / h² = (F_{i−1} + 10 F_i + F_{i+1}) / 12

on equally spaced points: of fourth order, and its systems have three diagonals. So many points are
cheap that layers need not be known beforehand: it takes some ten to the thinnest.
Source: Hairer, Nørsett, Wanner, *Solving Ordinary Differential Equations I*, 2nd ed., III.10.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

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

STRIDE = 0.15  # of u, in one stride of a path
_BATCH = 64
_LONGEST, _SHORTEST = 0.2, 1e-6  # strides in log ε
_ON_THE_WAY = 1e-4  # a last step

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
    return _in_batches(_newton, force, interval, a, (lam.s, lam.eps), ends, nodes, guess, small)


def follow(
    force: Force,
    interval: Box,
    a: Mapping[str, Field],
    start: float,
    lam: Lam,
    ends: Float[np.ndarray, "n 2"],
    nodes: int,
    guess: Guess,
    small: float = SMALL,
    stride: float = STRIDE,
) -> Found:
    """The same by continuation: from ε = `start`, where the guess is, down to λ.

    Of several solutions this is the one that the path leads to. Each function takes strides of its
    own: a stride is taken back and halved where Newton's method does not converge, where u moves by
    more than `stride` anywhere, or where it ends at a solution that is not stable, so that a path
    that bends sharply is not left for another. A path that ends, in a fold, is left at the shortest
    stride for where Newton's method leads.

    u is stable, that is −∂² + F_u has no negative eigenvalue, where (−∂² + F_u) v = 1 has a
    positive solution v (of M-matrices: Berman, Plemmons, *Nonnegative Matrices in the Mathematical
    Sciences*, SIAM 1994, chapter 6, theorem 2.3).
    """
    place = (lam.s, lam.eps, start, stride)
    return _in_batches(_follow, force, interval, a, place, ends, nodes, guess, small)


def _in_batches(
    solver: Any,
    force: Force,
    interval: Box,
    a: Mapping[str, Field],
    place: tuple[float, ...],
    ends: Float[np.ndarray, "n 2"],
    nodes: int,
    guess: Guess,
    small: float,
) -> Found:
    x = interval.grid(nodes + 1)
    start = np.array(guess(x), np.float64)
    start[:, 0], start[:, -1] = ends.T
    size, made, h = size_of(start), [], float(x[1, 0] - x[0, 0])
    with ambient.on_cpu():
        numbers = jnp.asarray(place, jnp.float64)
        for first in range(0, how_many(a), _BATCH):
            chunk = slice(first, first + _BATCH)
            inputs = {
                name: jax.tree.map(lambda c: jnp.asarray(c[chunk], float), field)(jnp.asarray(x))  # noqa: B023
                for name, field in a.items()
            }
            guesses = jnp.asarray(start[chunk]), jnp.asarray(small * size[chunk])
            made.append(jax.tree.map(np.asarray, solver(force, h, inputs, numbers, *guesses)))
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
        return _solve(force, h, a, Lam(place[0], place[1]), u, small)

    return jax.vmap(one)(start, small, inputs)


@functools.partial(jax.jit, static_argnums=0)
def _follow(
    force: Force,
    h: Array,
    inputs: Mapping[str, Array],
    place: Array,
    start: Array,
    small: Array,
) -> tuple[Array, Array, Array, Array]:
    """As `_newton`, from guesses at a larger ε; the steps are those of all strides."""
    s, target, first, most = place

    def one(u: Array, small: Array, a: Mapping[str, Array]) -> tuple[Array, Array, Array, Array]:
        def unfinished(carry: Any) -> Array:
            _, eps, stride, _ = carry
            return (eps > target) & (stride > 0)

        def onward(carry: Any) -> Any:
            u, eps, stride, count = carry
            to = jnp.maximum(target, eps * jnp.exp(-stride))
            found, step, more, _ = _solve(force, h, a, Lam(s, to), u, rough)
            done = step <= rough
            near = jnp.max(jnp.abs(found - u)) <= most
            steady = jnp.min(_response(force, h, a, Lam(s, to), found)) > 0
            ends = stride <= _SHORTEST
            taken = done & ((near & steady) | ends)
            then = jnp.where(taken, jnp.minimum(1.5 * stride, _LONGEST), stride / 2)
            then = jnp.where(ends & ~done, 0.0, then)
            u, eps = jnp.where(taken, found, u), jnp.where(taken, to, eps)
            return u, eps, then, count + more

        rough = jnp.maximum(small, _ON_THE_WAY)
        u, step, count, _ = _solve(force, h, a, Lam(s, first), u, rough)
        begun = (u, first, jnp.where(step <= rough, _LONGEST, 0.0), count)
        u, eps, _, count = jax.lax.while_loop(unfinished, onward, begun)
        u, step, more, left = _solve(force, h, a, Lam(s, target), u, small)
        return u, jnp.where(eps > target, jnp.inf, step), count + more, left

    return jax.vmap(one)(start, small, inputs)


def _solve(
    force: Force, h: Array, a: Mapping[str, Array], lam: Lam, u: Array, small: Array
) -> tuple[Array, Array, Array, Array]:
    """What `iterate` gives for one function, from a guess (N + 1,) with the right ends."""

    def equations(inner: Array) -> tuple[Array, Array]:
        whole = jnp.concatenate([u[:1], inner, u[-1:]])
        F, _ = _forced(force, a, lam, whole)
        mean = (F[:-2] + 10 * F[1:-1] + F[2:]) / 12
        rows = whole[:-2] - 2 * inner + whole[2:] - h**2 * mean
        return rows, _by_jacobian(force, h, a, lam, whole, rows)

    inner, step, count, left = iterate(equations, u[1:-1], small)
    return jnp.concatenate([u[:1], inner, u[-1:]]), step, count, left


def _response(force: Force, h: Array, a: Mapping[str, Array], lam: Lam, u: Array) -> Array:
    """h² v of (−∂² + F_u) v = 1, v = 0 at the ends, inside of them."""
    return -_by_jacobian(force, h, a, lam, u, jnp.ones_like(u[1:-1]))


def _by_jacobian(
    force: Force, h: Array, a: Mapping[str, Array], lam: Lam, u: Array, rows: Array
) -> Array:
    """The Jacobian's inverse times some rows."""
    _, slope = _forced(force, a, lam, u)
    left, right = (1 - h**2 * s / 12 for s in (slope[:-2], slope[2:]))
    middle, zero = -2 - 10 * h**2 * slope[1:-1] / 12, jnp.zeros_like(left[:1])
    below, above = jnp.concatenate([zero, left[1:]]), jnp.concatenate([right[:-1], zero])
    return jax.lax.linalg.tridiagonal_solve(below, middle, above, rows[:, None])[:, 0]


def _forced(force: Force, a: Mapping[str, Array], lam: Lam, u: Array) -> tuple[Array, Array]:
    """F and F_u."""
    return jax.jvp(lambda u: force(u, a, lam), (u,), (jnp.ones_like(u),))
