"""The residual weighted by its slow mode, S (`hop.homotopy.slow_mode`). Not a part of the paper."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from hop.errors import UserError
from hop.homotopy import slow_mode
from hop.homotopy.terms import Term, View


class Slow(Term):
    """The slow mode in the loss, w_S · ½⟨|S|²⟩."""

    name: ClassVar[str] = "slow"
    at_one_eps: ClassVar[bool] = True
    pointwise: ClassVar[bool] = False

    def rows(self, view: View) -> Array:
        problem = view.ansatz.problem
        grid = jnp.asarray(problem.domain.grid(len(view.x)), view.x.dtype)
        lam = view.stage.lam
        on_grid = jax.lax.stop_gradient(view.ansatz.jet(view.params, view.inputs, grid, lam))
        a = view.ansatz.input_jet(view.inputs, grid, lam)
        mode = slow_mode.slow_mode(problem, on_grid, a, grid, lam)
        weighed = view.h * view.points.beside[None, :]
        return slow_mode.dual_weighted_residual(weighed, view.x, mode, grid)

    def check(self, experiment: Any) -> None:
        slow_mode.check_serves(experiment.problem, "slow")
        if experiment.config.train.points < 8:
            raise UserError("config.train.points must be at least 8 for config.strategy.slow")
