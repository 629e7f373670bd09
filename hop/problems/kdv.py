"""The equation of Korteweg and de Vries, the operator u₀ ↦ u on the circle.

    H(u; s, ε) = u_t + (1 − s) (u u_x + ε u_xxx) = 0  on [−1, 1] × [0, 1],  u(x, 0) = u₀(x),

periodic in x; ε is δ² of the literature. The columns of the points are (x, t). At s the time t is
1 − s times as fast, so that [0, 1] shows the solution up to there: a path in s to 0 unrolls it from
u₀ on, where training on all of it at once gets stuck. u₀ steepens as by Burgers' equation, until
dispersion breaks the front into a train of solitons

    u = c + A sech²(√(A/12ε) (x − (c + A/3) t)),

the tallest of about twice the jump of u₀. ∫u and ∫u² do not change. In u = u₀ + t N the initial
values are exact.

The random u₀ have one or two waves around the circle and are of about the size of cos πx.
Source: Zabusky, Kruskal, *Phys. Rev. Lett.* 15 (1965) 240–243, whose u₀ = cos πx and δ = 0.022 are
the benchmark.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.derivatives import Jet
from hop.domain import Box
from hop.errors import check_choice
from hop.laws import Field, Law
from hop.laws.gaussian_field import GaussianField
from hop.laws.spectral import Basis, Series, as_series
from hop.problem import Lam, Problem
from hop.references import spectral

__all__ = ["KdV"]

_CIRCLE = Box((-1.0,), (1.0,))
_LAW = GaussianField(_CIRCLE, "periodic", length=0.5, std=0.5, sensors=65)


@dataclasses.dataclass(frozen=True)
class KdV(Problem):
    """The equation of Korteweg and de Vries. The network makes u periodic.

    Attributes:
      start: "random", u₀ is an input; or "benchmark", u₀ = cos πx alone.
    """

    start: str = "random"

    domain: ClassVar[Box] = Box((-1.0, 0.0), (1.0, 1.0), periodic=("x",))
    derivatives: ClassVar[tuple[str, ...]] = ("", "x", "t", "xxx")

    def __post_init__(self):
        check_choice("config.problem.start", self.start, ("random", "benchmark"))

    @property
    def inputs(self) -> Mapping[str, Law]:
        return {"u0": _LAW} if self.start == "random" else {}

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return u["t"] + (1 - lam.s) * (u[""] * u["x"] + lam.eps * u["xxx"])

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        x, t = x
        return (a["u0"] if self.inputs else jnp.cos(jnp.pi * x)) + t * network

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        # A soliton of height A has the spectrum exp(−π²k √(3ε/A)), and crosses its own width
        # in about 20 √ε/A^{3/2}; A is at most twice the jump of u₀.
        eps = float(lam.eps)
        field = as_series(a["u0"] if self.inputs else _cosine())
        jump = spectral.jumps(field)
        modes = np.maximum(64, np.ceil(1.8 * np.sqrt(jump / eps))).astype(int)
        steps = np.maximum(500, np.ceil(30 * jump**1.5 / np.sqrt(eps))).astype(int)
        places, times = x[:, 0], (1 - float(lam.s)) * x[:, 1]
        return spectral.solve(transport, dispersion(eps), field, places, times, modes, steps)


transport = spectral.divergence(lambda u: u**2 / 2)


def dispersion(eps: float) -> Callable[[np.ndarray], np.ndarray]:
    """The symbol of −ε u_xxx."""
    return lambda omega: 1j * eps * omega**3


def _cosine() -> Series:
    """cos πx, whose angle from the circle's start on is π(x + 1)."""
    return Series(np.array([[-1.0, 0.0]]), Basis(_CIRCLE, ("periodic",), (1,)), "x")
