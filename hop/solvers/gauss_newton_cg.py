"""Gauss–Newton without a matrix: (JᵀJ + μ) δ = −Jᵀr by conjugate gradients.

For networks of any size: J v is one forward, Jᵀ w one reverse pass over the step's rows. The
condition number enters squared, so the last digits are left to `levenberg_marquardt`. A step that
does not lower the loss on its own batch is not taken, and μ is raised.
(Martens, *ICML* 2010, 735–742.)
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from hop.errors import check_range
from hop.networks import Params
from hop.solvers import Damped, Losses, Moment, Objective

__all__ = ["GaussNewtonCG"]

_RAISE, _LOWER = 4.0, 0.5
_LOWEST, _HIGHEST = 1e-12, 1e6


@dataclasses.dataclass(frozen=True)
class GaussNewtonCG(Damped):
    """Gauss–Newton steps by conjugate gradients, without a matrix.

    Attributes: iterations: of conjugate gradients, at most; beside those of `Damped`.
    """

    damping: float = 1e-3
    iterations: int = 50

    redraws: ClassVar[bool] = True
    dense: ClassVar[bool] = False
    accumulates: ClassVar[bool] = False

    def __post_init__(self):
        super().__post_init__()
        check_range("config.solver", "be positive", iterations=self.iterations)

    def step(
        self, objective: Objective, params: Params, state: Any, moment: Moment
    ) -> tuple[Params, Any, Losses]:
        theta, unravel = ravel_pytree(params)
        total, parts = objective.loss(params)
        r, forward = jax.linearize(lambda t: objective.vector(unravel(t)), theta)
        reverse = jax.linear_transpose(forward, theta)

        def normal(v: Array) -> Array:
            return reverse(forward(v))[0] + state * v

        delta, _ = jax.scipy.sparse.linalg.cg(normal, -reverse(r)[0], maxiter=self.iterations)
        tried = theta + delta
        fell = objective.loss(unravel(tried))[0] < total
        mu = jnp.where(fell, state * _LOWER, state * _RAISE)
        theta = jnp.where(fell, tried, theta)
        return unravel(theta), jnp.clip(mu, _LOWEST, _HIGHEST), {"total": total, **parts}
