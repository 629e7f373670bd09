"""Classical training: the residual loss at the path's end, from a fresh Xavier-normal network."""

import dataclasses

from hop.homotopy.path import Path
from hop.strategies import Strategy

__all__ = ["Classical"]


@dataclasses.dataclass(frozen=True)
class Classical(Strategy):
    """Direct training at the target.

    Attributes: condition: w_c, of the soft conditions.
    """

    condition: float = 1.0

    def path(self, path: Path) -> Path:
        return path.end()
