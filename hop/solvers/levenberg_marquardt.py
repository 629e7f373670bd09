"""Levenberg–Marquardt with the dense Jacobian: a corrector for small networks, in float64.

A step solves min |J δ + r|² + μ |δ|² by QR and tries θ + δ. If L falls, the step is taken and μ
lowered for the next; otherwise μ is raised and the same Jacobian tried again, until L falls or μ
says that no step does. (Moré, *Lecture Notes in Mathematics* 630 (1978), 105–116.)
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from hop import least_squares
from hop.solvers import Losses, Moment, Objective, Params, check_positive

__all__ = ["LevenbergMarquardt"]

_RAISE, _LOWER = 4.0, 0.2
_LOWEST, _HIGHEST = 1e-16, 1e12


@dataclasses.dataclass(frozen=True)
class LevenbergMarquardt:
    """Attributes: damping: μ at the start of a run; stages hand it on."""

    damping: float = 1e-4

    redraws: ClassVar[bool] = False
    dense: ClassVar[bool] = True

    def __post_init__(self):
        check_positive(damping=self.damping)

    def init(self, params: Params) -> Array:
        return jnp.asarray(self.damping, ravel_pytree(params)[0].dtype)

    def next_stage(self, state: Array, params: Params) -> Array:
        return jnp.minimum(state, self.damping)  # a failed stage may have left any

    def tail(self, limit: int) -> int:
        return 0

    def step(
        self, objective: Objective, params: Params, state: Any, moment: Moment
    ) -> tuple[Params, Any, Losses]:
        theta, unravel = ravel_pytree(params)
        total, parts = objective.loss(params)
        r, jacobian = objective.jacobian(params)
        core = least_squares.reduce(jacobian, r)

        def attempt(mu: Array) -> tuple[Array, Array]:
            tried = theta + least_squares.damped(core, mu)
            r = objective.vector(unravel(tried))
            return tried, 0.5 * jnp.sum(r**2)

        def failed(carry: tuple[Array, Array, Array]) -> Array:
            mu, _, value = carry
            return ~(value < total) & (mu < _HIGHEST)

        def again(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            mu = carry[0] * _RAISE
            return mu, *attempt(mu)

        mu, tried, value = jax.lax.while_loop(failed, again, (state, *attempt(state)))
        fell = value < total
        theta = jnp.where(fell, tried, theta)
        mu = jnp.where(fell, jnp.maximum(mu * _LOWER, _LOWEST), self.damping)
        return unravel(theta), mu, {"total": total, **parts}
