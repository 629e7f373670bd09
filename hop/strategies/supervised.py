"""Supervised training: labels alone (`hop.labels`), no equation and no soft condition.

The baseline of operator learning from data, at the path's last place; what `lift` makes exact
stays exact.
"""

import dataclasses

from hop.homotopy.path import Path
from hop.strategies import Plan, Strategy

__all__ = ["Supervised"]


@dataclasses.dataclass(frozen=True)
class Supervised(Strategy):
    """Training on labels alone. It has no options."""

    def path(self, path: Path) -> Path:
        return dataclasses.replace(path.end(), adaptive=False)  # which asks for a small residual

    def plan(self) -> Plan:
        return Plan(())
