"""Predictors: the start of a stage from the end of the last."""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from hop import least_squares, solvers
from hop.homotopy.loss import Loss
from hop.networks import Params


@dataclasses.dataclass(frozen=True)
class EulerStep:
    """One forward Euler step of Davidenko's equation in the parameters:

        θ_k = θ_{k−1} − (∂r/∂θ)(θ_{k−1}, λ_{k−1})⁺ r(θ_{k−1}, λ_k).

    r stacks residual, soft conditions and pin. r(θ_{k−1}, λ_k) is Δp times the total derivative
    along the path to first order, plus the residual that the last stage left, which is so removed
    and not carried forward. (Chen et al., arXiv 2502.00488, section 3.1.)

    Attributes:
      rtol: singular values up to rtol · σ_max are dropped from the pseudo-inverse: the matrix has
        many that are pure rounding.
      guarded: keep θ_{k−1} where the step would raise the loss at λ_k.
    """

    rtol: float
    guarded: bool

    def __call__(self, objective: Loss, params: Params) -> Params:
        """θ_k, for the objective of stage k and the network θ_{k−1}."""
        theta, unravel = ravel_pytree(params)
        stage = objective.stage
        before = dataclasses.replace(objective, stage=stage._replace(lam=stage.previous))
        r, (_, jacobian) = objective.vector(params), before.jacobian(params)
        moved = theta + least_squares.truncated(least_squares.reduce(jacobian, r), self.rtol)
        if self.guarded:
            lower = jnp.sum(objective.vector(unravel(moved)) ** 2) < jnp.sum(r**2)
            moved = jnp.where(lower, moved, theta)
        return unravel(moved)

    def check(self, experiment: Any) -> None:
        """Refuses, with a UserError, an experiment that the Jacobian cannot serve."""
        name = experiment.name("strategy")
        solvers.check_dense(experiment, name, "use strategy.name=homotopy_loss")
