"""Allen–Cahn in time, the operator u₀ ↦ u on the circle.

    H(u; ε) = u_t − ε u_xx − 5 (u − u³) = 0  on [−1, 1] × [0, 1],  u(x, 0) = u₀(x),

periodic in x. The columns of the points are (x, t). u tends to ±1, and where u₀ changes its sign an
interface of width √(2ε/5) forms. Without diffusion the reaction alone carries v to

    R(v, t) = v e^{5t} / √(1 + v² (e^{10t} − 1)),

and diffusion alone carries u₀ to w = e^{εtΔ}u₀. In u = R(v, t) both together are

    v_t = ε v_xx − 3ε v G(v, t) v_x²,  G = (e^{10t} − 1)/(1 + v² (e^{10t} − 1)),

and to first order in ε this is v = w − 3ε w w_x² ∫₀ᵗ G(w, s) ds. With four outputs N_k of the
network and

    v₁ = w / √(1 + 6ε w_x² ∫₀ᵗ G(w, s) ds),  v = v₁ + ε² (1 + w_x²)² t sinh²(5t) Σ_k N_k R(v₁, t)^k,

u = R(v, t) has the initial values and is right to first order in ε whatever the N_k are. The powers
vary across an interface, so that the N_k need not.

The residual is weighed by e^{−5t}/ε: an error of u near 0 grows by e^{5t}, so what is missed early
counts more than what is missed late; and without the N_k it is of the size of ε.

The random u₀ have a few waves around the circle and are of about the size of x² cos πx, the single
u₀ of the benchmark. With y = 1 − |x| that one is (1 − |y|)² cos πx, of which diffusion rounds the
kink at y = 0: w is made of (1 − e^{εtΔ}|y|)² cos πx.
Source of the benchmark: Raissi, Perdikaris, Karniadakis, *J. Comput. Phys.* 378 (2019), 686–707.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import erf

from hop.derivatives import Jet
from hop.domain import Box
from hop.errors import check_choice
from hop.laws import Field, Law
from hop.laws.gaussian_field import GaussianField
from hop.laws.spectral import Basis, Series, as_series
from hop.problem import Lam, Problem
from hop.references import spectral

__all__ = ["AllenCahnTime"]

_CIRCLE = Box((-1.0,), (1.0,))
_LAW = GaussianField(_CIRCLE, "periodic", length=0.3, std=0.4, sensors=65)
_RATE = 5.0
_WAVES = 1024  # of x² cos πx
_TINY = 1e-12  # keeps 0/0 from t = 0


@dataclasses.dataclass(frozen=True)
class AllenCahnTime(Problem):
    """The Allen–Cahn equation in time. `Lam.s` is not used. The network makes u periodic.

    Attributes:
      start: "random", u₀ is an input; or "benchmark", u₀ = x² cos πx alone.
    """

    start: str = "random"

    domain: ClassVar[Box] = Box((-1.0, 0.0), (1.0, 1.0), periodic=("x",))
    outputs: ClassVar[int] = 4
    derivatives: ClassVar[tuple[str, ...]] = ("", "t", "xx")

    def __post_init__(self):
        check_choice("config.problem.start", self.start, ("random", "benchmark"))

    @property
    def inputs(self) -> Mapping[str, Law]:
        return {"u0": _LAW} if self.start == "random" else {}

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        _, t = x
        h = u["t"] - lam.eps * u["xx"] - reaction(u[""])
        return jnp.exp(-_RATE * t) / lam.eps * h

    def known(self, fields: Mapping[str, Field], x: Array, lam: Lam) -> Mapping[str, Field]:
        if not fields:
            return {}
        w = as_series(fields["u0"]).diffused(lam.eps)
        return {"w": w, "w_x": w.along("x")}

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        x, t = x
        w, w_x = (a["w"], a["w_x"]) if self.inputs else rounded(x, lam.eps * t)
        v = w / jnp.sqrt(1 + 6 * lam.eps * w_x**2 * _steepened(w, t))
        layer = reacted(v, t)
        across = sum(each * layer**k for k, each in enumerate(network))
        size = (lam.eps * (1 + w_x**2) * jnp.sinh(_RATE * t)) ** 2 * t
        return reacted(v + size * across, t)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        # An interface tanh(x/δ), δ = √(2ε/5), has the spectrum exp(−π²kδ/2).
        eps = float(lam.eps)
        least = max(64, math.ceil(4 / math.sqrt(2 * eps / _RATE)))
        field = as_series(a["u0"] if self.inputs else benchmark())
        many = field.count
        modes, steps = np.full(many, max(least, field.basis.modes[0])), np.full(many, 400)
        places, times = x.T
        found = spectral.solve(growth, diffusion(eps), field, places, times, modes, steps)
        if self.inputs:
            return found
        # The series of a kink converges slowly, until diffusion rounds it.
        return np.where(times == 0, places**2 * np.cos(np.pi * places), found)


def reaction(u: Any) -> Any:
    """5 (u − u³)."""
    return _RATE * (u - u**3)


def reacted(v: Array, t: Array) -> Array:
    """R(v, t), the solution at t of u′ = 5 (u − u³), u(0) = v."""
    growth = jnp.exp(_RATE * t)
    return v * growth / jnp.sqrt(1 + v**2 * (growth**2 - 1))


def _steepened(w: Array, t: Array) -> Array:
    """∫₀ᵗ G(w, s) ds, by the rule of Gauss and Legendre."""
    rule = (jnp.asarray(part, t.dtype) for part in np.polynomial.legendre.leggauss(16))
    nodes, weights = (part.reshape(-1, *(1,) * t.ndim) for part in rule)
    past = jnp.expm1(_RATE * t[None] * (1 + nodes))
    return t / 2 * jnp.sum(weights * past / (1 + w[None] ** 2 * past), axis=0)


growth = spectral.pointwise(reaction, 3)


def diffusion(eps: float) -> Callable[[np.ndarray], np.ndarray]:
    """The symbol of ε u_xx."""
    return lambda omega: -eps * omega**2


def rounded(x: Array, time: Array) -> tuple[Array, Array]:
    """x² cos πx after diffusion for a short time, to first order in it; its slope."""
    sign = jnp.where(x < 0, -1, 1)  # 1 at 0 too, where u₀ is smooth
    y, width = 1 - sign * x, jnp.sqrt(4 * time + _TINY**2)
    z = y / width
    slope = erf(z)
    far = 1 - y * slope - width / math.sqrt(math.pi) * jnp.exp(-(z**2))
    far_x = sign * slope
    wave, wave_x = jnp.cos(math.pi * x), -math.pi * jnp.sin(math.pi * x)
    bend = 2 * far_x**2 * wave + 4 * far * far_x * wave_x - math.pi**2 * far**2 * wave
    return far**2 * wave + time * bend, 2 * far * far_x * wave + far**2 * wave_x


def benchmark() -> Series:
    """x² cos πx by the functions of the circle, whose angles from its start on are kπ(x + 1)."""

    def integral(m: np.ndarray) -> np.ndarray:
        """∫ x² cos mπx over [−1, 1]."""
        some = np.where(m == 0, 1, m)
        return np.where(m == 0, 2 / 3, 4 * (-1.0) ** m / (some * math.pi) ** 2)

    k = np.arange(_WAVES + 1)
    cosines = (-1.0) ** k * (integral(k - 1) + integral(k + 1)) / 2
    cosines[0] /= math.sqrt(2)
    basis = Basis(_CIRCLE, ("periodic",), (_WAVES,), constant=True)
    return Series(np.concatenate([cosines, np.zeros(_WAVES)])[None], basis, "x")
