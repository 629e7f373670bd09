"""From an operator's answer to a solver's: Newton's method, started where the operator points.

What comes out is the solution of the problem's own discretisation, converged to a tolerance, and no
longer a network's. Started well, Newton's method needs few steps and no continuation.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hop import ambient
from hop.errors import UserError
from hop.laws import how_many
from hop.operators import Operator, checked_points
from hop.problem import Lam, Problem, Solvable

TOLERANCE = 1e-8


@dataclasses.dataclass(frozen=True)
class Polished:
    """Solutions by Newton's method, of n functions: `polished(x)` is as `op(u0, x)`, in float64.

    Attributes:
      converged: whether the last step was within the tolerance, (n,). Where it was not, the values
        are those of the last iterate, and no solution.
      iterations: Newton steps, (n,).
      step: the last one beside the size of the guess or of the solution, (n,).
      residual: the largest of the discretised equations at the end, (n,).
    """

    converged: Bool[np.ndarray, " n"]
    iterations: Int[np.ndarray, " n"]
    step: Float[np.ndarray, " n"]
    residual: Float[np.ndarray, " n"]
    _solution: Callable[[np.ndarray], np.ndarray] = dataclasses.field(repr=False)
    _problem: Problem = dataclasses.field(repr=False)

    def __call__(self, x: Any) -> np.ndarray:
        """Values at points x (q, d) of the domain: (n, q), or (q,) of a problem without an input.

        Raises:
          UserError: wrong shapes, or points outside the domain.
        """
        points = np.asarray(checked_points(x, self._problem), np.float64)
        values = self._solution(points)
        return values if self._problem.inputs else values[0]

    def __str__(self) -> str:
        return told(np.where(self.converged, self.iterations, 0))


def told(counts: Int[np.ndarray, " n"]) -> str:
    """A line about the steps that n functions took, 0 where they did not converge."""
    n, steps = len(counts), counts[counts > 0]
    if not len(steps):
        return f"Newton's method converged for none of {n:,}"
    found = f"Newton's method converged for {len(steps):,} of {n:,}, in "
    few, most = steps.min(), steps.max()
    if few == most:
        return f"{found}{few} {'step' if few == 1 else 'steps'}"
    return f"{found}{few} to {most} steps, {np.median(steps):g} in the median"


def polish(
    op: Operator | Any,
    u0: Any = None,
    tol: float = TOLERANCE,
    *,
    sensors: Any = None,
    eps: float | None = None,
) -> Polished:
    """Solutions of the discretised problem by Newton's method, started from an operator's answer.

    The discretisation is that of the problem's reference. NumPy only: JAX does not differentiate
    through it.

    Args:
      op: the operator of a stage.
      u0, sensors: inputs as in a call of the operator; None for a problem without them.
      tol: a function is solved once a step is so small beside its solution; the error is then
        smaller still, as Newton's method converges quadratically.
      eps: where ε is an input, a number; by default `op.eps`.

    Raises:
      UserError: a problem that has no Newton's method of its own, or a wrong u0, tolerance or ε.
    """
    if not isinstance(op, Operator):
        raise UserError(f"op is a {type(op).__name__}; give an operator, as hop.load gives it")
    op = op if eps is None else op.at(eps)
    problem = op.ansatz.problem
    if not isinstance(problem, Solvable):
        raise UserError(
            f"{type(problem).__name__} has no Newton's method to start; a problem that has one "
            "gives it as its method 'newton' (hop.problem.Solvable)"
        )
    if not (isinstance(tol, int | float) and 0 < tol < 1):
        raise UserError(f"tol={tol!r} must be a number between 0 and 1")
    fields = op.fields(u0, sensors)
    if not how_many(fields):
        raise UserError("there are no functions to polish; give one or more")

    def guess(x: np.ndarray) -> np.ndarray:
        made = op(u0, x, sensors=sensors) if op.laws else op(x)[None]
        return np.asarray(made, np.float64)

    with ambient.on_cpu():
        found = problem.newton(fields, Lam(*map(float, op.lam)), guess, tol)
    converged = (found.step <= tol) & np.isfinite(found.residual)
    return Polished(
        converged, found.iterations, found.step, found.residual, found.solution, problem
    )
