"""Burgers' equation for a velocity in the plane, in time, the operator (u₀, v₀) ↦ (u, v).

    H(u; ε) = u_t + (u·∇)u − ε Δu = 0  on [0, 1]² × [0, 1],  u(x, y, 0) = u₀, v(x, y, 0) = v₀,

periodic in x and y; ε is the viscosity ν. The columns of the points are (x, y, t). The velocities
are of about 0.2, and steepen where they run against each other. With w = e^{εtΔ} u₀ and N the
network,

    u = w − t (w·∇)w + t² N

has the initial values, decays as waves do that do not interact, and is right to first order in t:
the network need not find the short waves that the product makes there.

u₀ and v₀ are independent. Each is white noise on 64 × 64 points times exp(−ℓ²|k|²/4) in Fourier
space, ℓ = 0.1, without its mean and scaled to the standard deviation 0.2.
Source of the setting: arXiv 2606.06164 (PI-CViT), which trains it at ε = 0.01.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.derivatives import GRADIENT, LAPLACIAN, Jet
from hop.domain import Box, tensor
from hop.laws import Field, Law
from hop.laws.normalised_field import NormalisedField
from hop.laws.spectral import as_series
from hop.problem import Lam, Problem
from hop.references import spectral_2d

__all__ = ["Burgers2D"]

_SQUARE = Box((0.0, 0.0), (1.0, 1.0), periodic=("x", "y"))
_SENSORS = tensor([np.arange(64) / 64] * 2)
# The velocities keep no mean, and later ones have shorter waves.
_LAW = NormalisedField(
    _SQUARE, "periodic", length=0.1, std=0.2, sensors=_SENSORS, modes=14, constant=True
)


@dataclasses.dataclass(frozen=True)
class Burgers2D(Problem):
    """Burgers' equation in the plane and in time. `Lam.s` is not used.

    The network makes u and v periodic.
    """

    domain: ClassVar[Box] = Box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), periodic=("x", "y"))
    unknowns: ClassVar[tuple[str, ...]] = ("u", "v")
    derivatives: ClassVar[tuple[str, ...]] = ("", "t", GRADIENT, LAPLACIAN)
    inputs: ClassVar[Mapping[str, Law]] = {"u0": _LAW, "v0": _LAW}
    restarts: ClassVar[Mapping[str, str]] = {"u": "u0", "v": "v0"}

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return u["t"] - convection(u[""], *u[GRADIENT]) - lam.eps * u[LAPLACIAN]

    def known(self, fields: Mapping[str, Field], x: Array, lam: Lam) -> Mapping[str, Field]:
        heat = {u: as_series(fields[a]).diffused(lam.eps) for u, a in self.restarts.items()}
        return {
            f"{name}_{letters}": field.along(letters)
            for name, field in heat.items()
            for letters in ("", "x", "y")
        }

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        heat, slope_x, slope_y = (
            jnp.stack([a[f"u_{label}"], a[f"v_{label}"]]) for label in ("", "x", "y")
        )
        t = x[2][None]
        return heat + t * convection(heat, slope_x, slope_y) + t**2 * network

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        # The velocities span about 1, so fronts are about 4ε wide, as in one dimension. At ε = 0.1
        # and 0.01 the error is below 1e-5.
        eps = float(lam.eps)
        modes, steps = max(20, math.ceil(0.3 / eps)), max(60, math.ceil(0.6 / eps))
        start = a["u0"], a["v0"]
        return spectral_2d.solve(convection, diffusion(eps), start, x[:, :2], x[:, 2], modes, steps)


def convection(u: Array, u_x: Array, u_y: Array) -> Array:
    """−(u·∇)u, of arrays (2, …)."""
    return -(u[:1] * u_x + u[1:] * u_y)


def diffusion(eps: float) -> Callable[[np.ndarray], np.ndarray]:
    """The symbol of ε Δu."""
    return lambda squares: -eps * squares
