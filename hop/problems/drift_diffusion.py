"""The potential in a semiconductor at equilibrium, an interval, the operator C ↦ φ:

    λ² φ″ = 2δ² sinh φ − C on [0, 1],  φ = asinh(C / 2δ²) at both ends,

φ in thermal volts, λ the scaled Debye length, which is ε here, C the doping, in units of its
largest, and δ² = 10⁻⁴ the intrinsic density in the same. Lengths are those of the device.

As λ → 0 the charge vanishes where C does not, φ = asinh(C / 2δ²) ≈ ±log(|C| / δ²), and φ jumps
where C changes its sign, by 18 thermal volts: the junction. There a layer of width about λ^⅔ is
empty of carriers, φ″ = −C/λ², and in it that formula is no guide. With η = λ^⅔ the ansatz is

    φ = B + (φ₀(0) − B(0)) E(x) + (φ₀(1) − B(1)) E(1 − x) + (1 − e^(−x/η)) (1 − e^(−(1−x)/η)) N,
    B = C/m asinh(m / 2δ²),  m² = C² + ω²,  φ₀ = asinh(C / 2δ²),  E = (1 − x) e^(−x/3η):

φ₀ with its jumps as wide as junctions are, ω = 10η + (10η)³, so that λ² B″ is never much more than
the charge; at λ = 1 nothing is left of it, and φ is nearly the line between its ends.

What φ is at a place depends on C near it, as far as some λ^⅔: the decoder sees C smoothed by
Gaussians of several such widths. The residual is divided by |C| + η, about what 2δ² cosh φ and
λ²/η² are, so that an error of φ shows at its own size. Where φ is far too large the residual grows
like e^φ: so its inverse hyperbolic sine is taken.

Source: Markowich, Ringhofer, Schmeiser, *Semiconductor Equations*, Springer 1990, chapters 2, 4.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from hop import ambient
from hop.derivatives import Jet
from hop.domain import Box
from hop.laws import Field, Law
from hop.laws.gaussian_field import GaussianField
from hop.problem import Lam, Problem
from hop.references import numerov
from hop.references.newton import SMALL, Found, Guess

__all__ = ["DriftDiffusion"]

_BOX = Box((0.0,), (1.0,))
INTRINSIC = 2e-4  # 2δ²
_WIDTHS = (0.3, 0.6, 1.2, 2.4)  # of the Gaussians, in λ^⅔
_HERMITE = np.polynomial.hermite_e.hermegauss(9)


@dataclasses.dataclass(frozen=True)
class DriftDiffusion(Problem):
    """A semiconductor at equilibrium, λ² φ″ = 2δ² sinh φ − C, λ = ε. `Lam.s` is not used."""

    domain: ClassVar[Box] = _BOX
    unknowns: ClassVar[tuple[str, ...]] = ("phi",)
    derivatives: ClassVar[tuple[str, ...]] = ("", "xx")
    inputs: ClassVar[Mapping[str, Law]] = {
        "C": GaussianField(_BOX, ends="free", length=0.2, std=2.0).map(jnp.tanh)
    }

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        C = a["C"][""]
        charge = C - INTRINSIC * jnp.sinh(u[""])
        return jnp.arcsinh((lam.eps**2 * u["xx"] + charge) / (jnp.abs(C) + layer(lam)))

    def known(self, fields: Mapping[str, Field], x: Array, lam: Lam) -> Mapping[str, Array]:
        doping, (z, weights) = fields["C"], (jnp.asarray(v, x.dtype) for v in _HERMITE)
        weights = weights / jnp.sum(weights)

        def near(width: float) -> tuple[Array, Array]:
            """E[C] and E[z C] at x + width η z, z normal."""
            far = jnp.broadcast_to(jnp.reshape(width * layer(lam), (-1, 1)), x.shape)
            places = x + far * z[None, :]  # (q, 9)
            values = doping(places.reshape(-1)[:, None]).reshape(-1, *places.shape)
            return values @ weights, values @ (weights * z)

        found = {}
        for k, width in enumerate(_WIDTHS):
            found[f"mean {k}"], found[f"slope {k}"] = near(width)
        for k in (0, 1):
            end = doping(jnp.full((1, 1), k, x.dtype))
            found[f"C({k})"] = jnp.broadcast_to(end, (len(end), len(x)))
        return found

    def shown(self, x: Array, a: Mapping[str, Array], lam: Lam) -> tuple[Array, ...]:
        eta = layer(lam)
        found = [a["C"], smoothed_sign(a["C"], eta / 10)]
        for k, width in enumerate(_WIDTHS):
            mean, slope = a[f"mean {k}"], a[f"slope {k}"]
            found += [
                mean,
                slope,
                smoothed_sign(mean, width * eta),
                smoothed_sign(slope, width * eta),
            ]
        return tuple(found)

    def trunk_features(self, x: Array, lam: Lam) -> tuple[Array, ...]:
        (x,), eta = x, layer(lam)
        return jnp.exp(-x / eta), jnp.exp(-(1 - x) / eta)

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        (x,), eta = x, layer(lam)
        start, end = (neutral(C) - reduced(C, eta) for C in (a["C(0)"], a["C(1)"]))
        inside = (1 - jnp.exp(-x / eta)) * (1 - jnp.exp(-(1 - x) / eta))
        far = 3 * eta
        walls = start * (1 - x) * jnp.exp(-x / far) + end * x * jnp.exp(-(1 - x) / far)
        return reduced(a["C"], eta) + walls + inside * network

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        return self.newton(a, lam).checked(lam)(x)

    def newton(
        self,
        a: Mapping[str, Field],
        lam: Lam,
        guess: Guess | None = None,
        small: float = SMALL,
        nodes: int = 0,
    ) -> Found:
        """By so many steps; by default ten to a Debye length, and 2,000 or more."""

        def uncharged(x: np.ndarray) -> np.ndarray:
            return np.asarray(neutral(a["C"](jnp.asarray(x))))

        box, guess = self.domain, guess or uncharged
        nodes = nodes or max(2000, math.ceil(10 / float(lam.eps)))
        with ambient.on_cpu():
            ends = uncharged(box.grid(2))
            return numerov.newton(_curvature, box, a, lam, ends, nodes, guess, small)


def _curvature(phi: Array, a: Mapping[str, Array], lam: Lam) -> Array:
    """φ″."""
    return (INTRINSIC * jnp.sinh(phi) - a["C"]) / lam.eps**2


def layer(lam: Lam) -> Any:
    """η."""
    return lam.eps ** (2 / 3)


def smoothed_sign(C: Array, width: Any) -> Array:
    """The sign of C, smoothed."""
    return C / jnp.sqrt(C**2 + width**2)


def neutral(C: Array) -> Array:
    """φ₀."""
    return jnp.arcsinh(C / INTRINSIC)


def reduced(C: Array, eta: Any) -> Array:
    """B."""
    m = jnp.sqrt(C**2 + (10 * eta + (10 * eta) ** 3) ** 2)
    return C / m * jnp.arcsinh(m / INTRINSIC)
