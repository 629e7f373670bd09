"""The potential in a semiconductor under an applied voltage, an interval, (C, V) ↦ φ:

    λ² φ″ = n − p − C,   (n φ_n′)′ = 0,   (p φ_p′)′ = 0 on [0, 1],
    n = δ² e^(φ − φ_n),  p = δ² e^(φ_p − φ),
    φ = asinh(C / 2δ²), φ_n = φ_p = 0 at x = 0;  φ = asinh(C / 2δ²) + V, φ_n = φ_p = V at x = 1.

At V = 0 this is `drift_diffusion`. φ and V are in thermal volts, λ = ε is the scaled Debye length,
−1 < C < 1 the doping in units of its largest, δ² = 10⁻⁴ the intrinsic density in the same. φ_n and
φ_p are the quasi-Fermi potentials; mobilities are constant and nothing recombines.

The two currents are then constant, and φ alone decides on both densities (Slotboom):

    e^(−φ_n) = 1 − F + F e^(−V),  F(x) = ∫₀ˣ e^(−φ) / ∫₀¹ e^(−φ),
    e^φ_p    = 1 − G + G e^V,     G(x) = ∫₀ˣ e^φ / ∫₀¹ e^φ.

So φ is the one unknown, and the residual is that of Poisson's equation, by quadrature on its own
points: between two of them φ is taken for linear, as Scharfetter and Gummel do, which serves even
where e^φ changes by orders of magnitude. The ansatz is that of `drift_diffusion` and V x.

Source: Markowich, Ringhofer, Schmeiser, *Semiconductor Equations*, Springer 1990, chapters 3, 4;
Scharfetter, Gummel, *IEEE Trans. Electron Devices* 16 (1969), 64–77.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from hop import ambient
from hop.derivatives import Jet
from hop.laws import Field, Law
from hop.laws.uniform import Uniform
from hop.problem import Lam
from hop.problems.drift_diffusion import INTRINSIC, DriftDiffusion, layer, neutral
from hop.references import numerov, three_point
from hop.references.newton import SMALL, Found, Guess

__all__ = ["BiasedDriftDiffusion"]

_HIGHEST = 20.0  # V
_RAMP = 10  # steps of V
_ON_THE_WAY = 1e-2  # a last step before the last V


@dataclasses.dataclass(frozen=True)
class BiasedDriftDiffusion(DriftDiffusion):
    """A semiconductor under voltage: λ² φ″ = n − p − C, constant currents. `Lam.s` is not used."""

    pointwise: ClassVar[bool] = False
    inputs: ClassVar[Mapping[str, Law]] = {
        **DriftDiffusion.inputs,
        "V": Uniform(0.0, _HIGHEST),
    }

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        C, V, phi = a["C"][""], a["V"][""][:, :1], u[""]
        ends = neutral(a["C(0)"][""][:, :1]), neutral(a["C(1)"][""][:, :1]) + V
        rank = jnp.argsort(x[0, 0])
        whole = jnp.concatenate([ends[0], phi[:, rank], ends[1]], axis=1)
        places = jnp.concatenate([jnp.zeros(1), x[0, 0][rank], jnp.ones(1)]).astype(x.dtype)
        back = 1 + jnp.argsort(rank)
        quasi = [level[:, back] for level in levels(whole, places, V)]
        charge = C - densities(phi, *quasi)
        return jnp.arcsinh((lam.eps**2 * u["xx"] + charge) / (jnp.abs(C) + layer(lam)))

    def shown(self, x: Array, a: Mapping[str, Array], lam: Lam) -> tuple[Array, ...]:
        return (*super().shown(x, a, lam), 2 * a["V"] / _HIGHEST - 1)

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        return super().lift(network, x, a, lam) + a["V"] * x[0]

    def newton(
        self,
        a: Mapping[str, Field],
        lam: Lam,
        guess: Guess | None = None,
        small: float = SMALL,
        nodes: int = 0,
    ) -> Found:
        """Of all three unknowns, by so many steps; by default ten to a Debye length, 1,000 or more.

        A guess of φ is first given its φ_n and φ_p, and the φ of Poisson's equation with these: one
        of Gummel's sweeps. Without a guess V rises from 0 by tenths.
        """
        device = self.device(a, lam, nodes)
        if guess is None:
            w, walked = device.ramped()
        else:
            w = device.swept(np.asarray(guess(device.x), np.float64))
            walked = np.zeros(len(w), int)
        size = np.abs(w[:, :, 0]).max(axis=1)
        w, step, taken, left = device.solve(w, small * size)
        step = np.where(np.isfinite(w).all(axis=(1, 2)), step, np.inf)
        return Found(device.read(w), walked + taken, step / size, left, len(device.x) - 1)

    def device(self, a: Mapping[str, Field], lam: Lam, nodes: int = 0) -> "Device":
        """Those of the inputs, by so many steps; by default as in `newton`."""
        nodes = nodes or max(1000, math.ceil(10 / float(lam.eps)))
        with ambient.on_cpu():
            x = jnp.asarray(self.domain.grid(nodes + 1))
            C, V = (np.asarray(a[name](x), np.float64) for name in ("C", "V"))
        return Device(C, V[:, 0], float(lam.eps))


@dataclasses.dataclass(frozen=True)
class Device:
    """n devices on N + 1 equally spaced nodes, by Scharfetter's and Gummel's differences.

    Attributes:
      C: the doping (n, N + 1).
      V: the voltages (n,).
      length: λ.
    """

    C: np.ndarray
    V: np.ndarray
    length: float

    @property
    def x(self) -> np.ndarray:
        """The nodes (N + 1, 1)."""
        return DriftDiffusion.domain.grid(self.C.shape[1])

    @property
    def shared(self) -> tuple[float, float]:
        """λ and h."""
        return self.length, 1 / (self.C.shape[1] - 1)

    def start(self) -> np.ndarray:
        """φ where nothing is charged, and the voltage laid over it evenly."""
        return np.arcsinh(self.C / INTRINSIC) + np.linspace(0, self.V, self.C.shape[1], axis=1)

    def at(self, share: float) -> "Device":
        """Under a share of the voltage."""
        return dataclasses.replace(self, V=share * self.V)

    def within(self, phi: np.ndarray) -> np.ndarray:
        """φ with its values at the contacts."""
        ends = np.arcsinh(self.C[:, [0, -1]] / INTRINSIC)
        return np.concatenate([ends[:, :1], phi[:, 1:-1], ends[:, 1:] + self.V[:, None]], axis=1)

    def filled(self, phi: np.ndarray) -> np.ndarray:
        """φ (n, N + 1) with the φ_n and φ_p that it decides on, (n, N + 1, 3)."""
        phi = self.within(phi)
        with ambient.on_cpu():
            given = (jnp.asarray(v, float) for v in (phi, self.x[:, 0], self.V[:, None]))
            return np.stack([phi, *levels(*given)], axis=2)

    def swept(self, phi: np.ndarray) -> np.ndarray:
        """The same after φ is that of Poisson's equation with the φ_n and φ_p of the one given."""
        w = self.filled(phi)
        data = self.C, w[:, :, 1], w[:, :, 2]
        enough = np.full(len(w), _ON_THE_WAY)
        phi, *_ = three_point.newton(_poisson, w[:, :, :1], data, self.shared, enough)
        return self.filled(phi[:, :, 0])

    def after(self, sweeps: int) -> numerov.Solution:
        """φ after so many of Gummel's sweeps from `start`."""
        w = self.filled(self.start())
        for _ in range(sweeps):
            w = self.swept(w[:, :, 0])
        return self.read(w)

    def read(self, w: np.ndarray) -> numerov.Solution:
        """The φ of φ, φ_n, φ_p at any points."""
        return numerov.Solution(self.x[:, 0], w[:, :, 0])

    def solve(self, w: np.ndarray, small: np.ndarray) -> tuple[np.ndarray, ...]:
        """As `three_point.newton`, from φ, φ_n, φ_p."""
        return three_point.newton(_coupled, w, self.C, self.shared, small)

    def ramped(self, steps: int = _RAMP) -> tuple[np.ndarray, np.ndarray]:
        """A guess at V from the solutions at V / steps, 2V / steps, …, and its Newton steps."""
        still, enough = self.at(0.0), np.full(len(self.C), _ON_THE_WAY)
        w, total = still.swept(still.start()), np.zeros(len(self.C), int)
        for k in range(1, steps + 1):
            some = self.at(k / steps)
            w[:, -1] = np.stack([some.within(w[:, :, 0])[:, -1], some.V, some.V], axis=1)
            if k < steps:
                w, _, count, _ = some.solve(w, enough)
                total = total + count
        return w, total


def _coupled(near: Array, C: Array, shared: tuple[Array, Array]) -> Array:
    """Poisson's equation and the balances of both currents at a node."""
    before, here, after = near
    charge = _poisson(near[:, :1], (C, here[1], here[2]), shared)
    return jnp.concatenate([charge, _currents(here, after) - _currents(before, here)])


def _poisson(near: Array, data: tuple[Array, Array, Array], shared: tuple[Array, Array]) -> Array:
    """λ² φ″ + C − (n − p), (1,), from (3, 1)."""
    (before, phi, after), (C, phi_n, phi_p), (length, h) = near, data, shared
    bend = length**2 * (before - 2 * phi + after) / h**2
    return bend + C - densities(phi, phi_n, phi_p)


def _currents(left: Array, right: Array) -> Array:
    """n φ_n′ h and p φ_p′ h between two nodes."""
    (phi, phi_n, phi_p), jump = (left + right) / 2, (right - left) / 2
    level = log_sinhc(jump[0])
    electrons = jnp.exp(phi - phi_n - level) * jnp.sinh(jump[1])
    return INTRINSIC * jnp.stack([electrons, jnp.exp(phi_p - phi - level) * jnp.sinh(jump[2])])


def densities(phi: Array, phi_n: Array, phi_p: Array) -> Array:
    """n − p."""
    return INTRINSIC / 2 * (jnp.exp(phi - phi_n) - jnp.exp(phi_p - phi))


def levels(phi: Array, x: Array, V: Array) -> tuple[Array, Array]:
    """φ_n and φ_p (n, q) at rising points x (q,), both ends among them, V (n, 1)."""
    return _level(phi, x, V), -_level(-phi, x, -V)


def _level(phi: Array, x: Array, V: Array) -> Array:
    """−log(1 − F + F e^(−V))."""
    mean, half = (phi[:, 1:] + phi[:, :-1]) / 2, (phi[:, 1:] - phi[:, :-1]) / 2
    parts = log_sinhc(half) - mean  # ∫ e^(−φ) over a cell, beside its length
    parts = jnp.diff(x)[None] * jnp.exp(parts - jnp.max(parts, axis=1, keepdims=True))
    zero = jnp.zeros_like(parts[:, :1])
    below = jnp.concatenate([zero, jnp.cumsum(parts, axis=1)], axis=1)
    above = jnp.concatenate([jnp.cumsum(parts[:, ::-1], axis=1)[:, ::-1], zero], axis=1)
    return jnp.log(below[:, -1:]) - jnp.log(above + below * jnp.exp(-V))


def log_sinhc(z: Array) -> Array:
    """log(sinh z / z)."""
    size = jnp.abs(z)
    safe = jnp.where(size < 0.05, 1.0, size)
    far = safe + jnp.log1p(-jnp.exp(-2 * safe)) - jnp.log(2 * safe)
    return jnp.where(size < 0.05, z**2 / 6 - z**4 / 180, far)
