"""Strategies: one short file per way of reaching the target, found by name.

A strategy is a frozen dataclass of its options; its module exports that class alone (`__all__`).
"""

import dataclasses
from typing import Protocol, runtime_checkable

from hop.ansatz import Ansatz
from hop.errors import UserError
from hop.homotopy.path import Path
from hop.homotopy.predictors import Tangent
from hop.homotopy.resampling import ByResidual
from hop.homotopy.terms import Weights
from hop.networks import Network
from hop.problems import Problem


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a strategy does at each stage.

    Attributes:
      weights: of the terms of the loss.
      predictor: gives the start of a stage; None for the last stage's network itself.
      corrects: whether the solver then runs. If not, it still solves the first stage.
      pin: how far an interface may be out of place, by the gauge, before the slow mode is pinned;
        0 never pins.
      resampling: how points are drawn by the residual; None for `config.train.sampler` alone.
    """

    weights: Weights
    predictor: Tangent | None = None
    corrects: bool = True
    pin: float = 0.0
    resampling: ByResidual | None = None

    @property
    def pointwise(self) -> bool:
        """Whether L is the mean of that of parts of the points.

        Then no row weighs all points of a function. Soft conditions have points of their own.
        """
        return not (self.weights.slow or self.pin)


@runtime_checkable
class Strategy(Protocol):
    def path(self, path: Path) -> Path:
        """The path actually walked, from the one the config gives."""
        return path

    def ansatz(self, problem: Problem, network: Network) -> tuple[Ansatz, Ansatz]:
        """What is trained, and what it answers: a solution of the problem, of the same parameters.

        Raises:
          UserError: the problem does not have what the strategy needs.
        """
        ansatz = Ansatz(problem, network)
        return ansatz, ansatz

    def plan(self) -> Plan:
        """What is done at each stage of it."""
        ...


def check_shares(**values: float) -> None:
    """Refuses an option of a strategy that does not lie between 0 and 1."""
    for name, value in values.items():
        if not 0 < value < 1:
            raise UserError(f"config.strategy.{name}={value!r} must lie between 0 and 1")
