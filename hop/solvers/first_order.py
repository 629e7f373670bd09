"""First-order optimisers with the warm-up, stable, decay schedule of a stage.

The learning rate warms up linearly, holds, and is annealed to zero by a half cosine at the stage's
end, which comes when the loss has stopped falling, or at the limit. So a stage ends annealed in
either case, never at the noise floor of a high rate (Hu et al., arXiv 2404.06395).
"""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from jax import Array

from hop.errors import UserError, check_choice, check_range
from hop.networks import Params
from hop.solvers import Losses, Moment, Objective, Solver

__all__ = ["FirstOrder"]

# Each is built with unit learning rate; the schedule scales the update.
_OPTIMIZERS = {
    "adam": lambda: optax.adam(1.0),
    "muon": lambda: optax.contrib.muon(1.0),
    "sgd": lambda: optax.sgd(1.0, momentum=0.9),
}


@dataclasses.dataclass(frozen=True)
class FirstOrder(Solver):
    """Muon, Adam or gradient descent with momentum, with a schedule for each stage.

    Attributes:
      optimizer: "muon", "adam" or "sgd".
      learning_rate: of the hold.
      warmup: steps of linear warm-up at each stage's start.
      anneal: the share of a stage's limit over which the rate is annealed.
      between_stages: "restart" the optimiser's state or "carry" it on.
    """

    optimizer: str = "muon"
    learning_rate: float = 5e-3
    warmup: int = 50
    anneal: float = 0.6
    between_stages: str = "restart"

    redraws: ClassVar[bool] = True
    dense: ClassVar[bool] = False
    accumulates: ClassVar[bool] = True

    def __post_init__(self):
        check_choice("config.solver.optimizer", self.optimizer, _OPTIMIZERS)
        check_choice("config.solver.between_stages", self.between_stages, ("restart", "carry"))
        check_range("config.solver", "be positive", learning_rate=self.learning_rate)
        check_range("config.solver", "be positive", anneal=self.anneal)
        if self.anneal > 1:
            raise UserError(f"config.solver.anneal={self.anneal!r} must be at most 1")
        check_range("config.solver", "not be negative", warmup=self.warmup)

    @property
    def _optax(self) -> optax.GradientTransformation:
        return _OPTIMIZERS[self.optimizer]()

    def init(self, params: Params) -> optax.OptState:
        return self._optax.init(params)

    def next_stage(self, state: optax.OptState, params: Params) -> optax.OptState:
        return state if self.between_stages == "carry" else self.init(params)

    def tail(self, limit: int) -> int:
        return max(1, math.ceil(self.anneal * limit))

    def rate(self, moment: Moment) -> Array:
        """The learning rate at a step of the stage."""
        step = jnp.asarray(moment.step, float)
        warm = jnp.minimum(1.0, (step + 1) / max(self.warmup, 1))
        part = jnp.clip((step - moment.tail_from) / self.tail(moment.limit), 0.0, 1.0)
        return self.learning_rate * warm * 0.5 * (1 + jnp.cos(math.pi * part))

    def step(
        self, objective: Objective, params: Params, state: Any, moment: Moment
    ) -> tuple[Params, Any, Losses]:
        (total, parts), gradient = objective.gradient(params)
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes float scalars and int32 steps
            updates, state = self._optax.update(gradient, state, params)
        rate = self.rate(moment)
        updates = jax.tree.map(lambda u: rate.astype(u.dtype) * u, updates)
        return optax.apply_updates(params, updates), state, {"total": total, **parts}
