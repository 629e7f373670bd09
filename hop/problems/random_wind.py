"""Convection–diffusion–reaction in a random wind, in the square and the cube, b ↦ u:

    −ε Δu + b·∇u + c u = 1 in [0, 1]^d,  u = 0 on the boundary,  ∇·b = 0,  c ≥ 0:

for c = 0 u is the mean age of the air at a point, the time since it entered the box or met a wall;
c is the rate at which it is renewed everywhere, and where that rules, u is near 1/c. The wind
is (1, 0) + curl ψ, or (1, 0, 0) + m/5 + curl Ψ: the potential ψ, or each of the three of Ψ, is a
sum of the 16 lowest cosines, whose parts of the wind fall like |k|⁻² (an energy spectrum of k⁻³ in
the plane, k⁻² in space), and the curl has rms 1/2. Their amplitudes, and m, are independent
standard normal numbers: 16, or 51.

At a wall with the wind β = b·n out of the box, u rises from 0 within about 1/μ, μ the positive root
of ε μ² − β μ = 1 + c: for c = 0 in a layer of width ε/β where the wind leaves, √ε where it runs
along the wall, and over the length |β| where it enters. So, with the distances d_w from the walls,

    u = φ e^(N − 1),  φ = Π_w (1 − e^(−μ_w d_w)),

is positive and zero on the boundary. β_w is that of the mean wind: 1 at the wall x = 1, −1 at x =
0, 0 at the others. With the β of each wind, as it changes along a wall, φ is nearer to u, but N is
harder to learn: in the cube at ε = 0.05 errors are twice as large. The loss takes the residual by
the root of ω = ε + (1 − ε) Π_w (1 − e^(−d_w / 2ε)) over the walls but x = 0: less of it in the
layers, where it is largest and u the least off.

Layers: Roos, Stynes, Tobiska, *Robust Numerical Methods for Singularly Perturbed Differential
Equations*, Springer 2008, part III.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from hop import ambient
from hop.derivatives import GRADIENT, LAPLACIAN, Jet
from hop.domain import Box
from hop.errors import UserError, check_range
from hop.laws import Field, Law
from hop.laws.normal import Normal
from hop.problem import Lam, Layer, Problem
from hop.references import chebyshev_tensor

__all__ = ["RandomWind"]

_MODES = 16  # of a potential
_RMS = 0.5  # of the curl
_MEAN = 0.2  # of m
_NEAR = 1e-6  # a wall


@dataclasses.dataclass(frozen=True)
class RandomWind(Problem):
    """Convection–diffusion–reaction, −ε Δu + b·∇u + c u = 1. `Lam.s` is not used.

    Attributes:
      dim: d, 2 or 3.
      reaction: c.
    """

    dim: int = 2
    reaction: float = 0.0

    def __post_init__(self):
        if self.dim not in (2, 3):
            raise UserError(f"config.problem.dim={self.dim} must be 2 or 3")
        check_range("config.problem", "not be negative", reaction=self.reaction)

    @property
    def domain(self) -> Box:
        return Box((0.0,) * self.dim, (1.0,) * self.dim)

    @property
    def derivatives(self) -> tuple[str, ...]:
        return ("", GRADIENT, LAPLACIAN)

    @property
    def inputs(self) -> Mapping[str, Law]:
        return {"wind": Normal(_MODES if self.dim == 2 else 3 + 3 * _MODES)}

    def wind(self, numbers: Array, x: Array) -> Array:
        """b (d, n, q) at points x (d, 1, q), of the numbers (n, m)."""
        return jnp.stack([self._along(numbers, list(x), k) for k in range(self.dim)])

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        u = jnp.exp(network - 1)
        for at, beta, end in _walls(x):
            u = u * -jnp.expm1(-self._rate(beta, lam.eps) * jnp.abs(at - end))
        return u

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        b = self.wind(a["wind"][""][..., 0].T, x)
        carried = jnp.sum(b * u[GRADIENT], axis=0)
        return -lam.eps * u[LAPLACIAN] + carried + self.reaction * u[""] - 1

    def reduced_residual(self, N: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        numbers, eps = a["wind"][""][..., 0].T, lam.eps
        x = jnp.clip(x, _NEAR, 1 - _NEAR)  # on the wall it is a limit
        phi = inside = jnp.ones((), x.dtype)
        slopes, bend = [], jnp.zeros((), x.dtype)
        for at, beta, end in _walls(x):
            mu, far = self._rate(beta, eps), jnp.abs(at - end)
            rise = 1 / jnp.expm1(mu * far)  # (log(1 − e^(−z)))′ at z = μ d
            phi = phi * -jnp.expm1(-mu * far)
            slopes.append((1 - 2 * end) * mu * rise)
            bend = bend - mu**2 * rise * (1 + rise)
            if beta >= 0:  # a layer
                inside = inside * -jnp.expm1(-far / (2 * eps))
        slope = N[GRADIENT] + jnp.stack(slopes[::2]) + jnp.stack(slopes[1::2])
        bend = N[LAPLACIAN] + bend + jnp.sum(slope**2, axis=0)
        carried = jnp.sum(self.wind(numbers, x) * slope, axis=0)
        omega = eps + (1 - eps) * inside
        lost = carried - eps * bend + self.reaction
        return jnp.sqrt(omega) * (phi * jnp.exp(N[""] - 1) * lost - 1)

    def _rate(self, beta: float, eps: Any) -> Any:
        """μ."""
        return (beta + jnp.sqrt(beta**2 + 4 * (1 + self.reaction) * eps)) / (2 * eps)

    def _along(self, numbers: Array, x: Sequence[Array], axis: int) -> Array:
        """A component of b, (n, q), at coordinates (1, q) each."""

        def curl(first: int, k: int) -> Array:
            return numbers[:, first : first + _MODES] @ _slopes(x, k)

        mean = float(axis == 0)
        if self.dim == 2:
            return mean + (curl(0, 1) if axis == 0 else -curl(0, 0))
        j, k = (axis + 1) % 3, (axis + 2) % 3
        swept = curl(3 + _MODES * k, j) - curl(3 + _MODES * j, k)
        return mean + _MEAN * numbers[:, axis : axis + 1] + swept

    def layers(self, lam: Lam) -> tuple[Layer, ...]:
        across = [Layer(c, end, lam.eps) for c in "yz"[: self.dim - 1] for end in (0.0, 1.0)]
        return (Layer("x", 1.0, lam.eps), *across)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        return self.solution(a, lam)(x)

    def solution(
        self, a: Mapping[str, Field], lam: Lam, nodes: int = 0
    ) -> chebyshev_tensor.Solution:
        """The reference, by so many nodes along an axis."""
        box, eps = self.domain, float(lam.eps)
        nodes = nodes or 4 + math.ceil(3.5 / math.sqrt(eps))
        with ambient.on_cpu():
            at = jnp.asarray(chebyshev_tensor.points(box, nodes).T[:, None])
            wind = np.asarray(self.wind(jnp.asarray(a["wind"].coefficients, float), at))
        return chebyshev_tensor.solve(box, nodes, eps, wind, reaction=self.reaction)


def _walls(x: Array) -> Iterator[tuple[Array, float, float]]:
    """Of each wall: the coordinate across it, the mean wind out of the box, and its place."""
    for axis, at in enumerate(x):
        for end in (0.0, 1.0):
            yield at, float(axis == 0) * (2 * end - 1), end


def _slopes(x: Sequence[Array], axis: int) -> Array:
    """The derivatives of the potentials' cosines along an axis, (16, q)."""
    waves, size = _waves(len(x))
    out = jnp.asarray(size[:, None], x[0].dtype)
    for k, at in enumerate(x):
        factor = jnp.asarray(np.pi * np.arange(waves.max() + 1)[:, None], at.dtype)
        wave = -factor * jnp.sin(factor * at) if k == axis else jnp.cos(factor * at)
        out = out * wave[waves[:, k]]
    return out


@functools.cache
def _waves(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The wave vectors k (16, d) of the lowest cosines, and the amplitude (16,) of each.

    Of Π cos πk_j x_j the mean of |∇|² is |πk|² / 2^(how many k_j are not 0). A component of curl Ψ
    has two of the three slopes of a potential: all of it 2/3 of |∇Ψ|², in 2-D all of |∇ψ|².
    """
    every = np.array(list(itertools.product(range(5), repeat=dim))[1:])
    waves = every[np.argsort((every**2).sum(1), kind="stable")[:_MODES]]
    squared = (waves**2).sum(1)
    energy = squared**-2.0
    energy *= _RMS**2 / (energy.sum() * (dim - 1))
    return waves, np.sqrt(energy / (np.pi**2 * squared / 2.0 ** (waves > 0).sum(1)))
