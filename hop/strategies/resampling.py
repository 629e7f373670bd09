"""Direct training, as `classical`, on points that are drawn anew where the residual is large.

Every dispatch of `config.train.dispatch` steps takes the residual of the network on a fresh pool of
candidates, and each of its steps draws its points from that pool (`hop.homotopy.resampling`).
"""

import dataclasses

from hop.errors import UserError
from hop.homotopy.path import Path
from hop.homotopy.resampling import ByResidual
from hop.homotopy.terms import Weights
from hop.strategies import Plan, Strategy

__all__ = ["Resampling"]


@dataclasses.dataclass(frozen=True)
class Resampling(Strategy):
    """Attributes:
    condition: w_bc, of the soft conditions.
    pool: candidates for each point drawn.
    power, floor: k and c of p ∝ |H|^k / mean |H|^k + c.
    """

    condition: float = 1.0
    pool: int = 20
    power: float = 1.0
    floor: float = 1.0

    def __post_init__(self):
        if self.pool < 2:
            raise UserError(f"config.strategy.pool={self.pool} leaves no choice; use 2 or more")
        for name in ("power", "floor"):
            if not getattr(self, name) >= 0:
                raise UserError(
                    f"config.strategy.{name}={getattr(self, name)!r} must not be negative"
                )

    def path(self, path: Path) -> Path:
        return path.end()

    def plan(self) -> Plan:
        sampler = ByResidual(self.pool, self.power, self.floor)
        return Plan(Weights(condition=self.condition), resampling=sampler)
