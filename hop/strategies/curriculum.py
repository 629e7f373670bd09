"""A curriculum: the residual loss from large ε to small, each stage from the last one's network.

What the homotopy loss adds is left out: no tangent, and the equation is the path's last from the
start, so only ε changes.
Source: Krishnapriyan, Gholami, Zhe, Kirby, Mahoney, NeurIPS 2021, arXiv 2109.01050.
"""

import dataclasses

from hop.homotopy.path import Path
from hop.strategies import Strategy

__all__ = ["Curriculum"]


@dataclasses.dataclass(frozen=True)
class Curriculum(Strategy):
    """The residual loss at every place of the path, each from the last.

    Attributes: condition: w_c, of the soft conditions.
    """

    condition: float = 1.0

    def path(self, path: Path) -> Path:
        s = path.places[-1].s
        lessons = dict.fromkeys(place._replace(s=s) for place in path.places)
        return dataclasses.replace(path, places=tuple(lessons))
