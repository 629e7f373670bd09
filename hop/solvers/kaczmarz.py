"""Block Kaczmarz with momentum: Gauss–Newton steps on a few of many rows, for small networks.

A step draws some of the points and soft conditions, those with large rows more often, and takes

    δ = argmin |J δ + r|² + μ |δ − β δ′|²  =  β δ′ − Jᵀ (J Jᵀ + μ)⁻¹ (r + β J δ′),

J and r of the rows drawn, δ′ the last step. The cost is that of k rows, not of all; β δ′ holds on
to what earlier rows asked for. Then θ + η δ is taken, with the η of 1, ½, ¼, 0.1, 0 at which the
loss on *all* rows is lowest; μ falls after whole steps and rises after short ones. Where a large
share of rare points decides (high dimension, steep layers) many such steps reach further than few
steps of `levenberg_marquardt` on as many rows as it can hold. J Jᵀ squares the condition number:
float64, and the last digits are left to Levenberg–Marquardt.
(Goldshlager, Abrahamsen, Lin, *J. Comput. Phys.* 516 (2024) 113351: SPRING; Wu et al., arXiv
2207.10289: drawing by the residual.)
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from hop import ambient
from hop.errors import check_range
from hop.networks import Params
from hop.solvers import Losses, Moment, Objective, Solver

__all__ = ["Kaczmarz"]

_SHORTEST = 0.125
_LOWER, _RAISE, _LOWEST = 0.7, 2.0, 1e-12


class State(NamedTuple):
    """The damping μ and the last step δ′ (P,)."""

    mu: Array
    step: Array


@dataclasses.dataclass(frozen=True)
class Kaczmarz(Solver):
    """Block Kaczmarz steps with momentum.

    Attributes:
    rows: points, and soft conditions, drawn for a step; at most all.
    damping: the largest μ, and the first of a stage.
    momentum: β.
    """

    rows: int = 300
    damping: float = 1e-4
    momentum: float = 0.9

    redraws: ClassVar[bool] = True
    dense: ClassVar[bool] = True
    accumulates: ClassVar[bool] = False

    def __post_init__(self):
        check_range("config.solver", "be positive", rows=self.rows, damping=self.damping)
        check_range("config.solver", "lie in [0, 1)", momentum=self.momentum)

    def init(self, params: Params) -> State:
        theta, _ = ravel_pytree(params)
        return State(jnp.asarray(self.damping, theta.dtype), jnp.zeros_like(theta))

    def next_stage(self, state: State, params: Params) -> State:
        return self.init(params)

    def step(
        self, objective: Objective, params: Params, state: State, moment: Moment
    ) -> tuple[Params, Any, Losses]:
        theta, unravel = ravel_pytree(params)
        total, parts = objective.loss(params)
        key = jax.random.fold_in(ambient.key(0), moment.step)
        r, jacobian = objective.drawn(params, key, self.rows).jacobian(params)
        kept = self.momentum * state.step
        kernel = jacobian @ jacobian.T + state.mu * jnp.eye(len(r))
        factor = jax.scipy.linalg.cho_factor(kernel)
        delta = kept - jacobian.T @ jax.scipy.linalg.cho_solve(factor, r + jacobian @ kept)

        def rises(eta: Array) -> Array:
            after = objective.loss(unravel(theta + eta * delta))[0]
            return (eta >= _SHORTEST) & ~(after < total)

        eta = jax.lax.while_loop(rises, lambda eta: eta / 2, jnp.ones_like(state.mu))
        eta = jnp.where(eta < _SHORTEST, 0.0, eta)
        delta = jnp.where(eta > 0, eta * delta, 0.0)
        change = jnp.where(eta >= 1, _LOWER, jnp.where(eta <= _SHORTEST, _RAISE, 1.0))
        mu = jnp.clip(state.mu * change, _LOWEST, self.damping)
        return unravel(theta + delta), State(mu, delta), {"total": total, **parts}
