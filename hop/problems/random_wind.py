"""Convection–diffusion in a random wind, in the square and the cube, the operator b ↦ u:

    −ε Δu + b·∇u = 1 in [0, 1]^d,  u = 0 on the boundary,  ∇·b = 0:

u is the mean age of the air at a point, the time since it entered the box or met a wall. The wind
is (1, 0) + curl ψ, or (1, 0, 0) + m/5 + curl Ψ: the potential ψ, or each of the three of Ψ, is a
sum of the 16 lowest cosines, whose parts of the wind fall like |k|⁻² (an energy spectrum of k⁻³ in
the plane, k⁻² in space), and the curl has rms 1/2. Their amplitudes, and m, are independent
standard normal numbers: 16, or 51.

At a wall with the wind β = b·n out of the box, u rises from 0 within about 1/μ, μ the positive root
of ε μ² − β μ = 1: in a layer of width ε/β where the wind leaves, √ε where it runs along the wall,
and over the length |β| where it enters. So, with the distances d_w from the 2d walls and β_w at the
foot there,

    u = φ e^(N − 1),  φ = Π_w (1 − e^(−μ_w d_w)),

is positive, zero on the boundary, and leaves N without 1/ε to find. The loss takes the residual by
the root of ω = ε + (1 − ε) Π_w (1 − e^(−d_w / 2ε)): less of it in the layers, where it is largest
and u the least off.

Layers: Roos, Stynes, Tobiska, *Robust Numerical Methods for Singularly Perturbed Differential
Equations*, Springer 2008, part III.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.derivatives import GRADIENT, LAPLACIAN, Jet
from hop.domain import Box
from hop.errors import UserError
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
    """−ε Δu + b·∇u = 1. `Lam.s` is not used.

    Attributes:
      dim: d, 2 or 3.
    """

    dim: int = 2

    def __post_init__(self):
        if self.dim not in (2, 3):
            raise UserError(f"config.problem.dim={self.dim} must be 2 or 3")

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
        numbers, u = a["wind"][..., 0].T, jnp.exp(network - 1)
        for axis, end in _walls(self.dim):
            beta = self._outward(numbers, x, axis, end)
            mu = (beta + jnp.sqrt(beta**2 + 4 * lam.eps)) / (2 * lam.eps)
            u = u * -jnp.expm1(-mu * jnp.abs(x[axis] - end))
        return u

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        b = self.wind(a["wind"][""][..., 0].T, x)
        return -lam.eps * u[LAPLACIAN] + jnp.sum(b * u[GRADIENT], axis=0) - 1

    def reduced_residual(self, N: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        numbers, eps = a["wind"][""][..., 0].T, lam.eps
        x = jnp.clip(x, _NEAR, 1 - _NEAR)  # on the wall it is a limit
        phi, slopes, bend = self._layer(numbers, x, eps)
        slopes = slopes + N[GRADIENT]
        bend = bend + N[LAPLACIAN] + jnp.sum(slopes**2, axis=0)
        carried = jnp.sum(self.wind(numbers, x) * slopes, axis=0)
        inside = jnp.ones((), x.dtype)
        for axis, end in _walls(self.dim):
            if (axis, end) != (0, 0.0):
                inside = inside * -jnp.expm1(-jnp.abs(x[axis] - end) / (2 * eps))
        omega = eps + (1 - eps) * inside
        return jnp.sqrt(omega) * (phi * jnp.exp(N[""] - 1) * (carried - eps * bend) - 1)

    def _layer(self, numbers: Array, x: Array, eps: Any) -> tuple[Array, Array, Array]:
        """φ, ∇ log φ (d, n, q) and Δ log φ, by hand: forward mode takes longer than the network."""

        def of(end: Array) -> tuple[Array, Array, Array]:
            phi: Any = 1.0
            bend: Any = 0.0
            slopes: list[Any] = [0.0] * self.dim
            for axis in range(self.dim):
                beta = self._outward(numbers, x, axis, end)
                across = [k for k in range(self.dim) if k != axis]
                turns = {k: self._outward(numbers, x, axis, end, (k,)) for k in across}
                curved = sum(self._outward(numbers, x, axis, end, (k, k)) for k in across)
                root, far = jnp.sqrt(beta**2 + 4 * eps), jnp.abs(x[axis] - end)
                mu = (beta + root) / (2 * eps)
                slope = far * mu / root  # d ∂μ/∂β
                half = jnp.tanh(mu * far / 2)
                rise = (1 - half) / (2 * half)  # 1 / (e^z − 1), of z = μ d
                by = {k: slope * turn for k, turn in turns.items()} | {axis: (1 - 2 * end) * mu}
                squared = sum(value**2 for value in by.values())
                turned = sum(turn**2 for turn in turns.values())
                curved = slope * curved + 2 * far / root**3 * turned
                phi = phi * (2 * half / (1 + half))
                slopes = [slopes[k] + rise * by[k] for k in range(self.dim)]
                bend = bend + rise * (curved - (1 + rise) * squared)
            return phi, jnp.stack(slopes), bend

        # A loop, whose results XLA keeps. Otherwise it computes them anew for every use.
        phi, slopes, bend = jax.lax.map(of, jnp.asarray([0, 1], x.dtype))
        return phi[0] * phi[1], slopes[0] + slopes[1], bend[0] + bend[1]

    def _outward(
        self, numbers: Array, x: Array, axis: int, end: Any, by: tuple[int, ...] = ()
    ) -> Array:
        """The wind out of the box, or its derivative, at the foot of the points on a wall."""
        foot = [jnp.full((1, 1), end, x.dtype) if k == axis else x[k] for k in range(self.dim)]
        return (2 * end - 1) * self._along(numbers, foot, axis, by)

    def _along(
        self, numbers: Array, x: Sequence[Array], axis: int, by: tuple[int, ...] = ()
    ) -> Array:
        """A component of b, or its derivative by some axes, (n, q), at coordinates (1, q) each."""

        def curl(first: int, k: int) -> Array:
            return numbers[:, first : first + _MODES] @ _cosines(x, (*by, k))

        mean = float(axis == 0 and not by)
        if self.dim == 2:
            return mean + (curl(0, 1) if axis == 0 else -curl(0, 0))
        j, k = (axis + 1) % 3, (axis + 2) % 3
        swept = curl(3 + _MODES * k, j) - curl(3 + _MODES * j, k)
        return swept if by else mean + _MEAN * numbers[:, axis : axis + 1] + swept

    def layers(self, lam: Lam) -> tuple[Layer, ...]:
        across = [Layer(c, end, lam.eps) for c in "yz"[: self.dim - 1] for end in (0.0, 1.0)]
        return (Layer("x", 1.0, lam.eps), *across)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        box, eps = self.domain, float(lam.eps)
        nodes = 4 + math.ceil(3.5 / math.sqrt(eps))
        at = jnp.asarray(chebyshev_tensor.points(box, nodes).T[:, None])
        wind = np.asarray(self.wind(jnp.asarray(a["wind"].coefficients, float), at))
        return chebyshev_tensor.solve(box, nodes, eps, wind)(x)


def _walls(dim: int) -> Iterator[tuple[int, float]]:
    """The axis across each wall, and its place there."""
    return itertools.product(range(dim), (0.0, 1.0))


def _cosines(x: Sequence[Array], by: tuple[int, ...]) -> Array:
    """The derivative of the potentials' cosines by some axes, (16, q)."""
    waves, size = _waves(len(x))
    out = jnp.asarray(size[:, None], x[0].dtype)
    for k, at in enumerate(x):
        order = by.count(k)
        factor = np.pi * np.arange(waves.max() + 1)
        angle = jnp.asarray(factor[:, None], at.dtype) * at
        wave = jnp.cos(angle) if order % 2 == 0 else -jnp.sin(angle)
        wave = wave * jnp.asarray((factor**order * (-1) ** (order // 2))[:, None], at.dtype)
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
