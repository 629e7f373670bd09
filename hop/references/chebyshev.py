"""Newton's method on a Chebyshev collocation of a two-point boundary value problem.

The unknowns are the values of u at N + 1 Chebyshev–Lobatto points of [lower, upper]; u_x and u_xx
come from the differentiation matrix (Trefethen, *Spectral Methods in MATLAB*, 2000, ch. 6), and
the residual is the problem's own. The error falls geometrically in N once the layers are resolved:
an interior layer of width ε on [0, 1] needs N of about 5/ε for twelve digits. Where layers lie is
often known: the interval is then cut near them, and u is a polynomial on each part, u and u_x
continuous. Parts whose lengths grow by a fixed factor from a wall need a number of points that
hardly grows as ε falls.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax import Array

from hop import ambient
from hop.derivatives import Jet, partials
from hop.laws import Field, how_many
from hop.problem import Lam, Problem
from hop.references.newton import SMALL, Found, Guess, iterate, size_of

_BATCH = 128


@dataclasses.dataclass(frozen=True)
class Solution:
    """The interpolating polynomials through `values` (n, N + 1) at `nodes` (N + 1,)."""

    nodes: np.ndarray
    values: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Values (n, q) at x (q,)."""
        # The weights of Lobatto points are known: ±1, halved at the ends (Berrut, Trefethen 2004).
        weights = (-1.0) ** np.arange(len(self.nodes))
        weights[[0, -1]] /= 2
        through = scipy.interpolate.BarycentricInterpolator
        return through(self.nodes, self.values, axis=1, wi=weights)(x)


@dataclasses.dataclass(frozen=True)
class Pieces:
    """Polynomials on parts of an interval, one part after the other."""

    parts: tuple[Solution, ...]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Values (n, q) at x (q,) or (q, 1)."""
        x = x.reshape(len(x))
        part = np.searchsorted([p.nodes[0] for p in self.parts[1:]], x, side="right")
        found = np.empty((len(self.parts[0].values), len(x)))
        for k in np.unique(part):
            found[:, part == k] = self.parts[k](x[part == k])
        return found


def newton(
    problem: Problem,
    a: Mapping[str, Field],
    walk: Sequence[Lam],
    interval: tuple[float, float],
    ends: tuple[float, float],
    nodes: int,
    cuts: Sequence[float] = (),
    guess: Guess | None = None,
    small: float = SMALL,
) -> Found:
    """Solves H(u; s, ε) = 0 on `interval` with u = `ends` there, at the last place of `walk`.

    Args:
      problem: a problem on an interval whose residual reads "", "x" and "xx".
      a: n functions for each input, by its name; {} for one function without input.
      walk: places (s, ε); each is solved from the solution before it, the first from the guess.
      interval: where to solve; a part of the domain where symmetry gives a value at a cut.
      ends: the values of u at the interval's ends.
      nodes: N, the polynomial degree.
      cuts: places inside the interval, rising, between which u is a polynomial each.
      guess: by default the straight line between the ends.
      small: ends the iteration, once a step is so small beside the guess, or beside 1 without one.

    Returns:
      Among the rest, the `Pieces` of the solution.
    """
    with ambient.on_cpu():
        places = jnp.asarray([[lam.s, lam.eps] for lam in walk], jnp.float64)
        parts = (interval[0], *map(float, cuts), interval[1])
        x = _places(parts, nodes)
        count, made = how_many(a), []
        line = ends[0] + (ends[1] - ends[0]) * (x.ravel() - x[0, 0]) / (x[-1, -1] - x[0, 0])
        start = np.tile(line, (count, 1)) if guess is None else guess(x.reshape(-1, 1))
        size = np.ones(count) if guess is None else size_of(start)
        for first in range(0, count, _BATCH):
            chunk = slice(first, first + _BATCH)
            guesses = jnp.asarray(start[chunk]), jnp.asarray(small * size[chunk])
            block = jax.tree.map(lambda c: jnp.asarray(c[chunk], float), dict(a))  # noqa: B023
            inputs = {name: field(jnp.asarray(x.ravel())) for name, field in block.items()}
            done = _walk(problem, parts, ends, nodes, inputs, places, *guesses)
            made.append(jax.tree.map(np.asarray, done))
    u, step, iterations, residual = map(np.concatenate, zip(*made, strict=True))
    whole = u.reshape(-1, *x.shape)
    pieces = Pieces(tuple(Solution(x[k], whole[:, k]) for k in range(len(x))))
    return Found(pieces, iterations, step / size, residual, nodes)


def walk_to(lam: Lam) -> list[Lam]:
    """At the same s, ε from 1 down by halves to λ: at ε = 1 the straight line converges."""
    halvings = max(0, math.ceil(-math.log2(lam.eps)))
    return [Lam(lam.s, max(lam.eps, 2.0**-k)) for k in range(halvings)] + [lam]


def cuts_near(
    wall: float, width: float, interval: tuple[float, float], factor: float = 4.0
) -> list[float]:
    """Places to cut an interval for a layer of this width at one of its ends, rising.

    Their distances from the wall are 4, 16, 64 … widths (powers of `factor`), up to the middle.
    """
    half, places = (interval[1] - interval[0]) / 2, []
    distance = factor * width
    while distance < half:
        places.append(distance)
        distance *= factor
    if wall == interval[0]:
        return [wall + place for place in places]
    return [wall - place for place in reversed(places)]


def _places(parts: Sequence[float], n: int) -> np.ndarray:
    """The points of every part, (P, N + 1)."""
    return np.stack([lobatto(ends, n) for ends in itertools.pairwise(parts)])


def lobatto(interval: tuple[float, float], n: int) -> np.ndarray:
    """The Chebyshev–Lobatto points (N + 1,) of an interval, ascending, both ends included."""
    low, high = interval
    return low + (high - low) * (1 - np.cos(np.pi * np.arange(n + 1) / n)) / 2


def differentiation_matrix(x: np.ndarray) -> np.ndarray:
    """D (N + 1, N + 1) with (D u)_i = u_x(x_i) for polynomials through Chebyshev–Lobatto points."""
    n = len(x) - 1
    c = np.ones(n + 1)
    c[[0, n]] = 2
    c *= (-1.0) ** np.arange(n + 1)
    difference = x[:, None] - x[None, :]
    d = np.outer(c, 1 / c) / (difference + np.eye(n + 1))
    return d - np.diag(d.sum(axis=1))  # rows sum to zero: the derivative of a constant


def integration_matrix(n: int) -> np.ndarray:
    """Q (N + 1, N + 1) with (Q v)_i = ∫₀^{x_i} v for polynomials through the points of [0, 1].

    By Chebyshev coefficients: ∫ T_k = T_{k+1} / (2k + 2) − T_{k−1} / (2k − 2). The last row holds
    the Clenshaw–Curtis weights. Source: Trefethen, *Spectral Methods in MATLAB*, ch. 12.
    """
    k = np.arange(n + 2)
    t = np.cos(np.pi * np.outer(np.arange(n, -1, -1) / n, k))  # T_k at the points, ascending
    halved = np.ones(n + 1)
    halved[[0, n]] = 0.5
    coefficients = (2 / n) * np.outer(halved, halved) * t[:, : n + 1].T
    integral = np.zeros((n + 2, n + 1))
    integral[1, 0], integral[2, 1] = 1, 0.25
    for m in range(2, n + 1):
        integral[m + 1, m], integral[m - 1, m] = 0.5 / (m + 1), -0.5 / (m - 1)
    return (t - t[:1]) @ integral @ coefficients / 2


def solve(
    problem: Problem,
    a: Mapping[str, Field],
    walk: Sequence[Lam],
    interval: tuple[float, float],
    ends: tuple[float, float],
    nodes: int,
    cuts: Sequence[float] = (),
) -> Pieces:
    """The solution that `newton` finds from the straight line between the ends.

    Raises:
      RunError: Newton's method did not converge at the last place.
    """
    found = newton(problem, a, walk, interval, ends, nodes, cuts).checked(walk[-1])
    assert isinstance(found, Pieces)
    return found


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _walk(
    problem: Problem,
    parts: tuple[float, ...],
    ends: tuple[float, float],
    n: int,
    inputs: Mapping[str, Array],
    places: Array,
    start: Array,
    small: Array,
) -> tuple[Array, Array, Array, Array]:
    """From guesses (b, P (N + 1)), what `iterate` gives at the last of the places (k, 2)."""
    points = _places(parts, n)
    matrices = [differentiation_matrix(of_part) for of_part in points]
    first, second = (scipy.linalg.block_diag(*ms) for ms in (matrices, [m @ m for m in matrices]))
    d = jnp.asarray(np.stack([np.eye(points.size), first, second]))
    x, last = jnp.asarray(points.ravel()), points.size - 1
    joints = range(n, last, n + 1)  # the last points of all parts but one

    def equations(u: Array, a: Mapping[str, Array], place: Array) -> tuple[Array, Array]:
        """The residual (P (N + 1),), and the step by its Jacobian, made by the chain rule."""

        def residual(jet: Jet) -> Array:
            lam = Lam(place[0], place[1])
            jets = {name: {"": values[None, :]} for name, values in a.items()}
            return problem.residual(jet, x[None, None, :], jets, lam)

        jet = {label: (d[i] @ u)[None, :] for i, label in enumerate(("", "x", "xx"))}
        h, slopes = residual(jet)[0], partials(residual, jet)
        jacobian = jnp.einsum("ki,kij->ij", jnp.concatenate(list(slopes.values())), d)
        for end, value in ((0, ends[0]), (last, ends[1])):
            h = h.at[end].set(u[end] - value)
            jacobian = jacobian.at[end].set(d[0, end])
        for order in (0, 1):  # u and u_x continue
            for joint in joints:
                jump = d[order, joint] - d[order, joint + 1]
                h = h.at[joint + order].set(jump @ u)
                jacobian = jacobian.at[joint + order].set(jump)
        return h, jnp.linalg.solve(jacobian, h)

    def follow(u: Array, small: Array, a: Mapping[str, Array]) -> tuple[Array, Array, Array, Array]:
        def next_place(u, place):
            u, *rest = iterate(lambda u: equations(u, a, place), u, small)
            return u, rest

        u, (step, count, residual) = jax.lax.scan(next_place, u, places)
        return u, step[-1], jnp.sum(count), residual[-1]

    return jax.vmap(follow)(start, small, inputs)
