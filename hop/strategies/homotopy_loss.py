"""Strategy 2: at each stage minimise the homotopy loss, from the previous stage's network.

Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 3.2; the terms are those of `hop.homotopy.terms`.
"""

import dataclasses
import math

from hop.errors import UserError, check_range
from hop.homotopy.terms import Term
from hop.homotopy.terms.condition import Condition
from hop.homotopy.terms.pinned import Pinned
from hop.homotopy.terms.residual import Residual
from hop.homotopy.terms.slow import Slow
from hop.homotopy.terms.tangent import Tangent
from hop.strategies import Plan, Strategy

__all__ = ["HomotopyLoss"]


@dataclasses.dataclass(frozen=True)
class HomotopyLoss(Strategy):
    """The homotopy loss at every place of the path.

    Attributes:
    residual: w_H. At 0 the first stage, which has no tangent yet, still uses 1.
    condition: w_c, of the soft conditions; likewise.
    tangent: w_T = α/Δp², of the tangent term.
    tangent_share: the share of a stage's steps over which w_T falls linearly to 0. The term pulls
      towards the Euler predictor, so it must vanish for the residual to decide; inf keeps it.
    slow: w_S, of the residual weighted by its slow mode; not a part of the paper. 1 measures the
      error along that mode in the units of u. Needs a problem of second order on an interval.
    pin: where the gauge finds an interface farther out of place than this, the stage's slow mode
      is pinned (`hop.homotopy.pin`); 0 never pins. Not a part of the paper either.
    """

    residual: float = 1.0
    condition: float = 1.0
    tangent: float = 0.1
    tangent_share: float = 0.5
    slow: float = 0.0
    pin: float = 0.0

    def __post_init__(self):
        check_range("config.strategy", "not be negative", **dataclasses.asdict(self))
        if self.residual == 0 and self.tangent == 0:
            raise UserError(
                "config.strategy.residual and strategy.tangent are both 0, so nothing is asked of "
                "the network; raise one"
            )
        if self.residual == 0 and math.isfinite(self.tangent_share):
            raise UserError(
                "config.strategy.residual is 0 while the tangent term fades, so nothing is asked "
                "of the network at a stage's end; set strategy.tangent_share=inf"
            )
        if self.tangent_share == 0:
            raise UserError(
                "config.strategy.tangent_share must be positive; to leave the tangent term "
                "out, set strategy.tangent=0"
            )

    def plan(self) -> Plan:
        more: list[Term] = []
        if self.tangent:
            more.append(Tangent(self.tangent, self.tangent_share))
        if self.slow:
            more.append(Slow(self.slow))
        if self.pin:
            more.append(Pinned())
        return Plan((Residual(self.residual), *more, Condition(self.condition)), pin=self.pin)
