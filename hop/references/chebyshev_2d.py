"""Newton's method on a tensor Chebyshev collocation of a boundary value problem in a rectangle.

The unknowns are the values of u at the inner points of a tensor grid of (N + 1)² Chebyshev–Lobatto
points; u = 0 on the boundary. With D the differentiation matrix of one axis, ∂_x^a ∂_y^b is the
Kronecker product D^a ⊗ D^b, and the residual is the problem's own on jets. Where u is even about
the rectangle's middle in both coordinates, D acts on half of the points of an axis, and the dense
Newton systems have a quarter of the unknowns. Boundary layers of width ε need N of about 6/√ε.
Source: Trefethen, *Spectral Methods in MATLAB*, 2000, ch. 6 and 7.
"""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop import ambient
from hop.derivatives import Jet, closure, partials
from hop.domain import Box
from hop.laws import Field, how_many
from hop.problem import Lam, Problem
from hop.references import chebyshev
from hop.references.newton import SMALL, Found, Guess, iterate, size_of

_CHUNK = 2**16  # points interpolated at a time


@dataclasses.dataclass(frozen=True)
class Solution:
    """The interpolating polynomials through `values` at the tensor grid of the `nodes` of two axes.

    Attributes:
      nodes: of x (N + 1,) and of y (N + 1,).
      values: (n, N + 1, N + 1), x along the axis after n.
    """

    nodes: tuple[np.ndarray, np.ndarray]
    values: Float[np.ndarray, "n k k"]

    def __call__(self, x: Float[np.ndarray, "q 2"]) -> Float[np.ndarray, "n q"]:
        """Values at points of the rectangle."""
        along, index = [], []
        for axis, nodes in enumerate(self.nodes):
            # On a grid many points share a coordinate.
            places, where = np.unique(x[:, axis], return_inverse=True)
            along.append(chebyshev.Solution(nodes, np.eye(len(nodes)))(places).T)
            index.append(where)
        left = along[0] @ self.values
        out = np.empty((len(self.values), len(x)))
        for first in range(0, len(x), _CHUNK):
            i, j = (where[first : first + _CHUNK] for where in index)
            out[:, first : first + _CHUNK] = np.einsum("nqk,qk->nq", left[:, i], along[1][j])
        return out


def newton(
    problem: Problem,
    lam: Lam,
    box: Box,
    start: float | Guess,
    nodes: int,
    even: bool = False,
    a: Mapping[str, Field] | None = None,
    small: float = SMALL,
) -> Found:
    """Solves H(u; s, ε) = 0 in a rectangle, u = 0 on its boundary.

    Args:
      problem: one unknown in two coordinates, of second order at most.
      lam: s and ε.
      box: where to solve; a part of the domain where symmetry makes u = 0 at a cut.
      start: Newton's method begins here, at a constant or at a guess.
      nodes: N, odd if `even`.
      even: whether u is even about the middle of the box in x and in y.
      a: n functions for each input, by its name; without any there is one solution, n = 1.
      small: ends the iteration, once a step is so small beside the guess, or beside 1 without one.

    Returns:
      Among the rest, the `Solution`.
    """
    assert nodes % 2 or not even
    a, m = dict(a or {}), _unknown(nodes, even)
    x, y = (chebyshev.lobatto(axis, nodes) for axis in zip(box.lower, box.upper, strict=True))
    with ambient.on_cpu():
        place = jnp.asarray([lam.s, lam.eps], jnp.float64)
        if callable(start):
            inside = np.meshgrid(x[1 : m + 1], y[1 : m + 1], indexing="ij")
            guesses = start(np.stack([along.ravel() for along in inside], axis=1))
            size = size_of(guesses)
        else:
            guesses, size = np.full((how_many(a), m * m), start), np.ones(how_many(a))
        done = _newton(
            problem, box, nodes, even, place, a, *map(jnp.asarray, (guesses, small * size))
        )
        inner, step, iterations, residual = map(np.asarray, done)
    if even:
        inner = np.concatenate([inner, inner[..., ::-1, :]], axis=-2)
        inner = np.concatenate([inner, inner[..., ::-1]], axis=-1)
    solution = Solution((x, y), np.pad(inner, [(0, 0), (1, 1), (1, 1)]))
    return Found(solution, iterations, step / size, residual, nodes)


def solve(
    problem: Problem,
    lam: Lam,
    box: Box,
    start: float,
    nodes: int,
    even: bool = False,
    a: Mapping[str, Field] | None = None,
) -> Solution:
    """The solution that `newton` finds from a constant.

    Raises:
      RunError: Newton's method did not converge.
    """
    found = newton(problem, lam, box, start, nodes, even, a).checked(lam)
    assert isinstance(found, Solution)
    return found


def _unknown(n: int, even: bool) -> int:
    """m, the inner points of half an axis if `even`, else of all of it."""
    return (n - 1) // 2 if even else n - 1


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _newton(
    problem: Problem,
    box: Box,
    n: int,
    even: bool,
    place: Array,
    a: dict[str, Field],
    guesses: Array,
    small: Array,
) -> tuple[Float[Array, "n m m"], Array, Array, Array]:
    """u at the inner points of a quarter of the grid if `even`, else of all; and as `iterate`."""
    m = _unknown(n, even)
    axes, powers = [], []
    for low, high in zip(box.lower, box.upper, strict=True):
        points = chebyshev.lobatto((low, high), n)
        first = chebyshev.differentiation_matrix(points)
        axes.append(points[1 : m + 1])
        powers.append([_inner(d, m, even) for d in (np.eye(n + 1), first, first @ first)])
    x = np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")])
    d = {
        label: jnp.asarray(np.kron(powers[0][label.count("x")], powers[1][label.count("y")]))
        for label in problem.derivatives
    }

    def equations(u: Array, a: Mapping[str, Jet]) -> tuple[Array, Array]:
        """The residual (m²,), and the step by its Jacobian, made by the chain rule."""

        def residual(jet: Jet) -> Array:
            one = jax.tree.map(lambda v: v[None], a)
            return problem.residual(jet, jnp.asarray(x)[:, None, :], one, Lam(place[0], place[1]))

        jet = {label: (matrix @ u)[None, :] for label, matrix in d.items()}
        slopes = partials(residual, jet)
        h, jacobian = residual(jet)[0], sum(slopes[k][0, :, None] * d[k] for k in d)
        return h, jnp.linalg.solve(jacobian, h)

    def one(given: tuple[Array, Array, Mapping[str, Jet]]) -> tuple[Array, ...]:
        guess, small, a = given
        u, *rest = iterate(lambda u: equations(u, a), guess, small)
        return u.reshape(m, m), *rest

    labels = closure(problem.derivatives)
    inputs = {name: field.jet(jnp.asarray(x.T), labels) for name, field in a.items()}
    return jax.lax.map(one, (guesses, small, inputs))


def _inner(d: np.ndarray, m: int, even: bool) -> np.ndarray:
    """A matrix (N + 1, N + 1) on functions that are 0 at the ends, at the first m inner points.

    On even functions the values at the other points are those of the mirrored ones.
    """
    inner = d[1 : m + 1, 1 : m + 1]
    return inner + d[1 : m + 1, -2 : -m - 2 : -1] if even else inner
