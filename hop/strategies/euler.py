"""Strategy 1: follow Davidenko's equation in the parameters by forward Euler.

The first stage is solved; every later one is a single Euler step with a truncated pseudo-inverse,
so the path needs many places. For small networks, in float64.
Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 3.1.
"""

import dataclasses

from hop.errors import check_range
from hop.homotopy.predictors import EulerStep
from hop.homotopy.terms.condition import Condition
from hop.homotopy.terms.residual import Residual
from hop.strategies import Plan, Strategy

__all__ = ["Euler"]


@dataclasses.dataclass(frozen=True)
class Euler(Strategy):
    """Forward Euler steps in the parameters.

    Attributes:
    rtol: singular values up to rtol times the largest are dropped.
    condition: w_c, of the soft conditions.
    """

    rtol: float = 1e-4
    condition: float = 1.0

    def __post_init__(self):
        check_range("config.strategy", "lie between 0 and 1", rtol=self.rtol)

    def plan(self) -> Plan:
        terms = (Residual(), Condition(self.condition))
        return Plan(terms, EulerStep(self.rtol, guarded=False), corrects=False)
