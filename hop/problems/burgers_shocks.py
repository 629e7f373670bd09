"""Burgers in time at small viscosity: a network whose smooth branches meet in shocks.

The equation is that of `hop.problems.burgers_time`. u = φ_x solves it where the potential solves
φ_t + ½φ_x² = ε φ_xx, and there is a rule for solutions of the latter (Cole, Hopf): if ψ_1 … ψ_Q
solve it, so does their soft minimum, −2ε ln ((1/Q) Σ_q e^{−ψ_q/2ε}). As ε falls that becomes the
least of them. So a shock is where two branches are equal, each of them smooth beyond it, and its
speed is right, since φ is continuous there. The network gives N_1 … N_Q; with φ₀′ = u₀ the branches
are ψ_q = φ₀ + t N_q, and

    u = u₀ + t Σ_q w_q ∂_x N_q,  w = softmax(−t N/2ε),

    Σ_q w_q [N_q + t ∂_t N_q + ½ (u₀ + t ∂_x N_q)² − ε (u₀′ + t ∂_xx N_q)] = 0.

The bracket is the potential's residual of one branch, and their sum, the loss, is exactly that of
φ. Nothing in it grows as ε falls: the N_q are smooth, of width 1 beside a shock of width ε, so
random points find all that there is to find. φ obeys a maximum principle, whence
|φ − exact φ| ≤ t max |residual| for every ε.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from hop.derivatives import Jet
from hop.errors import UserError, check_choice
from hop.problem import Lam
from hop.problems.burgers_time import BurgersTime

__all__ = ["BurgersShocks"]


@dataclasses.dataclass(frozen=True)
class BurgersShocks(BurgersTime):
    """The residual, also that of `op.residual`, is the potential's, and not u_t + u u_x − ε u_xx.

    Attributes:
      conditions_by: "lift" alone, as u = u₀ at t = 0.
      branches: Q, the number of smooth potentials, 2 or more.
    """

    branches: int = 8

    slopes: ClassVar[tuple[str, ...]] = ("x",)
    derivatives: ClassVar[tuple[str, ...]] = ("", "x", "t", "xx")

    def __post_init__(self):
        check_choice("config.problem.conditions_by", self.conditions_by, ("lift",))
        if self.branches < 2:
            raise UserError(f"config.problem.branches={self.branches} must be at least 2")

    @property
    def outputs(self) -> int:
        return self.branches

    def lift(
        self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam, *slopes: Array
    ) -> Array:
        _, t = x
        return a["u0"] + t * jnp.sum(_shares(network, t, lam) * slopes[0], axis=0)

    def reduced_residual(self, N: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        _, t = x
        w = _shares(N[""], t, lam)
        u, slope = (a["u0"][k][None] + t[None] * N[k + "x"] for k in ("", "x"))
        carried = jnp.sum(w * (N[""] + t[None] * N["t"] + u**2 / 2), axis=0)
        return carried - lam.eps * jnp.sum(w * slope, axis=0)


def _shares(N: Array, t: Array, lam: Lam) -> Array:
    """w (Q, n, q)."""
    return jax.nn.softmax(-(t / (2 * lam.eps))[None] * N, axis=0)
