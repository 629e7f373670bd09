"""Strategies: one short file per way of reaching the target, found by name.

A strategy is a frozen dataclass of its options; its module exports that class alone (`__all__`).
"""

import dataclasses
from typing import Protocol, runtime_checkable

from hop.ansatz import Ansatz
from hop.homotopy.path import Path
from hop.homotopy.predictors import EulerStep
from hop.homotopy.terms import Term
from hop.homotopy.terms.condition import Condition
from hop.homotopy.terms.residual import Residual, WholeResidual
from hop.homotopy.terms.weak import WeakResidual
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
        return all(term.in_parts for term in self.terms)

    def fitted(self, problem: Problem, tests: tuple[int, ...]) -> "Plan":
        """The same with the residual tested, in its weak form, or whole where it must be."""

        def fitting(term: Term) -> Term:
            if not isinstance(term, Residual):
                return term
            if tests:
                return WeakResidual(term.w, tests)
            return term if problem.pointwise else WholeResidual(term.w)

        return dataclasses.replace(self, terms=tuple(map(fitting, self.terms)))


@runtime_checkable
class Strategy(Protocol):
    """A way to reach the target, which makes a plan for every stage.

    Attributes: condition: w_c, of the soft conditions.
    """

    condition: float

    def path(self, path: Path) -> Path:
        """The path actually walked, from the one the config gives."""
        return path

    def trained(self, ansatz: Ansatz) -> tuple[Ansatz, Ansatz]:
        """What is trained, and what it answers: a solution of the problem, of the same parameters.

        Raises:
          UserError: the problem does not have what the strategy needs.
        """
        return ansatz, ansatz

    def sampler(self, sampler: Sampler) -> Sampler:
        """What draws the points, from what the config names."""
        return sampler

    def plan(self) -> Plan:
        """What is done at each stage: by default, residual and soft conditions are minimised."""
        return Plan((Residual(), Condition(self.condition)))
