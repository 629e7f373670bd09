"""Convection–diffusion on an interval, the linear operator f ↦ u:

    −ε u″ + u′ = f on [0, 1],  u(0) = u(1) = 0:

a layer of width ε at x = 1, where the solution that f makes from the left meets the wall.

E = (e^((x−1)/ε) − e^(−1/ε)) / (1 − e^(−1/ε)) and 1 − E solve the equation without f, so

    u = v − v(0) (1 − E) − v(1) E

has the boundary values and the equation if v, smooth at every ε, has the equation. Integrated once,
with F(x) = ∫_0^x f, that is −ε v′ + v = F: first derivatives only, and an error of v shows in it at
its own size. As ε → 0, v → F. So the network N gives what is missing,

    v = (1 − g) F + g N,  g = κε / (1 + κε),  −ε v′ + v − F = g (N − ε N′ − F − f/κ),

κ a typical wave number of f. The loss takes this residual over √g: at its own size the many small
ε of a range, which need N least, would be left with a bad one.

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

__all__ = ["ConvectionDiffusion"]

_BOX = Box((0.0,), (1.0,))
_GAUSS = np.polynomial.legendre.leggauss(24)  # exact to rounding for the waves of this law
_WAVE = 10.0  # κ
_NODES = 24  # of every part of the reference


@dataclasses.dataclass(frozen=True)
class ConvectionDiffusion(Problem):
    """Convection–diffusion on an interval, −ε u″ + u′ = f. `Lam.s` is not used."""

    domain: ClassVar[Box] = _BOX
    derivatives: ClassVar[tuple[str, ...]] = ("", "x", "xx")
    weak_derivatives: ClassVar[tuple[str, ...]] = ("", "x")
    inputs: ClassVar[Mapping[str, Law]] = {"f": GaussianField(_BOX, ends="free", length=0.2)}

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return -lam.eps * u["xx"] + u["x"] - a["f"][""]

    def weak(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Mapping[str, Array]:
        return {"": -a["f"][""], "x": lam.eps * u["x"] - u[""]}

    def energy(self, a: Mapping[str, Any], lam: Lam) -> Mapping[str, Any]:
        return {"": 1.0, "x": lam.eps}

    def known(self, fields: Mapping[str, Field], x: Array, lam: Lam) -> Mapping[str, Array]:
        F, end = _integral(fields["f"], x[:, 0]), _integral(fields["f"], jnp.ones(1, x.dtype))
        return {"F": F, "F(1)": jnp.broadcast_to(end, F.shape)}

    def traces(self, x: Array) -> tuple[Array, ...]:
        return (jnp.zeros((1, 1, 1), x.dtype), jnp.ones((1, 1, 1), x.dtype))

    def lift(
        self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam, *elsewhere: Array
    ) -> Array:
        (at_start, at_end), g, low = elsewhere, _share(lam.eps), jnp.exp(-1 / lam.eps)
        layer = (jnp.exp((x[0] - 1) / lam.eps) - low) / (1 - low)
        v, end = (1 - g) * a["F"] + g * network, (1 - g) * a["F(1)"] + g * at_end
        return v - g * at_start * (1 - layer) - end * layer

    def reduced_residual(self, N: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        f = a["F"][""] + a["f"][""] / _WAVE
        return jnp.sqrt(_share(lam.eps)) * (N[""] - lam.eps * N["x"] - f)

    def layers(self, lam: Lam) -> tuple[Layer, ...]:
        return (Layer("x", 1.0, lam.eps),)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        cuts = chebyshev.cuts_near(1.0, float(lam.eps), (0.0, 1.0))
        solution = chebyshev.solve(self, a, [lam], (0.0, 1.0), (0.0, 0.0), _NODES, cuts)
        return solution(x[:, 0])


def _integral(f: Field, x: Array) -> Array:
    """∫_0^x f at places (q,), (n, q), by Gauss–Legendre nodes between 0 and x."""
    nodes, weights = _GAUSS
    places = x[:, None] * jnp.asarray((1 + nodes) / 2, x.dtype)[None, :]
    values = f(places.reshape(-1)).reshape(-1, *places.shape)
    return x[None, :] * (values @ jnp.asarray(weights / 2, x.dtype))


def _share(eps: Any) -> Any:
    """g."""
    return _WAVE * eps / (1 + _WAVE * eps)
