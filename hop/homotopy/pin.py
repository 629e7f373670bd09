"""Pinning the slow mode where the residual no longer decides the interface's place.

With φ and ψ the slow mode and its adjoint (`hop.homotopy.slow_mode`) and û the predictor, a pinned
stage solves the bordered system of numerical continuation

    H(u; λ_k) + c ψ = 0,   ⟨φ, u − û⟩ = 0,   û(x) = u_{k−1}(x − ẋ Δp),

for u and the multiplier c, with ẋ Δp the displacement asked for: the one that the gauge expects
(`hop.trust`), or, where the residual does not tell, that of the velocity dx/dp last known. φ and ψ
move with it. In least squares c is eliminated: ψ is projected out of the residual rows. (Phase
conditions: Beyn, Thümmler, *SIAM J. Appl. Dyn. Syst.* 3 (2004), 85–116.)
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop import ambient
from hop.ansatz import Ansatz
from hop.homotopy.slow_mode import SlowMode, slow_mode
from hop.networks import Params
from hop.problem import Lam, Problem

_GRID = 4001  # points of the modes; eight per ε at ε = 0.002
_NEWTON_STEPS = 5


class Pin(NamedTuple):
    """A pin, its modes (m,) on the points of `grid`. Traced.

    Attributes:
      on: 1, or 0 for a stage that is not pinned.
      psi: ψ.
      phi: φ.
      target: the value of ⟨φ, u⟩ that is asked for.
    """

    on: Any
    psi: Any
    phi: Any
    target: Any

    def project(
        self, rows: Float[Array, "n q"], x: Float[Array, "q 1"], points: Float[Array, "m 1"]
    ) -> Float[Array, "n q"]:
        """Residual rows at x with their part along ψ left out: min over c of |rows + c ψ|.

        `points` are those of `grid`.
        """
        psi = jnp.interp(x[:, 0], points[:, 0], self.psi)
        along = jnp.matmul(rows, psi) / jnp.sum(psi**2)
        return rows - self.on * along[:, None] * psi[None, :]

    def row(self, u: Float[Array, "1 m"]) -> Float[Array, "1 1"]:
        """⟨φ, u⟩ − target, for u on `grid`."""
        return self.on * (jnp.mean(u * self.phi[None, :], axis=1) - self.target)[:, None]


def grid(problem: Problem) -> Float[np.ndarray, "m 1"]:
    """Where the modes are: fine enough that ⟨φ, u⟩ has no error of its own."""
    return problem.domain.grid(_GRID)


def off() -> Pin:
    """No pin, of the shape of one."""
    return Pin(np.float64(0), np.ones(_GRID), np.ones(_GRID), np.float64(0))


def pin(ansatz: Ansatz, params: Params, last: Lam, lam: Lam, shift: float) -> Pin:
    """The pin of a stage at λ_k from the network u_{k−1} of the last, at λ_{k−1}.

    The problem is one that `slow_mode.serves`, without input functions; `shift` is ẋ Δp, how far
    the interface is to move.
    """
    with ambient.numerics(np.float64):
        params = _wide(params)
        mode, points = _mode(ansatz, params, last, lam)
        phi, psi = (_moved(points, np.asarray(v[0]), shift) for v in (mode.phi, mode.psi))
        u = np.asarray(ansatz.jet(params, {}, jnp.asarray(points - shift), last, ())[""][0])
        return Pin(np.float64(1), psi, phi, np.mean(phi * u))


def shift(ansatz: Ansatz, before: Params, after: Params, last: Lam, lam: Lam) -> float:
    """How far the interface moved from λ_{k−1} to λ_k.

    It is the d with ⟨φ, u_k − u_{k−1}(· − d)⟩ = 0, by Newton's method.
    """
    with ambient.numerics(np.float64):
        before, after = _wide(before), _wide(after)
        mode, points = _mode(ansatz, after, lam, lam)
        phi, d = np.asarray(mode.phi[0]), 0.0
        new = ansatz.jet(after, {}, jnp.asarray(points), lam, ())[""]
        for _ in range(_NEWTON_STEPS):
            old = ansatz.jet(before, {}, jnp.asarray(points - d), last, ("x",))
            d -= float(phi @ (new - old[""])[0] / (phi @ old["x"][0]))
        return d


def multiplier(ansatz: Ansatz, params: Params, lam: Lam) -> tuple[float, float]:
    """|c| = |⟨ψ, H⟩|, and the norm of the rest of the residual, both in L2.

    Where |c| exceeds the rest, the pin holds u where the equation does not want it.
    """
    with ambient.numerics(np.float64):
        params = _wide(params)
        mode, points = _mode(ansatz, params, lam, lam)
        h = ansatz.residual(params, {}, jnp.asarray(points), lam)[0]
        width = points[1, 0] - points[0, 0]
        c = width * jnp.sum(mode.psi[0] * h)
        rest = width * jnp.sum((h - c * mode.psi[0]) ** 2)
        return abs(float(c)), float(jnp.sqrt(rest))


def _wide(params: Params) -> Params:
    """Parameters in float64: in float32 the modes of a small σ are lost, or not finite."""
    return jax.tree.map(lambda a: np.asarray(a, np.float64), params)


def _mode(
    ansatz: Ansatz, params: Params, at: Lam, lam: Lam
) -> tuple[SlowMode, Float[np.ndarray, "m 1"]]:
    """The slow mode of H at λ about a network of λ_at, and its grid."""
    points = grid(ansatz.problem)
    at, lam = (Lam(*map(np.float64, place)) for place in (at, lam))
    return _solve(ansatz, params, at, lam, jnp.asarray(points)), points


@functools.partial(jax.jit, static_argnums=0)
def _solve(ansatz: Ansatz, params: Params, at: Lam, lam: Lam, points: Array) -> SlowMode:
    return slow_mode(ansatz.problem, ansatz.jet(params, {}, points, at), {}, points, lam)


def _moved(points: np.ndarray, mode: np.ndarray, shift: float) -> np.ndarray:
    """mode(x − shift); it has died out at the ends, and is continued by its value there."""
    return np.interp(points[:, 0] - shift, points[:, 0], mode)
