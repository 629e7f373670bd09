"""First-order optimisers and the schedule of a stage.

The learning rate warms up linearly, holds, and is annealed to zero by a half cosine at the stage's
end. The hold ends when the loss has stopped falling: when `patience` windows of steps in a row have
not brought the window's mean loss below (1 − min_fall) times its lowest so far; or when the steps
left just suffice to anneal. So a stage ends annealed in either case, never at the noise floor of a
high rate (the warm-up, stable, decay schedule; Hu et al., arXiv 2404.06395).
"""

import dataclasses
import math

import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

# Each is built with unit learning rate; the stage's schedule scales the update.
OPTIMIZERS = {
    "adam": lambda: optax.adam(1.0),
    "muon": lambda: optax.contrib.muon(1.0),
    "sgd": lambda: optax.sgd(1.0, momentum=0.9),
}


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Attributes: see the module; `steps` is the stage's limit, `anneal` the share annealed, and
    before `hold` steps no stall is looked for (the loss itself changes while a term fades)."""

    learning_rate: float
    steps: int
    warmup: int
    anneal: float
    patience: int
    min_fall: float
    hold: int = 0

    @property
    def anneal_steps(self) -> int:
        return max(1, math.ceil(self.anneal * self.steps))

    @property
    def latest_anneal(self) -> int:
        return max(0, self.steps - self.anneal_steps)

    def rate(self, step: Array, anneal_from: ArrayLike) -> Array:
        """The learning rate at a step of the stage, annealed from the step `anneal_from` on."""
        step = step.astype(float)
        warm = jnp.minimum(1.0, (step + 1) / max(self.warmup, 1))
        part = jnp.clip((step - anneal_from) / self.anneal_steps, 0.0, 1.0)
        return self.learning_rate * warm * 0.5 * (1 + jnp.cos(math.pi * part))


@dataclasses.dataclass(frozen=True)
class Progress:
    """The host's view of a stage under way; it travels with every checkpoint.

    Attributes:
      step: steps done.
      anneal_from: the step at which annealing starts, or started.
      lowest: the lowest window mean of the loss so far.
      stale: windows since it last fell by the asked share.
    """

    step: int
    anneal_from: int
    lowest: float = math.inf
    stale: int = 0

    def after(self, schedule: Schedule, steps: int, loss: float) -> "Progress":
        """The progress after one more window of steps with the given mean loss."""
        fell = loss < (1 - schedule.min_fall) * self.lowest
        step, stale = self.step + steps, 0 if fell else self.stale + 1
        stalled = stale >= schedule.patience and step > max(schedule.warmup, schedule.hold)
        anneal_from = min(self.anneal_from, step) if stalled else self.anneal_from
        return Progress(step, anneal_from, min(self.lowest, loss), stale)

    def finished(self, schedule: Schedule) -> bool:
        return self.step >= self.anneal_from + schedule.anneal_steps

    def remaining(self, schedule: Schedule) -> int:
        return self.anneal_from + schedule.anneal_steps - self.step
