"""Convection, diffusion and reaction in a box by Chebyshev collocation and GMRES:

    −D Δu + b·∇u + c u = f,  u = 0 on the boundary,

in two or three dimensions, b a vector field of mean (1, 0) or (1, 0, 0) or near. The unknowns are
the values of u at the inner points of a tensor grid of (N + 1)^d Chebyshev–Lobatto points, on which
derivatives are products with small matrices along one axis at a time. The system is dense, so GMRES
solves it, preconditioned by the operator with b = (1, 0, 0): that is diagonalised in all axes but
the first, where −D ∂² + ∂ is far from normal and its eigenvectors are useless; there a small matrix
is inverted for each pair of eigenvalues. Fast diagonalisation: Lynch, Rice, Thomas, *Numer. Math.*
6 (1964), 185–199.

The error falls geometrically in N once the layers are resolved: one of width δ needs N of about
4/√δ for four digits.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, gmres

from hop.domain import Box
from hop.errors import RunError
from hop.references import chebyshev

_CHUNK = 256  # scattered points interpolated at a time
_RESTART, _CYCLES = 80, 10  # of GMRES


@dataclasses.dataclass(frozen=True)
class Solution:
    """The interpolating polynomials through `values` at the tensor grid of the axes' `nodes`.

    Attributes:
      nodes: of each axis, (N + 1,).
      values: (n, N + 1, …, N + 1), the first axis of the box first.
    """

    nodes: Sequence[np.ndarray]
    values: Float[np.ndarray, "n ..."]

    def __call__(self, x: Float[np.ndarray, "q d"]) -> Float[np.ndarray, "n q"]:
        """Values at points of the box; quick where they form a grid."""
        along: list[np.ndarray] = []
        where: list[Any] = []
        for axis, nodes in enumerate(self.nodes):
            places, index = np.unique(x[:, axis], return_inverse=True)
            along.append(chebyshev.Solution(nodes, np.eye(len(nodes)))(places).T)  # (u, N + 1)
            where.append(index)
        if np.prod([len(matrix) for matrix in along]) <= len(x):
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
) -> Solution:
    """n solutions, for a wind each.

    Args:
      box: of two or three dimensions.
      nodes: N along each axis.
      diffusion: D.
      wind: b at `points(box, nodes)`.
      source: f at the same points, or a number.
      reaction: c ≥ 0.

    Raises:
      RunError: GMRES did not converge.
    """
    d, m = box.dim, nodes - 1
    grids = [chebyshev.lobatto(ends, nodes) for ends in _spans(box)]
    full = [chebyshev.differentiation_matrix(grid) for grid in grids]
    first = [matrix[1:-1, 1:-1] for matrix in full]
    second = [-diffusion * (matrix @ matrix)[1:-1, 1:-1] for matrix in full]
    inverse = _inverse(first[0] + second[0], second[1:], reaction)
    sources = np.broadcast_to(source, wind.shape[1:])
    found = np.zeros((wind.shape[1], *(nodes + 1,) * d))
    inner = found[:, *(slice(1, -1),) * d]
    for k, f in enumerate(sources):
        b = wind[:, k].reshape(d, *(m,) * d)

        def apply(flat: np.ndarray, b: np.ndarray = b) -> np.ndarray:
            u = flat.reshape((m,) * d)
            out = reaction * u
            for axis in range(d):
                out += _along(second[axis], u, axis) + b[axis] * _along(first[axis], u, axis)
            return out.ravel()

        def guess(flat: np.ndarray) -> np.ndarray:
            return inverse(flat.reshape((m,) * d)).ravel()

        shape = (m**d, m**d)
        operator = LinearOperator(shape, matvec=apply, dtype=float)
        near = LinearOperator(shape, matvec=guess, dtype=float)
        u, failed = gmres(operator, f, M=near, rtol=1e-8, restart=_RESTART, maxiter=_CYCLES)
        if failed:
            raise RunError(
                f"the reference's GMRES did not converge at diffusion={diffusion:g} with N={nodes}"
            )
        inner[k] = u.reshape((m,) * d)
    return Solution(grids, found)


def _spans(box: Box) -> list[tuple[float, float]]:
    return list(zip(box.lower, box.upper, strict=True))


def _along(matrix: np.ndarray, u: np.ndarray, axis: int) -> np.ndarray:
    """The product of a matrix with one axis of an array."""
    return np.moveaxis(np.tensordot(matrix, u, (1, axis)), 0, axis)


def _each(matrices: Sequence[np.ndarray], u: np.ndarray) -> np.ndarray:
    """The products with every axis of an array."""
    for axis, matrix in enumerate(matrices):
        u = _along(matrix, u, axis)
    return u


def _at(rows: Sequence[np.ndarray], values: np.ndarray) -> Float[np.ndarray, "n q"]:
    """Σ rows_1[q, i] rows_2[q, j] … values[n, i, j, …]."""
    out = np.einsum("qi,ni...->nq...", rows[0], values, optimize=True)
    for row in rows[1:]:
        out = np.einsum("qi,nqi...->nq...", row, out)
    return out


def _inverse(
    first: np.ndarray, others: Sequence[np.ndarray], shift: float
) -> Callable[[np.ndarray], np.ndarray]:
    """The inverse of first ⊗ 1 + 1 ⊗ others + shift, as a function of arrays."""
    spectra = [np.linalg.eig(matrix) for matrix in others]
    values = [s.eigenvalues.real for s in spectra]  # of −∂² with zero ends: real, positive
    forward = [s.eigenvectors.real for s in spectra]
    back = [np.linalg.inv(vectors) for vectors in forward]
    sums = functools.reduce(np.add.outer, values) + shift
    small = np.linalg.inv(first + sums[..., None, None] * np.eye(len(first)))

    def solve(u: np.ndarray) -> np.ndarray:
        for axis, matrix in enumerate(back, 1):
            u = _along(matrix, u, axis)
        u = np.einsum("...ij,j...->i...", small, u, optimize=True)
        for axis, matrix in enumerate(forward, 1):
            u = _along(matrix, u, axis)
        return u

    return solve
