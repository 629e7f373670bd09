"""Convection–diffusion on an interval, the linear operator f ↦ u:

    −ε u″ + u′ = f on [0, 1],  u(0) = u(1) = 0:

a layer of width ε at x = 1, where the solution that f makes from the left meets the wall.

    u = x N − N(1) E,  E = (e^((x−1)/ε) − e^(−1/ε)) / (1 − e^(−1/ε)),

has the boundary values. E solves the equation without f, so the residual is that of x N alone,
which is smooth at every ε.

Layers: Roos, Stynes, Tobiska, *Robust Numerical Methods for Singularly Perturbed Differential
Equations*, Springer 2008, part I.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.derivatives import Jet
from hop.domain import Box
from hop.laws import Field, Law
from hop.laws.gaussian_field import GaussianField
from hop.problem import Lam, Layer, Problem
from hop.references import chebyshev

__all__ = ["ConvectionDiffusion"]

_BOX = Box((0.0,), (1.0,))
_NODES = 24  # of every part of the reference


@dataclasses.dataclass(frozen=True)
class ConvectionDiffusion(Problem):
    """−ε u″ + u′ = f. `Lam.s` is not used."""

    domain: ClassVar[Box] = _BOX
    derivatives: ClassVar[tuple[str, ...]] = ("", "x", "xx")
    inputs: ClassVar[Mapping[str, Law]] = {"f": GaussianField(_BOX, ends="free", length=0.2)}

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return -lam.eps * u["xx"] + u["x"] - a["f"][""]

    def traces(self, x: Array) -> tuple[Array, ...]:
        return (jnp.ones((1, 1, 1), x.dtype),)

    def lift(
        self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam, *elsewhere: Array
    ) -> Array:
        (at_end,), low = elsewhere, jnp.exp(-1 / lam.eps)
        layer = (jnp.exp((x[0] - 1) / lam.eps) - low) / (1 - low)
        return x[0] * network - at_end * layer

    def reduced_residual(self, N: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        (x,) = x
        first, second = N[""] + x * N["x"], 2 * N["x"] + x * N["xx"]  # of x N
        return -lam.eps * second + first - a["f"][""]

    def layers(self, lam: Lam) -> tuple[Layer, ...]:
        return (Layer("x", 1.0, lam.eps),)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        cuts = chebyshev.cuts_near(1.0, float(lam.eps), (0.0, 1.0))
        solution = chebyshev.solve(self, a, [lam], (0.0, 1.0), (0.0, 0.0), _NODES, cuts)
        return solution(x[:, 0])
