"""Strategies: one short file per way of reaching the target, found by name.

A strategy is a frozen dataclass of its options; its module exports that class alone (`__all__`).
"""

from typing import Protocol, runtime_checkable

from hop.homotopy.path import Path
from hop.homotopy.terms import Weights


@runtime_checkable
class Strategy(Protocol):
    def path(self, path: Path) -> Path:
        """The path actually walked, from the one the config gives."""
        ...

    def weights(self) -> Weights:
        """The weights of the loss."""
        ...
