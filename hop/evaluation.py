"""Measuring a trained stage: its loss on held-out points and its error against a reference."""

import dataclasses
import functools
import math

import numpy as np

from hop import datasets
from hop.config import Experiment
from hop.errors import RunError
from hop.fields import Field
from hop.operators import Operator
from hop.problems import Lam, Problem

_POINTS = 1001  # of the quadrature, or 20 per ε if that is more


@dataclasses.dataclass(frozen=True)
class Judge:
    """Scores operators of one problem on the same functions and points.

    Attributes:
      problem: the problem.
      values: sensor values (n, m) of held-out functions; None without an input function.
      field: the same functions by their coefficients.
    """

    problem: Problem
    values: np.ndarray | None
    field: Field | None

    @classmethod
    def of(cls, experiment: Experiment, split: str, count: int | None = None) -> "Judge":
        """A judge with the first `count` functions of a split (all by default)."""
        problem = experiment.problem
        if problem.random_field is None:
            return cls(problem, None, None)
        data = datasets.load(problem.field, split, experiment.config.data.data_dir, count)
        field = Field(data["coefficients"], problem.random_field.basis)
        return cls(problem, data["values"], field)

    def loss(self, operator: Operator) -> float:
        """L_H = ½ mean |H|² on held-out functions and quadrature points."""
        points, weights = self._quadrature(operator.eps)
        h = operator.residual(self.values, points).astype(np.float64)
        return float(0.5 * np.mean(h**2 @ (weights / weights.sum())))

    def scores(self, operator: Operator) -> dict[str, float | None]:
        """The loss, and mean, median and worst relative L2 error over the functions.

        Returns:
          "loss", "l2re", "l2re_median", "l2re_worst"; the errors are None where the reference
          solver does not converge.
        """
        scores: dict[str, float | None] = {"loss": self.loss(operator)}
        try:
            errors = self.errors(operator)
        except RunError:
            return scores | dict.fromkeys(("l2re", "l2re_median", "l2re_worst"))
        return scores | {
            "l2re": float(np.mean(errors)),
            "l2re_median": float(np.median(errors)),
            "l2re_worst": float(np.max(errors)),
        }

    def errors(self, operator: Operator) -> np.ndarray:
        """‖u − r‖/‖r‖ for each function, in L2 by a fixed quadrature with 20 points per ε or more."""
        points, weights = self._quadrature(operator.eps)
        r = self.reference(operator.lam)
        u = operator(points)[None, :] if self.values is None else operator(self.values, points)
        return np.sqrt((u.astype(np.float64) - r) ** 2 @ weights / (r**2 @ weights))

    def reference(self, lam: Lam) -> np.ndarray:
        """The reference solutions (n, q) at the quadrature points."""
        return _reference(self, Lam(float(lam.s), float(lam.eps)))

    def _quadrature(self, eps: float) -> tuple[np.ndarray, np.ndarray]:
        domain = self.problem.domain
        width = max(np.subtract(domain.upper, domain.lower))
        return domain.quadrature(max(_POINTS, 1 + math.ceil(20 * width / eps)))

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


@functools.lru_cache(maxsize=4)
def _reference(judge: Judge, lam: Lam) -> np.ndarray:
    points, _ = judge._quadrature(lam.eps)
    return judge.problem.reference(judge.field, points, lam)
