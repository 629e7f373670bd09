"""The flow in a cavity whose lid moves, steady Navier–Stokes in the square, the operator U ↦ ψ.

    H(ψ; s, ε) = Δ²ψ − (1 − s) Re (ψ_y Δψ_x − ψ_x Δψ_y) = 0  on [0, 1]²,  ε = 1/Re,
    ψ = 0 and ∂ψ/∂n = 0 on the walls but ∂ψ/∂y = U(x) on the lid y = 1,

ψ the stream function: the velocity is (ψ_y, −ψ_x), which `op.derivative` gives, and the vorticity
−Δψ. At s = 1 it is Stokes flow. In its place

    ψ = [x(1 − x) y(1 − y)]² N + U(x) y²(y − 1)

has all boundary values if U and U′ vanish at the corners. The lid of the usual benchmark, U = 1,
does not: the velocity jumps there, and near a corner ψ is, up to r², the Stokes flow of a wall that
scrapes along another (Taylor), for the left one with θ = arctan((1 − y)/x)

    ψ_c = 4/(π² − 4) [θ x + π/2 θ (1 − y) − π²/4 (1 − y)].

There ψ = y²(3 − 2y) [(1 − χ) ψ_c(x, y) + χ ψ_c(1 − x, y)] + [x(1 − x) y(1 − y)/(r₁ r₂)]² N, with
χ = x²(3 − 2x) and r_i the distances from the corners of the lid.

Tested against φ that vanish with their first derivatives, H becomes
∫ Δψ Δφ + (1 − s) Re Δψ (ψ_y φ_x − ψ_x φ_y) = 0: half as many derivatives. The
configs train it so (`config.train.tests`).

Several solutions exist beyond some Re; those that continue from Re = 0 are meant.
Source of the setting: Ghia, Ghia, Shin, *J. Comput. Phys.* 48 (1982), 387–411, and with a smooth
lid Shen, *J. Comput. Phys.* 95 (1991), 228–245; the corners: Botella, Peyret, *Computers & Fluids*
27 (1998), 421–433.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.derivatives import Jet
from hop.domain import Box
from hop.errors import UserError, check_choice
from hop.laws import Field, Law
from hop.laws.gaussian_field import GaussianField
from hop.laws.log_uniform import LogUniform
from hop.problem import Lam, Layer, Problem
from hop.references import galerkin
from hop.references.newton import SMALL, Found, Guess

__all__ = ["Cavity"]


def _bump(places: Array) -> Array:
    """16 x²(1 − x)², 1 in the middle."""
    x = places[0]
    return 16 * x**2 * (1 - x) ** 2


def _scraped(x: Array, y: Array) -> Array:
    """ψ of a lid U = 1 without N."""

    def corner(x: Array) -> Array:
        theta = jnp.arctan2(1 - y, x)
        return theta * x + (math.pi / 2) * theta * (1 - y) - (math.pi**2 / 4) * (1 - y)

    right = x**2 * (3 - 2 * x)
    blended = (1 - right) * corner(x) + right * corner(1 - x)
    return 4 / (math.pi**2 - 4) * y**2 * (3 - 2 * y) * blended


_TINY = 1e-12  # keeps 0/0 from the corners
_LID = GaussianField(Box((0.0,), (1.0,)), ends="free", length=0.3, std=0.3, sensors=25)
_LIDS = _LID.map(jnp.exp).times(_bump)


@dataclasses.dataclass(frozen=True)
class Cavity(Problem):
    """The steady flow in a cavity with a moving lid.

    Attributes:
      lid: "random", an input: 16 x²(1 − x)² e^g with a smooth random g; "regular", without e^g; or
        "unit", U = 1.
      reynolds: (low, high) makes Re an input too, and ε is not used; () for Re = 1/ε.
    """

    lid: str = "random"
    reynolds: tuple[float, ...] = ()

    domain: ClassVar[Box] = Box((0.0, 0.0), (1.0, 1.0))
    unknowns: ClassVar[tuple[str, ...]] = ("psi",)
    derivatives: ClassVar[tuple[str, ...]] = ("xxxx", "xxyy", "yyyy", "xxy", "yyy", "xxx", "xyy")
    weak_derivatives: ClassVar[tuple[str, ...]] = ("", "x", "y", "xx", "yy")

    def __post_init__(self):
        check_choice("config.problem.lid", self.lid, ("random", "regular", "unit"))
        low, high = self.reynolds if len(self.reynolds) == 2 else (0.0, 0.0)
        if self.reynolds and not 0 < low < high:
            raise UserError(
                f"config.problem.reynolds={self.reynolds!r} must be a range (low, high), or () for "
                "1/eps"
            )

    @property
    def inputs(self) -> Mapping[str, Law]:
        lids = {"U": _LIDS} if self.lid == "random" else {}
        return lids | ({"Re": LogUniform(*self.reynolds)} if self.reynolds else {})

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        transport = u["y"] * (u["xxx"] + u["xyy"]) - u["x"] * (u["xxy"] + u["yyy"])
        return u["xxxx"] + 2 * u["xxyy"] + u["yyyy"] - self._re(a, lam) * transport

    def weak(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Mapping[str, Array]:
        curvature = u["xx"] + u["yy"]
        carried = self._re(a, lam) * curvature
        return {"xx": curvature, "yy": curvature, "x": carried * u["y"], "y": -carried * u["x"]}

    def energy(self, a: Mapping[str, Any], lam: Lam) -> Mapping[str, Any]:
        size = a["Re"] / self.reynolds[0] if self.reynolds else 1.0
        return {"xx": size, "yy": size}

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        x, y = x
        walls = (x * (1 - x) * y * (1 - y)) ** 2
        if self.lid == "unit":
            far = (x**2 + (1 - y) ** 2) * ((1 - x) ** 2 + (1 - y) ** 2)
            return walls / (far + _TINY) * network + _scraped(x, y)
        lid = a["U"] if self.lid == "random" else _bump(x[None])
        return walls * network + lid * y**2 * (y - 1)

    def layers(self, lam: Lam) -> tuple[Layer, ...]:
        return ()  # none so thin that it needs points of its own

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        return self.solution(a, lam)(x)

    def solution(self, a: Mapping[str, Field], lam: Lam, polynomials: int = 0) -> galerkin.Solution:
        """The reference with its derivatives, by so many polynomials along an axis."""
        found = self.newton(a, lam, polynomials=polynomials).checked(lam)
        assert isinstance(found, galerkin.Solution)
        return found

    def newton(
        self,
        a: Mapping[str, Field],
        lam: Lam,
        guess: Guess | None = None,
        small: float = SMALL,
        polynomials: int = 0,
    ) -> Found:
        top = self.reynolds[1] if self.reynolds else 1 / float(lam.eps)
        more = 16 if self.lid == "unit" else 0  # the corners' next terms converge slowly
        count = polynomials or 8 + 2 * math.ceil(top**0.3) + more
        stages = 0 if guess else max(0, math.ceil(math.log2(top / 200)))
        walk = [Lam(1 - (1 - lam.s) * 2.0**-k, lam.eps) for k in range(stages, -1, -1)]
        return galerkin.newton(self, a, walk, (count, count), guess, small)

    def _re(self, a: Mapping[str, Jet], lam: Lam) -> Any:
        """(1 − s) Re."""
        return (1 - lam.s) * (a["Re"][""] if self.reynolds else 1 / lam.eps)
