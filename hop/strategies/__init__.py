"""Strategies: one short file per way of reaching the target, found by name.

A strategy is a frozen dataclass of its options; its module exports that class alone (`__all__`).
"""

import dataclasses
from typing import Protocol, runtime_checkable

from hop.ansatz import Ansatz
from hop.errors import UserError
from hop.homotopy.path import Path
from hop.homotopy.predictors import EulerStep
from hop.homotopy.terms import Term
from hop.networks import Network
from hop.problem import Problem
from hop.samplers import Sampler


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a strategy does at each stage.

    Attributes:
      terms: of the loss.
      predictor: gives the start of a stage; None for the last stage's network itself.
      corrects: whether the solver then runs. If not, it still solves the first stage.
      pin: how far an interface may be out of place, by the gauge, before the slow mode is pinned;
        0 never pins.
    """

    terms: tuple[Term, ...]
    predictor: EulerStep | None = None
    corrects: bool = True
    pin: float = 0.0

    @property
    def pointwise(self) -> bool:
        """Whether L is the mean of that of parts of the collocation points."""
        return all(term.pointwise for term in self.terms)


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

    def sampler(self, sampler: Sampler) -> Sampler:
        """What draws the points, from what the config names."""
        return sampler

    def plan(self) -> Plan:
        """What is done at each stage of it."""
        ...


def check_shares(**values: float) -> None:
    """Refuses an option of a strategy that does not lie between 0 and 1."""
    for name, value in values.items():
        if not 0 < value < 1:
            raise UserError(f"config.strategy.{name}={value!r} must lie between 0 and 1")
