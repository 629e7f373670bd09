"""A Hamilton–Jacobi equation with small noise in R^d, for t from 0 to 1:

    u_t + ½ |∇u|² = ε Δu,  u(x, 0) = g(x).

u(x, t) is the least mean cost of a walk that starts at x with the time t left, and the control that
attains it is α = −∇u:

    u(x, t) = min E[∫ ½ |α|² + g(X_t)],  dX = α ds + √(2ε) dW,  X_0 = x.

The cost g is a random quadratic, whose axes are those of x, and r = ⌈d/5⌉ waves, which are not
convex, along orthonormal directions v_j. v_j is the sum of every r-th axis, over its length:

    g(x) = ½ Σ_i a_i (x_i − c_i)² + Σ_j h_j(v_j·x),  h_j(ξ) = 0.3 (p_j cos 2ξ + q_j sin 2ξ).

ln a_i / 0.3, c_i / 0.5, p_j and q_j are independent standard normal numbers. Where a wave is
concave enough two ends compete: as ε → 0 u gets a kink there, and the control jumps.

Of the quadratic alone the solution Q is known in closed form, by Riccati's equation, and so is the
end where it is best to go, y = c + (x − c) / (1 + ta). By the transform of Cole and Hopf u is
−2ε ln E exp(−g(x + √(2εt) Z) / 2ε), Z standard normal. Across the v_j, where g is quadratic, the
mean is known in closed form, which leaves

    u = Q + Σ_j −2ε ln E exp(−h_j(m_j + √(2εt s_j) Z) / 2ε),
    m_j = v_j·y,  s_j = Σ_i v_ji² / (1 + ta_i).

The reference takes these means over one normal number by the trapezoidal rule. The ansatz

    u = Q + Σ_j h_j(m_j) + t N

is exact at t = 0 and, since the waves are carried along to the ends y, to first order in them. The
loss takes the residual of the equation for N.

Control and Hamilton–Jacobi: Fleming, Soner, *Controlled Markov Processes and Viscosity Solutions*,
Springer 2006.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop import ambient
from hop.derivatives import GRADIENT, LAPLACIAN, Jet
from hop.domain import WholeSpace
from hop.errors import UserError, check_range
from hop.laws import Field, Law
from hop.laws.normal import Normal
from hop.problem import Lam, Problem

__all__ = ["HamiltonJacobi"]

_BLOCK = 5  # coordinates for each direction that is not convex
_SPREAD, _AWAY = 0.3, 0.5  # of ln a and c
_HEIGHT, _WAVE = 0.3, 2.0  # of the h_j
_REACH, _STEP = 8.0, 0.3  # of the trapezoidal rule, in standard deviations
_AT_ONCE = 2**24  # of its numbers


class Cost(NamedTuple):
    """g of n costs: a and c (d, n, 1), p and q (r, n, 1); n = 1 of a single one."""

    a: Array
    c: Array
    p: Array
    q: Array


@dataclasses.dataclass(frozen=True)
class HamiltonJacobi(Problem):
    """A Hamilton–Jacobi equation, u_t + ½ |∇u|² = ε Δu, u = g at t = 0. `Lam.s` is not used.

    Attributes:
      dim: d.
      cost: the random key by which one g is drawn from its law and kept; −1 makes g an input,
        `cost`, of 2d + 2r numbers.
    """

    dim: int = 20
    cost: int = 0

    def __post_init__(self):
        check_range("config.problem", "be at least 1", dim=self.dim)
        if not -1 <= self.cost < 2**31:
            raise UserError(
                f"config.problem.cost={self.cost} must be a random key in [0, 2^31), or -1, which "
                "makes the cost an input"
            )

    @property
    def domain(self) -> WholeSpace:
        return WholeSpace(self.dim, until=1.0)

    @property
    def derivatives(self) -> tuple[str, ...]:
        return ("", "t", GRADIENT, LAPLACIAN)

    @property
    def law(self) -> Normal:
        """Of ln a / 0.3, c / 0.5, p and q, one after the other."""
        return Normal(2 * self.dim + 2 * math.ceil(self.dim / _BLOCK))

    @property
    def inputs(self) -> Mapping[str, Law]:
        return {"cost": self.law} if self.cost < 0 else {}

    @functools.cached_property
    def directions(self) -> Float[np.ndarray, "r d"]:
        """The v_j."""
        r = math.ceil(self.dim / _BLOCK)
        each = np.arange(self.dim) % r == np.arange(r)[:, None]
        return each / np.sqrt(each.sum(axis=1, keepdims=True))

    def cost_of(self, a: Mapping[str, Array], dtype: Any) -> Cost:
        """g, from the values of the inputs."""
        z = a["cost"] if a else jnp.asarray(_drawn(self.law, self.cost), dtype)[:, None, None]
        log_a, c, waves = z[: self.dim], z[self.dim : 2 * self.dim], z[2 * self.dim :]
        return Cost(jnp.exp(_SPREAD * log_a), _AWAY * c, *jnp.split(waves, 2))

    def value(self, cost: Cost, x: Array) -> Array:
        """g at points (d, …)."""
        bowl = jnp.sum(cost.a * (x - cost.c) ** 2, axis=0) / 2
        return bowl + jnp.sum(_wave(cost, self._along(x))[0], axis=0)

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return u["t"] + jnp.sum(u[GRADIENT] ** 2, axis=0) / 2 - lam.eps * u[LAPLACIAN]

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        x, t = x[:-1], x[-1:]
        cost = self.cost_of(a, x.dtype)
        wave, _, _ = _wave(cost, self._along(_end(cost, x, t)))
        return _bowl(cost, x, t, lam) + jnp.sum(wave, axis=0) + t[0] * network

    def reduced_residual(self, N: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        x, t = x[:-1], x[-1:]
        cost = self.cost_of({name: jet[""] for name, jet in a.items()}, x.dtype)
        far = 1 + t * cost.a
        _, slope, bend = _wave(cost, self._along(_end(cost, x, t)))
        gradient = self._back(slope) / far + t * N[GRADIENT]
        laplacian = jnp.sum(bend * self._along(1 / far**2, squared=True), axis=0)
        carried = jnp.sum(cost.a / far * (x - cost.c) * N[GRADIENT], axis=0)
        noise = lam.eps * (laplacian + t[0] * N[LAPLACIAN])
        return N[""] + t[0] * (N["t"] + carried) + jnp.sum(gradient**2, axis=0) / 2 - noise

    def trunk_features(self, x: Array, lam: Lam) -> tuple[Array, ...]:
        return tuple(self._told(x, {})) if self.cost >= 0 else ()

    def shown(self, x: Array, a: Mapping[str, Array], lam: Lam) -> tuple[Array, ...]:
        return tuple(self._told(x, a))

    def _told(self, x: Array, a: Mapping[str, Array]) -> Array:
        """The waves and their slopes at the m_j, and t s_j, all of about unit size: (3r, n, q)."""
        x, t = x[:-1], x[-1:]
        cost = self.cost_of(a, x.dtype)
        wave, slope, _ = _wave(cost, self._along(_end(cost, x, t)))
        wide = t * self._along(1 / (1 + t * cost.a), squared=True)
        return jnp.concatenate([wave / _HEIGHT, slope / (_HEIGHT * _WAVE), 2 * wide - 0.6])

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        return self._exact(a, x, lam, _STEP, False)[0]

    def solution(
        self, a: Mapping[str, Field], x: np.ndarray, lam: Lam, step: float = _STEP
    ) -> tuple[Float[np.ndarray, "n q"], Float[np.ndarray, "d n q"]]:
        """u and ∇u at the points x (q, d + 1).

        `step` is that of the trapezoidal rule, in standard deviations of Z.
        """
        u, gradient = self._exact(a, x, lam, step, True)
        return u, gradient

    def _exact(
        self, a: Mapping[str, Field], x: np.ndarray, lam: Lam, step: float, gradient: bool
    ) -> list[np.ndarray]:
        """u, and ∇u if it is asked for, a block of points after the other."""
        with ambient.on_cpu():
            cost = self.cost_of({name: f(jnp.asarray(x)) for name, f in a.items()}, float)
            pull = float(_steepest(cost).max()) / math.sqrt(2 * lam.eps)
            nodes = 2 * math.ceil((_REACH + pull) / step) + 1
            block = max(1, _AT_ONCE // (nodes * cost.p.size))
            parts = [
                self._solve(cost, jnp.asarray(at.T[:, None]), float(lam.eps), nodes, gradient)
                for at in (x[k : k + block] for k in range(0, len(x), block))
            ]
            return [np.concatenate(part, axis=-1) for part in zip(*parts, strict=True)]

    @functools.partial(jax.jit, static_argnums=(0, 4, 5))
    def _solve(
        self, cost: Cost, x: Array, eps: Any, nodes: int, gradient: bool
    ) -> tuple[Array, ...]:
        """The means are over ends m + √(2εt s) z, weighed by exp(−z²/2 − h/2ε).

        That is largest at some |z| ≤ P = √(ts / 2ε) max |h′|, and falls beyond P at least as
        exp(−(|z| − P)² / 2).
        """
        x, t = x[:-1], x[-1:]
        far = 1 + t * cost.a
        width = jnp.sqrt(2 * eps * t * self._along(1 / far, squared=True))
        reach = _REACH + width * _steepest(cost) / (2 * eps)
        ends = self._along(_end(cost, x, t))

        def weigh(place: Array) -> tuple[Array, Array]:
            """The exponent, and h′, at z = reach · place."""
            z = reach * place
            wave, slope, _ = _wave(cost, ends + width * z)
            return -(z**2) / 2 - wave / (2 * eps), slope

        exponent, slope = jax.vmap(weigh)(jnp.linspace(-1, 1, nodes))
        most = exponent.max(axis=0)
        weight = jnp.exp(exponent - most[None])
        total = weight.sum(axis=0)
        mean = most + jnp.log(total * 2 * reach / (nodes - 1) / math.sqrt(2 * math.pi))
        u = _bowl(cost, x, t, Lam(0.0, eps)) - 2 * eps * mean.sum(axis=0)
        if not gradient:
            return (u,)
        pulled = self._back((weight * slope).sum(axis=0) / total)
        return u, (cost.a * (x - cost.c) + pulled) / far

    def _along(self, x: Array, squared: bool = False) -> Array:
        """Σ_i v_ji x_i (r, …), or Σ_i v_ji² x_i, of arrays (d, …)."""
        x = jnp.asarray(x)
        v = jnp.asarray(self.directions, x.dtype)
        return jnp.tensordot(v**2 if squared else v, x, 1)

    def _back(self, xi: Array) -> Array:
        """Σ_j v_ji ξ_j (d, …), of arrays (r, …)."""
        return jnp.tensordot(jnp.asarray(self.directions, xi.dtype).T, xi, 1)


def _bowl(cost: Cost, x: Array, t: Array, lam: Lam) -> Array:
    """Q: u of the quadratic alone."""
    far = 1 + t * cost.a
    parts = cost.a / far * (x - cost.c) ** 2 / 2 + lam.eps * jnp.log(far)
    return jnp.sum(parts, axis=0)


def _end(cost: Cost, x: Array, t: Array) -> Array:
    """y: where it is best to go for the quadratic alone."""
    return cost.c + (x - cost.c) / (1 + t * cost.a)


def _wave(cost: Cost, xi: Array) -> tuple[Array, Array, Array]:
    """The h_j and their first and second derivatives, (r, n, q)."""
    cos, sin = _HEIGHT * jnp.cos(_WAVE * xi), _HEIGHT * jnp.sin(_WAVE * xi)
    h = cost.p * cos + cost.q * sin
    return h, _WAVE * (cost.q * cos - cost.p * sin), -(_WAVE**2) * h


def _steepest(cost: Cost) -> Array:
    """max |h_j′|, (r, n, 1)."""
    return _HEIGHT * _WAVE * jnp.hypot(cost.p, cost.q)


@functools.lru_cache(maxsize=8)
def _drawn(law: Normal, seed: int) -> Float[np.ndarray, " m"]:
    """One sample, the same wherever it is drawn."""
    with jax.ensure_compile_time_eval(), ambient.on_cpu():
        return np.asarray(law.sample(ambient.key(seed), 1).coefficients)[0]
