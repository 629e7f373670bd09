"""L-BFGS with a zoom line search, on one draw of points and functions a stage (Optax's own)."""

import dataclasses
from typing import Any, ClassVar

import jax
import optax

from hop.errors import check_range
from hop.networks import Params
from hop.solvers import Losses, Moment, Objective, Solver

__all__ = ["LBFGS"]


@dataclasses.dataclass(frozen=True)
class LBFGS(Solver):
    """L-BFGS with a line search.

    Attributes: memory: the pairs of steps and gradient changes kept.
    """

    memory: int = 30

    redraws: ClassVar[bool] = False
    dense: ClassVar[bool] = False
    accumulates: ClassVar[bool] = False

    def __post_init__(self):
        check_range("config.solver", "be positive", memory=self.memory)

    @property
    def _optax(self) -> optax.GradientTransformationExtraArgs:
        return optax.lbfgs(memory_size=self.memory)

    def init(self, params: Params) -> optax.OptState:
        return self._optax.init(params)

    def next_stage(self, state: optax.OptState, params: Params) -> optax.OptState:
        return self.init(params)  # the curvature is that of another loss

    def step(
        self, objective: Objective, params: Params, state: Any, moment: Moment
    ) -> tuple[Params, Any, Losses]:
        (total, parts), gradient = jax.value_and_grad(objective.loss, has_aux=True)(params)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = self._optax.update(
                gradient,
                state,
                params,
                value=total,
                grad=gradient,
                value_fn=lambda p: objective.loss(p)[0],
            )
        return optax.apply_updates(params, updates), state, {"total": total, **parts}
