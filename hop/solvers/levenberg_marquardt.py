"""Levenberg–Marquardt with the dense Jacobian: a corrector for small networks, in float64.

A step solves min |J δ + r|² + μ |δ|² by QR and tries θ + δ. If L falls, the step is taken, and μ
follows the ratio ρ of the fall to the one that the linear model foretold: lower for ρ near 1,
higher for ρ below ½. Otherwise μ is raised ever faster and the same Jacobian tried, until L falls
or μ says that no step does. (Madsen, Nielsen, Tingleff, *Methods for Non-Linear Least Squares
Problems*, 2nd ed. 2004, section 3.2.)
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from hop import least_squares
from hop.networks import Params
from hop.solvers import Damped, Losses, Moment, Objective

__all__ = ["LevenbergMarquardt"]

_LOWER, _RAISE = 0.1, 2.0
_LOWEST, _HIGHEST = 1e-16, 1e12


@dataclasses.dataclass(frozen=True)
class LevenbergMarquardt(Damped):
    """The options are those of `Damped`."""

    redraws: ClassVar[bool] = False
    dense: ClassVar[bool] = True
    accumulates: ClassVar[bool] = False

    def step(
        self, objective: Objective, params: Params, state: Any, moment: Moment
    ) -> tuple[Params, Any, Losses]:
        theta, unravel = ravel_pytree(params)
        total, parts = objective.loss(params)
        r, jacobian = objective.jacobian(params)
        core = least_squares.reduce(jacobian, r)

        def attempt(mu: Array) -> tuple[Array, Array, Array]:
            delta, foretold = least_squares.damped(core, mu)
            return theta + delta, jnp.sum(objective.vector(unravel(theta + delta)) ** 2), foretold

        def failed(carry: tuple[Array, ...]) -> Array:
            mu, _, _, after, _ = carry
            return ~(after < before) & (mu < _HIGHEST)

        def again(carry: tuple[Array, ...]) -> Any:
            mu, factor = carry[0] * carry[1], carry[1] * _RAISE
            return mu, factor, *attempt(mu)

        before = jnp.sum(r**2)
        start = (state, jnp.full_like(state, _RAISE), *attempt(state))
        mu, _, tried, after, foretold = jax.lax.while_loop(failed, again, start)
        fell = after < before
        gain = (before - after) / foretold
        mu = jnp.maximum(mu * jnp.maximum(_LOWER, 1 - (2 * gain - 1) ** 3), _LOWEST)
        theta = jnp.where(fell, tried, theta)
        mu = jnp.where(fell, mu, self.damping)
        return unravel(theta), mu, {"total": total, **parts}
