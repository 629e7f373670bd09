"""Direct training, as `classical`, on points that are drawn anew where the residual is large.

Every dispatch of `config.train.dispatch` steps takes the residual of the network on a fresh pool of
candidates, and each of its steps draws its points from that pool (`hop.samplers.by_residual`).
"""

import dataclasses

from hop.errors import UserError, check_range
from hop.homotopy.path import Path
from hop.samplers import Sampler
from hop.samplers.by_residual import ByResidual
from hop.strategies import Strategy

__all__ = ["Resampling"]


@dataclasses.dataclass(frozen=True)
class Resampling(Strategy):
    """Direct training on points drawn where the residual is large.

    Attributes:
    condition: w_c, of the soft conditions.
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
        check_range("config.strategy", "not be negative", power=self.power, floor=self.floor)

    def path(self, path: Path) -> Path:
        return path.end()

    def sampler(self, sampler: Sampler) -> Sampler:
        return ByResidual(sampler, self.pool, self.power, self.floor)
