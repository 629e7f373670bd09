"""Mean exit time in a random shear drift, in any dimension, the operator A ↦ u:

    −ε Δu + b·∇u = 1 in [0, 1]^d,  u = 0 on the boundary,
    b_i(x) = c₀ A_ii + c₁ Σ_{j ≠ i} A_ij cos πx_j:

u(x) is the mean time until the walk dX = −b dt + √(2ε) dW from x leaves the box. A holds d²
independent standard normal numbers. c₀ = 1/√8 and c₁ = 1/(2 √(d − 1)), so that b, which is free of
divergence, has components of rms 1/2, and mean and shear have half of the variance each.

Without drift the chances to stay within the walls of each axis are independent. With S(x, t) the
chance that a walk of ε = 1 from x has not left [0, 1] by the time t,

    u = φ/ε,  φ = ∫₀^∞ Π_i S(x_i, t) dt,  S = Σ_{k = 1, 3, …} 4/(πk) e^(−π²k² t) sin πkx.

With drift, u = φ/ε e^N is positive and zero on the boundary. In N the equation is

    φ e^N [b·(g + ∇N)/ε − Δφ/φ − ΔN − (2g + ∇N)·∇N] = 1,  g = ∇φ/φ.

The integral is a sum over times in geometric progression, which converges geometrically; φ is good
to 1e-4, and its derivatives are those of the sum. The loss takes the residual times √φ, so less
of it near walls, where u is small. Without that factor errors are 1.2 times as large.

Points have the density Π ½π sin πx_i. Of even ones in d = 8 three in four lie within 0.08 of a
wall. Errors are means under the same law. In d = 8 and at ε = 0.1 the reference,
N = 8, is off by 3e-3 (`docs/results/exit_time.md`), in d = 4 by 1e-4.

Source: Øksendal, *Stochastic Differential Equations*, Springer 2003, chapter 9.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.derivatives import GRADIENT, LAPLACIAN, Jet
from hop.domain import Box
from hop.errors import RunError, UserError
from hop.laws import Field, Law
from hop.laws.normal import Normal
from hop.problem import Lam, Problem
from hop.references import chebyshev, chebyshev_tensor

__all__ = ["ExitTime"]

_RMS = 0.5  # of a component of b
_NEAR = 1e-6  # a wall
_TENSOR = 9  # dimensions: 7 ** 9 numbers are 160 MB, and the solver keeps dozens of such
_WAVES = 60  # of S
_FIRST, _LAST, _STEP = math.log(1e-4), math.log(3.0), 0.5  # of log t


@dataclasses.dataclass(frozen=True)
class SineBox(Box):
    """The unit cube, whose points have the density Π ½π sin πx_i."""

    def from_unit(self, unit: Array) -> Array:
        return 2 / math.pi * jnp.arcsin(jnp.sqrt(unit))

    def density(self, x: np.ndarray) -> np.ndarray:
        """At points (q, d), (q,)."""
        return np.prod(np.pi / 2 * np.sin(np.pi * x), axis=1)


@dataclasses.dataclass(frozen=True)
class ExitTime(Problem):
    """The mean time to the boundary, −ε Δu + b·∇u = 1. `Lam.s` is not used.

    Attributes:
      dim: d, 2 or more; above 9 there is no reference.
    """

    dim: int = 8

    def __post_init__(self):
        if self.dim < 2:
            raise UserError(f"config.problem.dim={self.dim} must be at least 2")

    @property
    def domain(self) -> SineBox:
        return SineBox((0.0,) * self.dim, (1.0,) * self.dim)

    @property
    def derivatives(self) -> tuple[str, ...]:
        return ("", GRADIENT, LAPLACIAN)

    @property
    def inputs(self) -> Mapping[str, Law]:
        return {"drift": Normal(self.dim**2)}

    def drift(self, numbers: Array, x: Array) -> Array:
        """b (d, n, q) at points x (d, 1, q), of the numbers (n, d²): A, row by row."""
        mean, shear = self.parts(numbers)
        return mean.T[..., None] + jnp.moveaxis(shear @ jnp.cos(math.pi * x[:, 0]), 1, 0)

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        return _without_drift(x)[0] / lam.eps * jnp.exp(network)

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        b = self.drift(a["drift"][""][..., 0].T, x)
        return -lam.eps * u[LAPLACIAN] + jnp.sum(b * u[GRADIENT], axis=0) - 1

    def reduced_residual(self, N: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        x = jnp.clip(x, _NEAR, 1 - _NEAR)  # on the wall it is a limit
        b = self.drift(a["drift"][""][..., 0].T, x)
        phi, g, bend = _without_drift(x)
        slope = N[GRADIENT]
        bend = bend + N[LAPLACIAN] + jnp.sum((2 * g + slope) * slope, axis=0)
        carried = jnp.sum(b * (g + slope), axis=0)
        return jnp.sqrt(phi) * (phi * jnp.exp(N[""]) * (carried / lam.eps - bend) - 1)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        if self.dim > _TENSOR:
            raise RunError(
                f"no reference in d = {self.dim}: its grid fits in memory to d = {_TENSOR}"
            )
        nodes = math.ceil(max(8, 16 - self.dim) * max(1.0, math.sqrt(0.1 / float(lam.eps))))
        numbers, law = a["drift"].coefficients, self.inputs["drift"]

        def one(k: int) -> np.ndarray:
            alone = {"drift": law.field(numbers[k : k + 1])}
            return self.solution(alone, lam, nodes, np.float32, 1e-5)(x)

        return np.concatenate([one(k) for k in range(len(numbers))])

    def solution(
        self,
        a: Mapping[str, Field],
        lam: Lam,
        nodes: int,
        dtype: Any = np.float64,
        tolerance: float = 1e-8,
    ) -> chebyshev_tensor.Solution:
        """The reference, by so many nodes along an axis."""
        waves = np.cos(np.pi * chebyshev.lobatto((0.0, 1.0), nodes)[1:-1])
        mean, shear = map(np.asarray, self.parts(np.asarray(a["drift"].coefficients, float)))
        wind = np.empty((self.dim, len(mean), (nodes - 1) ** self.dim), dtype)
        for k, i in np.ndindex(mean.shape):
            along = np.multiply.outer(shear[k, i], waves).astype(dtype)
            wind[i, k] = functools.reduce(np.add.outer, along).ravel() + dtype(mean[k, i])
        return chebyshev_tensor.solve(
            self.domain, nodes, float(lam.eps), wind, mean=0.0, tolerance=tolerance
        )

    def parts(self, numbers: Any) -> tuple[Any, Any]:
        """c₀ A_ii (n, d), and c₁ A_ij (n, d, d) with 0 for i = j, of the numbers (n, d²)."""
        square = numbers.reshape(-1, self.dim, self.dim)
        itself = np.eye(self.dim, dtype=numbers.dtype)[None]
        mean = _RMS / math.sqrt(2) * (square * itself).sum(2)
        return mean, _RMS / math.sqrt(self.dim - 1) * square * (1 - itself)


def _without_drift(x: Array) -> tuple[Array, Array, Array]:
    """φ (1, q) at points (d, 1, q), ∇φ/φ (d, 1, q) and Δφ/φ (1, q)."""
    k, weights, amplitudes = (jnp.asarray(part, x.dtype) for part in _survival())
    k = k[None, None, None]
    sines, cosines = jnp.sin(k * x[..., None]), jnp.cos(k * x[..., None])
    stays = sines @ amplitudes  # S (d, 1, q, times)
    slope = (k * cosines) @ amplitudes / stays
    bend = -(k**2 * sines) @ amplitudes / stays
    parts = weights[None, None] * jnp.prod(stays, axis=0)
    phi = jnp.sum(parts, axis=-1)
    share = parts / phi[..., None]
    bend = jnp.sum(share * jnp.sum(bend, axis=0), axis=-1)
    return phi, jnp.sum(share[None] * slope, axis=-1), bend


@functools.cache
def _survival() -> tuple[np.ndarray, ...]:
    """πk (k,), the weights of the integral over times, and 4/(πk) e^(−π²k² t) (k, times)."""
    k = np.pi * np.arange(1, 2 * _WAVES, 2)
    times = np.exp(np.arange(_FIRST, _LAST, _STEP))
    weights = _STEP * times
    weights[0] /= -math.expm1(-_STEP)  # with all earlier times, when S is 1 but next to a wall
    return k, weights, 4 / k[:, None] * np.exp(-np.multiply.outer(k**2, times))
