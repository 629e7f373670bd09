"""Convection–diffusion with a variable wind, (f, b) ↦ u:

    −ε u″ + b u′ = f on [0, 1],  u(0) = u(1) = 0,  b(x) > 0:

a layer of width ε/b(1) at x = 1. f and b are random fields, log b a Gaussian one.

With B(x) = ∫_x^1 b, the function E = e^(−B/ε) takes all of 1/ε out of the equation: for a smooth w

    −ε(wE)″ + b(wE)′ = −E (ε w″ + b w′ + b′ w).

So u = v + w E, v = x N and w = x(1 − x) M − v, with the network's outputs N and M, has the boundary
values and a residual of smooth functions, bounded at every ε. E alone is no solution without f: M
has to learn what is missing.
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

__all__ = ["VariableConvection"]

_BOX = Box((0.0,), (1.0,))
_GAUSS = np.polynomial.legendre.leggauss(12)  # for B, of a smooth b
_NODES = 24  # of every part of the reference


@dataclasses.dataclass(frozen=True)
class VariableConvection(Problem):
    """Convection–diffusion with a variable wind, −ε u″ + b u′ = f. `Lam.s` is not used."""

    domain: ClassVar[Box] = _BOX
    outputs: ClassVar[int] = 2
    derivatives: ClassVar[tuple[str, ...]] = ("", "x", "xx")
    inputs: ClassVar[Mapping[str, Law]] = {
        "f": GaussianField(_BOX, ends="free", length=0.2),
        "b": GaussianField(_BOX, ends="free", length=0.5, std=0.3).map(jnp.exp),
    }

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return -lam.eps * u["xx"] + a["b"][""] * u["x"] - a["f"][""]

    def known(self, fields: Mapping[str, Field], x: Array, lam: Lam) -> Mapping[str, Array]:
        nodes, weights = _GAUSS
        places = 1 - (1 - x) * jnp.asarray((1 + nodes) / 2, x.dtype)[None, :]  # (q, 12)
        b = fields["b"](places.reshape(-1)).reshape(-1, *places.shape)
        whole = (1 - x[:, 0])[None, :] * (b @ jnp.asarray(weights / 2, x.dtype))
        return {"E": jnp.exp(-whole / lam.eps)}

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        (x,), (N, M) = x, network
        return x * N * (1 - a["E"]) + x * (1 - x) * M * a["E"]

    def reduced_residual(self, N: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        (x,), b, E = x, a["b"], a["E"][""]
        N, M = ({label: value[i] for label, value in N.items()} for i in (0, 1))
        v, w = _times(N, x, 1.0, 0.0), _times(M, x * (1 - x), 1 - 2 * x, -2.0)
        w = {label: w[label] - v[label] for label in w}
        bent = lam.eps * w["xx"] + b[""] * w["x"] + b["x"] * w[""]
        return -lam.eps * v["xx"] + b[""] * v["x"] - a["f"][""] - E * bent

    def layers(self, lam: Lam) -> tuple[Layer, ...]:
        return (Layer("x", 1.0, lam.eps),)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        cuts = chebyshev.cuts_near(1.0, float(lam.eps) / 2, (0.0, 1.0))
        return chebyshev.solve(self, a, [lam], (0.0, 1.0), (0.0, 0.0), _NODES, cuts)(x[:, 0])


def _times(u: Jet, g: Array, slope: Array | float, bend: float) -> Jet:
    """The jet of g u, from that of u, and g, g′ and g″."""
    first = g * u["x"] + slope * u[""]
    return {"": g * u[""], "x": first, "xx": g * u["xx"] + 2 * slope * u["x"] + bend * u[""]}
