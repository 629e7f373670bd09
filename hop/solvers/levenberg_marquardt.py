"""Levenberg–Marquardt with the dense Jacobian: a corrector for small networks, in float64.

A step solves min |J δ + r|² + μ |δ|² (`hop.least_squares`), then the same for half the second
derivative of r along δ in place of r: its solution δ₂ follows the curve on which r goes to zero,
where δ alone is its tangent. It tries θ + δ + δ₂, or θ + δ where 2 |δ₂| > ¾ |δ| says that the curve
is beyond its second order. If L falls, the step is taken, and μ follows the ratio ρ of the fall to
the one that the linear model foretold: lower for ρ near 1, higher for ρ below ½. Otherwise μ is
raised ever faster and the same Jacobian tried, until L falls or μ says that no step does.

Sources: Madsen, Nielsen, Tingleff, *Methods for Non-Linear Least Squares Problems*, 2nd ed. 2004,
section 3.2; for δ₂, Transtrum, Sethna, arXiv 1201.5885 ("geodesic acceleration").
"""

import dataclasses
from collections.abc import Callable
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
_BEND = 0.75  # of 2 |δ₂| / |δ|, at most


@dataclasses.dataclass(frozen=True)
class LevenbergMarquardt(Damped):
    """Levenberg–Marquardt steps with a dense Jacobian.

    The options are those of `Damped`.
    """

    redraws: ClassVar[bool] = False
    dense: ClassVar[bool] = True
    accumulates: ClassVar[bool] = False

    def step(
        self, objective: Objective, params: Params, state: Any, moment: Moment
    ) -> tuple[Params, Any, Losses]:
        theta, unravel = ravel_pytree(params)
        total, parts = objective.loss(params)
        r, jacobian = objective.jacobian(params)
        problem = least_squares.prepare(jacobian, r, state)

        def rows(theta: Array) -> Array:
            return objective.vector(unravel(theta))

        def attempt(mu: Array) -> tuple[Array, Array, Array]:
            delta, foretold, root = least_squares.damped(problem, mu)
            bend = 0.5 * second(rows, theta, delta)
            extra = least_squares.damped_anew(problem, root, bend, mu)
            small = 2 * jnp.linalg.norm(extra) <= _BEND * jnp.linalg.norm(delta)
            tried = theta + delta + jnp.where(small, extra, 0.0)
            return tried, jnp.sum(rows(tried) ** 2), foretold

        def failed(carry: tuple[Array, ...]) -> Array:
            mu, _, _, after, _ = carry
            return ~(after < before) & (mu < _HIGHEST)

        def again(carry: tuple[Array, ...]) -> Any:
            mu, factor = carry[0] * carry[1], carry[1] * _RAISE
            return mu, factor, *attempt(mu)

        before = jnp.sum(r**2)
        start = (state, jnp.ones_like(state), theta, before, jnp.ones_like(before))  # none tried
        mu, _, tried, after, foretold = jax.lax.while_loop(failed, again, start)
        fell = after < before
        gain = (before - after) / foretold
        mu = jnp.maximum(mu * jnp.maximum(_LOWER, 1 - (2 * gain - 1) ** 3), _LOWEST)
        theta = jnp.where(fell, tried, theta)
        mu = jnp.where(fell, mu, self.damping)
        return unravel(theta), mu, {"total": total, **parts}


def second(f: Callable[[Array], Array], at: Array, along: Array) -> Array:
    """d²/dt² f(at + t · along) at t = 0."""

    def slope(at: Array) -> Array:
        return jax.jvp(f, (at,), (along,))[1]

    return jax.jvp(slope, (at,), (along,))[1]
