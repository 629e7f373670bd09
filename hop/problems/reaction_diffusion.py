"""Reaction–diffusion on an interval, the linear operator f ↦ u:

    −ε² u″ + u = f on [0, 1],  u(0) = u(1) = 0:

away from the ends u is near f, and f does not vanish there: a layer of width ε at either end.

    u = N − N(0) E₀ − N(1) E₁,  E₀ = sinh((1 − x)/ε) / sinh(1/ε),  E₁(x) = E₀(1 − x),

has the boundary values. E₀ and E₁ solve the equation without f, so the residual is that of N alone,
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

__all__ = ["ReactionDiffusion"]

_BOX = Box((0.0,), (1.0,))
_NODES = 24  # of every part of the reference


@dataclasses.dataclass(frozen=True)
class ReactionDiffusion(Problem):
    """−ε² u″ + u = f. `Lam.s` is not used."""

    domain: ClassVar[Box] = _BOX
    derivatives: ClassVar[tuple[str, ...]] = ("", "x", "xx")
    inputs: ClassVar[Mapping[str, Law]] = {"f": GaussianField(_BOX, ends="free", length=0.2)}

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return -(lam.eps**2) * u["xx"] + u[""] - a["f"][""]

    def traces(self, x: Array) -> tuple[Array, ...]:
        return (jnp.zeros((1, 1, 1), x.dtype), jnp.ones((1, 1, 1), x.dtype))

    def lift(
        self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam, *elsewhere: Array
    ) -> Array:
        (x,), (at_start, at_end) = x, elsewhere
        return network - at_start * _layer(x, lam.eps) - at_end * _layer(1 - x, lam.eps)

    def reduced_residual(self, N: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return self.residual(N, x, a, lam)

    def layers(self, lam: Lam) -> tuple[Layer, ...]:
        return (Layer("x", 0.0, lam.eps), Layer("x", 1.0, lam.eps))

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        width, box = float(lam.eps), (0.0, 1.0)
        cuts = sorted({c for wall in box for c in chebyshev.cuts_near(wall, width, box)} | {0.5})
        return chebyshev.solve(self, a, [lam], box, (0.0, 0.0), _NODES, cuts)(x[:, 0])


def _layer(far: Array, eps: Array) -> Array:
    """sinh((1 − d)/ε) / sinh(1/ε) at the distance d from the wall."""
    return (jnp.exp(-far / eps) - jnp.exp((far - 2) / eps)) / (1 - jnp.exp(-2 / eps))
