"""Time marching: the steady state by following the evolution to it, window after window.

A network of (x, t) learns u_t + H(u; s, ε) = 0 at the path's last place on one window of time, then
on the next, from the function that the last window ended with (`hop.homotopy.marching`). A stage is
a window, and its answer u(·, end): the last one's is the steady state up to what is left of the
transient at the horizon, and the error of every stage is its distance from the steady state.
Source: Wight, Zhao, arXiv 2007.04542; Krishnapriyan et al., arXiv 2109.01050; Mattey, Ghosh,
*Comput. Methods Appl. Mech. Engrg.* 390 (2022) 114474.
"""

import dataclasses

from hop.ansatz import Ansatz
from hop.errors import UserError, check_range
from hop.homotopy.marching import AtEnd, Evolution
from hop.homotopy.path import Path
from hop.homotopy.terms.condition import Condition
from hop.homotopy.terms.initial import Initial
from hop.homotopy.terms.residual import Residual
from hop.problem import Evolving
from hop.strategies import Plan, Strategy

__all__ = ["SequenceToSequence"]


@dataclasses.dataclass(frozen=True)
class SequenceToSequence(Strategy):
    """Time marching to the steady state.

    Attributes:
    horizon: the time T marched to. The transient falls like exp(−λ₀T), λ₀ the slowest eigenvalue.
    windows: how many, of equal length.
    initial: w_0, of the function that a window starts from.
    condition: w_c, of the soft conditions.
    """

    horizon: float = 10.0
    windows: int = 10
    initial: float = 100.0
    condition: float = 1.0

    def __post_init__(self):
        check_range("config.strategy", "be positive", horizon=self.horizon, initial=self.initial)
        check_range("config.strategy", "be at least 1", windows=self.windows)

    def path(self, path: Path) -> Path:
        return Path(path.end().places * self.windows)

    def trained(self, ansatz: Ansatz) -> tuple[Ansatz, Ansatz]:
        problem, network = ansatz.problem, ansatz.network
        if not isinstance(problem, Evolving):
            raise UserError(
                "strategy 'sequence_to_sequence' marches from an initial function, and "
                f"{type(problem).__name__} has no method `initial`; use strategy.name=curriculum"
            )
        window = Evolution(problem, self.horizon / self.windows)
        march = dataclasses.replace(ansatz, problem=window)
        return march, dataclasses.replace(ansatz, network=AtEnd(network))

    def plan(self) -> Plan:
        return Plan((Residual(), Initial(self.initial), Condition(self.condition)))
