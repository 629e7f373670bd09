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
from hop.laws import Field
from hop.problem import Lam, Problem
from hop.references import chebyshev

_CHUNK = 2**16  # points interpolated at a time


@dataclasses.dataclass(frozen=True)
class Solution:
    """The interpolating polynomials through `values` at the tensor grid of the `nodes` of two axes.

    Attributes:
      nodes: of x (N + 1,) and of y (N + 1,).
      values: (N + 1, N + 1), x along the first axis; of n functions (n, N + 1, N + 1).
    """

    nodes: tuple[np.ndarray, np.ndarray]
    values: Float[np.ndarray, "*n k k"]

    def __call__(self, x: Float[np.ndarray, "q 2"]) -> Float[np.ndarray, "*n q"]:
        """Values at points of the rectangle."""
        along, index = [], []
        for axis, nodes in enumerate(self.nodes):
            # On a grid many points share a coordinate.
            places, where = np.unique(x[:, axis], return_inverse=True)
            along.append(chebyshev.Solution(nodes, np.eye(len(nodes)))(places).T)
            index.append(where)
        left = along[0] @ self.values
        out = np.empty((*self.values.shape[:-2], len(x)))
        for first in range(0, len(x), _CHUNK):
            i, j = (where[first : first + _CHUNK] for where in index)
            here = np.einsum("...qk,qk->...q", left[..., i, :], along[1][j])
            out[..., first : first + _CHUNK] = here
        return out


def solve(
    problem: Problem,
    lam: Lam,
    box: Box,
    start: float,
    nodes: int,
    even: bool = False,
    a: Mapping[str, Field] | None = None,
) -> Solution:
    """Solves H(u; s, ε) = 0 in a rectangle, u = 0 on its boundary, from the constant `start`.

    Args:
      problem: one unknown in two coordinates, of second order at most.
      lam: s and ε.
      box: where to solve; a part of the domain where symmetry makes u = 0 at a cut.
      start: Newton's method begins here.
      nodes: N, odd if `even`.
      even: whether u is even about the middle of the box in x and in y.
      a: n functions for each input, by its name; without any there is one solution, and no axis n.

    Raises:
      RunError: Newton's method did not converge.
    """
    assert nodes % 2 or not even
    with ambient.on_cpu():
        place = jnp.asarray([lam.s, lam.eps], jnp.float64)
        u, step = _newton(problem, box, nodes, even, start, place, dict(a or {}))
    chebyshev.check_converged(float(np.max(step)), lam, nodes)
    inner = np.asarray(u)
    if even:
        inner = np.concatenate([inner, inner[..., ::-1, :]], axis=-2)
        inner = np.concatenate([inner, inner[..., ::-1]], axis=-1)
    x, y = (chebyshev.lobatto(axis, nodes) for axis in zip(box.lower, box.upper, strict=True))
    return Solution((x, y), np.pad(inner, [(0, 0)] * (inner.ndim - 2) + [(1, 1)] * 2))


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _newton(
    problem: Problem,
    box: Box,
    n: int,
    even: bool,
    start: Array,
    place: Array,
    a: dict[str, Field],
) -> tuple[Float[Array, "*n m m"], Array]:
    """u at the inner points of a quarter of the grid if `even`, else of all, and the last step."""
    m = (n - 1) // 2 if even else n - 1
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

    def rows(u: Array, a: Mapping[str, Jet]) -> tuple[Array, Array]:
        """The residual (m²,), and its Jacobian (m², m²) by the chain rule."""

        def residual(jet: Jet) -> Array:
            one = jax.tree.map(lambda v: v[None], a)
            return problem.residual(jet, jnp.asarray(x)[:, None, :], one, Lam(place[0], place[1]))

        jet = {label: (matrix @ u)[None, :] for label, matrix in d.items()}
        slopes = partials(residual, jet)
        return residual(jet)[0], sum(slopes[k][0, :, None] * d[k] for k in d)  # type: ignore

    def one(a: Mapping[str, Jet]) -> tuple[Array, Array]:
        u, step = chebyshev.newton(lambda u: rows(u, a), jnp.full(m * m, start))
        return u.reshape(m, m), step

    labels = closure(problem.derivatives)
    inputs = {name: field.jet(jnp.asarray(x.T), labels) for name, field in a.items()}
    return jax.lax.map(one, inputs) if inputs else one({})


def _inner(d: np.ndarray, m: int, even: bool) -> np.ndarray:
    """A matrix (N + 1, N + 1) on functions that are 0 at the ends, at the first m inner points.

    On even functions the values at the other points are those of the mirrored ones.
    """
    inner = d[1 : m + 1, 1 : m + 1]
    return inner + d[1 : m + 1, -2 : -m - 2 : -1] if even else inner
