"""Predictor–corrector continuation: an Euler step along the path, then the solver at the new place.

With `solver.name=levenberg_marquardt` this is Newton continuation for a network. Where the residual
can no longer tell the place of an interface, its slow mode is pinned (`hop.homotopy.pin`).
(Allgower, Georg, *Introduction to Numerical Continuation Methods*, SIAM 2003.)
"""

import dataclasses

from hop.errors import check_range
from hop.homotopy.predictors import EulerStep
from hop.homotopy.terms.condition import Condition
from hop.homotopy.terms.pinned import Pinned
from hop.homotopy.terms.residual import Residual
from hop.strategies import Plan, Strategy

__all__ = ["PredictorCorrector"]


@dataclasses.dataclass(frozen=True)
class PredictorCorrector(Strategy):
    """Euler steps along the path, each corrected by the solver.

    Attributes:
    rtol: of the predictor's pseudo-inverse, see `hop.homotopy.predictors.EulerStep`; 0 starts from
      the last stage's network instead.
    condition: w_c, of the soft conditions.
    pin: where the gauge finds an interface farther out of place than this, the stage's slow mode
      is pinned; 0 never pins.
    """

    rtol: float = 1e-4
    condition: float = 1.0
    pin: float = 0.0

    def __post_init__(self):
        if self.rtol:
            check_range("config.strategy", "lie between 0 and 1", rtol=self.rtol)
        check_range("config.strategy", "not be negative", pin=self.pin)

    def plan(self) -> Plan:
        pinned = (Pinned(),) if self.pin else ()
        terms = (Residual(), *pinned, Condition(self.condition))
        predictor = EulerStep(self.rtol, guarded=True) if self.rtol else None
        return Plan(terms, predictor, pin=self.pin)
