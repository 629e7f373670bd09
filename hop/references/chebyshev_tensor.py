"""Convection, diffusion and reaction in a box by Chebyshev collocation and GMRES:

    −D Δu + b·∇u + c u = f,  u = 0 on the boundary,

in any dimension d, b a vector field near a constant one along the first axis, (β, 0, …) or 0. The
unknowns are the values of u at the inner points of a tensor grid of (N + 1)^d Chebyshev–Lobatto
points, on which derivatives are products with small matrices along one axis at a time. With P the
operator of the constant wind, GMRES solves

    u + P⁻¹ (b − β)·∇u = P⁻¹ f.

P is diagonalised in all axes, but not in the first if β ≠ 0: −D ∂² + β ∂ is far from normal there
and its eigenvectors are useless, so a small matrix is inverted for each combination of the other
eigenvalues. Fast diagonalisation: Lynch, Rice, Thomas, *Numer. Math.* 6 (1964), 185–199.

The error falls geometrically in N once the layers are resolved: one of width δ needs N of about
4/√δ for four digits. Arithmetic is that of the wind: float32 takes half of the time and memory.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, gmres

from hop.domain import Box
from hop.errors import RunError
from hop.references import chebyshev

_CHUNK = 512  # scattered points interpolated at a time
_VECTORS, _CYCLES = 80, 10  # of GMRES: at most so many held, and restarts
_HELD = 2**33  # bytes of them


@dataclasses.dataclass(frozen=True)
class Solution:
    """The interpolating polynomials through `values` at the tensor grid, 0 on the boundary.

    Attributes:
      nodes: of each axis, (N + 1,).
      values: at the inner points, (n, N − 1, …, N − 1), the first axis of the box first.
    """

    nodes: Sequence[np.ndarray]
    values: Float[np.ndarray, "n ..."]

    def __call__(self, x: Float[np.ndarray, "q d"]) -> Float[np.ndarray, "n q"]:
        """Values at points of the box; quick where they form a grid."""
        along: list[np.ndarray] = []
        where: list[Any] = []
        for axis, nodes in enumerate(self.nodes):
            places, index = np.unique(x[:, axis], return_inverse=True)
            basis = chebyshev.Solution(nodes, np.eye(len(nodes))[1:-1])
            along.append(basis(places).T.astype(self.values.dtype))  # (u, N − 1)
            where.append(index)
        if math.prod(len(matrix) for matrix in along) <= len(x):
            grid = np.stack([_each(along, values) for values in self.values])
            return grid[:, *where]
        return np.concatenate(
            [
                _at([matrix[i[k : k + _CHUNK]] for matrix, i in zip(along, where, strict=True)],
                    self.values)
                for k in range(0, len(x), _CHUNK)
            ],
            axis=1,
        )  # fmt: skip


def points(box: Box, nodes: int) -> Float[np.ndarray, "q d"]:
    """The inner points of the grid of N = `nodes`, the last axis fastest."""
    axes = [chebyshev.lobatto(ends, nodes)[1:-1] for ends in _spans(box)]
    return np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)


def solve(
    box: Box,
    nodes: int,
    diffusion: float,
    wind: Float[np.ndarray, "d n q"],
    source: Float[np.ndarray, "n q"] | float = 1.0,
    reaction: float = 0.0,
    mean: float = 1.0,
    tolerance: float = 1e-8,
) -> Solution:
    """n solutions, for a wind each.

    Args:
      box: the domain.
      nodes: N along each axis.
      diffusion: D.
      wind: b at `points(box, nodes)`.
      source: f at the same points, or a number.
      reaction: c ≥ 0.
      mean: β, near the mean of b along the first axis; that along the others is near 0.
      tolerance: of GMRES, relative.

    Raises:
      RunError: GMRES did not converge.
    """
    d, m, dtype = box.dim, nodes - 1, wind.dtype
    grids = [chebyshev.lobatto(ends, nodes) for ends in _spans(box)]
    full = [chebyshev.differentiation_matrix(grid) for grid in grids]
    first = [matrix[1:-1, 1:-1] for matrix in full]
    second = [-diffusion * (matrix @ matrix)[1:-1, 1:-1] for matrix in full]
    slopes = [matrix.astype(dtype) for matrix in first]
    parts = [second[0] + mean * first[0], *second[1:]]
    inverse = _inverse(parts, mean == 0, reaction, dtype)
    sources = np.broadcast_to(np.asarray(source, dtype), wind.shape[1:])
    found = np.empty((wind.shape[1], *(m,) * d), dtype)
    size = m**d
    restart = max(4, min(_VECTORS, _HELD // (size * dtype.itemsize)))
    for k, f in enumerate(sources):
        b = wind[:, k].reshape(d, *(m,) * d)

        def apply(flat: np.ndarray, b: np.ndarray = b) -> np.ndarray:
            u = flat.astype(dtype, copy=False).reshape((m,) * d)
            carried = np.zeros_like(u)
            for axis in range(d):
                ahead = b[axis] - dtype.type(mean) if axis == 0 and mean else b[axis]
                carried += ahead * _along(slopes[axis], u, axis)
            return (u + inverse(carried)).ravel()

        start = inverse(f.reshape((m,) * d)).ravel()
        operator = LinearOperator((size, size), matvec=apply, dtype=dtype)
        u, failed = gmres(
            operator, start, x0=start, rtol=tolerance, restart=restart, maxiter=_CYCLES
        )
        if failed:
            raise RunError(
                f"the reference's GMRES did not converge at diffusion={diffusion:g} with N={nodes}"
            )
        found[k] = u.reshape((m,) * d)
    return Solution(grids, found)


def _spans(box: Box) -> list[tuple[float, float]]:
    return list(zip(box.lower, box.upper, strict=True))


def _along(matrix: np.ndarray, u: np.ndarray, axis: int) -> np.ndarray:
    """The product of a matrix with one axis of an array."""
    before, after = math.prod(u.shape[:axis]), math.prod(u.shape[axis + 1 :])
    shape = (*u.shape[:axis], len(matrix), *u.shape[axis + 1 :])
    if after == 1:
        return (u.reshape(before, -1) @ matrix.T).reshape(shape)
    return np.matmul(matrix, u.reshape(before, -1, after)).reshape(shape)


def _each(matrices: Sequence[np.ndarray], u: np.ndarray) -> np.ndarray:
    """The products with every axis of an array."""
    for axis, matrix in enumerate(matrices):
        u = _along(matrix, u, axis)
    return u


def _at(rows: Sequence[np.ndarray], values: np.ndarray) -> Float[np.ndarray, "n q"]:
    """Σ rows_1[q, i] rows_2[q, j] … values[n, i, j, …], by two matrices of half of the axes."""
    half = len(rows) // 2
    left, right = _products(rows[:half]), _products(rows[half:])
    halves = values.reshape(len(values), left.shape[1], right.shape[1])
    return np.stack([np.einsum("qi,iq->q", left, u @ right.T) for u in halves])


def _products(rows: Sequence[np.ndarray]) -> np.ndarray:
    """rows_1[q, i] rows_2[q, j] … as (q, i j …)."""
    return functools.reduce(lambda a, b: (a[:, :, None] * b[:, None]).reshape(len(a), -1), rows)


def _inverse(
    parts: Sequence[np.ndarray], normal: bool, shift: float, dtype: Any
) -> Callable[[np.ndarray], np.ndarray]:
    """The inverse of Σ 1 ⊗ … parts[k] … ⊗ 1 + shift, as a function of arrays.

    `normal` says whether the first is −∂² as the others are; else it is not diagonalised.
    """
    axes = range(0 if normal else 1, len(parts))
    spectra = [np.linalg.eig(parts[axis]) for axis in axes]
    values = [s.eigenvalues.real for s in spectra]  # of −∂² with zero ends: real, positive
    forward = [s.eigenvectors.real for s in spectra]
    back = [np.linalg.inv(vectors).astype(dtype) for vectors in forward]
    forward = [vectors.astype(dtype) for vectors in forward]
    sums = functools.reduce(np.add.outer, values) + shift
    if normal:
        small = (1 / sums).astype(dtype)
    else:
        small = np.linalg.inv(parts[0] + sums[..., None, None] * np.eye(len(parts[0])))
        small = small.astype(dtype)

    def solve(u: np.ndarray) -> np.ndarray:
        for axis, matrix in zip(axes, back, strict=True):
            u = _along(matrix, u, axis)
        u = small * u if normal else np.einsum("...ij,j...->i...", small, u, optimize=True)
        for axis, matrix in zip(axes, forward, strict=True):
            u = _along(matrix, u, axis)
        return u

    return solve
