"""A Helmholtz equation in many dimensions, on [−1, 1]^d.

    H(u; ε) = −ε² Δu − u/d = 0,  u = g on the boundary,

with g the values there of the exact solution u = sin(Σ x_i / (d ε)), so the boundary data move
along the path. The Dirichlet eigenvalues of H_u are ε²π²/4 Σ k_i² − 1/d, k_i ≥ 1; below
ε = 2/(π d) the operator is indefinite, and the path crosses resonances where one of them is 0.
Source: Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 4 (d = 20).
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.derivatives import LAPLACIAN, Jet
from hop.domain import Box, sobol
from hop.errors import UserError, check_range
from hop.laws import Field
from hop.problem import Condition, Lam, Problem

__all__ = ["Helmholtz"]


@dataclasses.dataclass(frozen=True)
class Helmholtz(Problem):
    """A Helmholtz equation in many dimensions. `Lam.s` is not used.

    Attributes:
      dim: d.
      boundary_points: where u = g is asked for: fixed quasi-random points, as many on each of the
        2d faces as on any other, but for the remainder.
    """

    dim: int = 20
    boundary_points: int = 1000

    derivatives: ClassVar[tuple[str, ...]] = ("", LAPLACIAN)

    def __post_init__(self):
        check_range("problem", "be at least 1", dim=self.dim)
        if self.boundary_points < 2 * self.dim:
            raise UserError(
                f"problem.boundary_points={self.boundary_points} leaves a face of the cube without "
                f"a point; use at least 2·problem.dim = {2 * self.dim}"
            )

    @property
    def domain(self) -> Box:
        return Box((-1.0,) * self.dim, (1.0,) * self.dim)

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return -(lam.eps**2) * u[LAPLACIAN] - u[""] / self.dim

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        points = _on_faces(self.dim, self.boundary_points)
        sums = jnp.asarray(points.sum(axis=1)[None, :], jnp.result_type(lam.eps))
        g = jnp.sin(sums / (self.dim * lam.eps))
        return (Condition((points,), ("",), lambda u, a, lam: u[0][""] - g),)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        return np.sin(np.asarray(x, np.float64).sum(axis=1) / (self.dim * float(lam.eps)))[None, :]


@functools.lru_cache(maxsize=4)
def _on_faces(dim: int, count: int) -> np.ndarray:
    """Points (count, d) of a Sobol sequence in [−1, 1]^d × faces, spread over the 2d faces."""
    unit = sobol(dim + 1, count)
    points = 2 * unit[:, :-1] - 1
    face = np.argsort(np.argsort(unit[:, -1])) * (2 * dim) // count
    points[np.arange(count), face // 2] = 2.0 * (face % 2) - 1
    return points
