"""Reaction–diffusion on an interval, the linear operator f ↦ u:

    −ε² u″ + u = f on [0, 1],  u(0) = u(1) = 0:

away from the ends u is near f, and f does not vanish there: a layer of width ε at either end.

E₀ = sinh((1 − x)/ε) / sinh(1/ε) and E₁(x) = E₀(1 − x) solve the equation without f, so

    u = v − v(0) E₀ − v(1) E₁

has the boundary values and the equation if v, smooth at every ε, has the equation. As ε → 0, v → f.
So the network N gives what is missing,

    v = (1 − g) f + g N,  g = (κε)² / (1 + (κε)²),  −ε² v″ + v − f = g (N − ε² N″ − f − f″/κ²),

κ a typical wave number of f.

Layers: Roos, Stynes, Tobiska, *Robust Numerical Methods for Singularly Perturbed Differential
Equations*, Springer 2008, part I.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

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
_WAVE = 10.0  # κ
_NODES = 24  # of every part of the reference


@dataclasses.dataclass(frozen=True)
class ReactionDiffusion(Problem):
    """Reaction–diffusion on an interval, −ε² u″ + u = f. `Lam.s` is not used."""

    domain: ClassVar[Box] = _BOX
    derivatives: ClassVar[tuple[str, ...]] = ("", "x", "xx")
    inputs: ClassVar[Mapping[str, Law]] = {"f": GaussianField(_BOX, ends="free", length=0.2)}

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return -(lam.eps**2) * u["xx"] + u[""] - a["f"][""]

    def traces(self, x: Array) -> tuple[Array, ...]:
        return (jnp.zeros((1, 1, 1), x.dtype), jnp.ones((1, 1, 1), x.dtype))

    def known(self, fields: Mapping[str, Field], x: Array, lam: Lam) -> Mapping[str, Array]:
        ends = fields["f"](jnp.asarray([[0.0], [1.0]], x.dtype))
        return {f"f({k})": jnp.repeat(ends[:, k : k + 1], len(x), axis=1) for k in (0, 1)}

    def lift(
        self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam, *elsewhere: Array
    ) -> Array:
        (x,), (at_start, at_end), g = x, elsewhere, _share(lam.eps)
        v = (1 - g) * a["f"] + g * network
        start, end = (1 - g) * a["f(0)"] + g * at_start, (1 - g) * a["f(1)"] + g * at_end
        return v - start * _layer(x, lam.eps) - end * _layer(1 - x, lam.eps)

    def reduced_residual(self, N: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        f = a["f"][""] + a["f"]["xx"] / _WAVE**2
        return _share(lam.eps) * (N[""] - lam.eps**2 * N["xx"] - f)

    def layers(self, lam: Lam) -> tuple[Layer, ...]:
        return (Layer("x", 0.0, lam.eps), Layer("x", 1.0, lam.eps))

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        width, box = float(lam.eps), (0.0, 1.0)
        cuts = sorted({c for wall in box for c in chebyshev.cuts_near(wall, width, box)} | {0.5})
        return chebyshev.solve(self, a, [lam], box, (0.0, 0.0), _NODES, cuts)(x[:, 0])


def _layer(far: Array, eps: Any) -> Array:
    """sinh((1 − d)/ε) / sinh(1/ε) at the distance d from the wall."""
    return (jnp.exp(-far / eps) - jnp.exp((far - 2) / eps)) / (1 - jnp.exp(-2 / eps))


def _share(eps: Any) -> Any:
    """g."""
    return (_WAVE * eps) ** 2 / (1 + (_WAVE * eps) ** 2)
