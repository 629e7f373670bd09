"""The path through (s, ε) and its step control.

A path is a list of places that are all visited, in order. A position t on it is a real number:
t = i is place i, and between two places s is linear and ε geometric in t. A fixed path steps from
place to place. An adaptive one tries the next place first; a rejected step is halved, an accepted
one doubled, and every place is still hit exactly.
"""

import dataclasses
import math

from hop.errors import RunError, UserError
from hop.problem import Lam


@dataclasses.dataclass(frozen=True)
class Path:
    """Places (s, ε) and how the steps between them are controlled.

    Attributes:
      places: at least one; s in [0, 1] and ε > 0, neither ever increasing. A strategy may stay at
        one for several stages.
      adaptive: whether a rejected step is halved; otherwise it ends the run.
      smallest_step: the step in t below which an adaptive path gives up.
    """

    places: tuple[Lam, ...]
    adaptive: bool = False
    smallest_step: float = 1 / 64

    def __post_init__(self):
        if not self.places:
            raise UserError("config.path is empty; give at least one value in path.eps")
        for s, eps in self.places:
            if not (math.isfinite(eps) and eps > 0):
                raise UserError(f"config.path.eps holds {eps:g}; every eps must be positive")
            if not 0 <= s <= 1:
                raise UserError(f"config.path.s holds {s:g}; every s must lie in [0, 1]")
        for old, new in zip(self.places, self.places[1:], strict=False):
            for name, before, after in zip(Lam._fields, old, new, strict=True):
                if after > before:
                    raise UserError(
                        f"config.path.{name} increases from {before:g} to {after:g}; "
                        f"order {name} from the easy end down"
                    )

    def end(self) -> "Path":
        """The last place alone."""
        return dataclasses.replace(self, places=self.places[-1:])

    def at(self, t: float) -> Lam:
        """The place at position t."""
        i = min(math.floor(t), len(self.places) - 1)
        if t == i:
            return self.places[i]
        (s0, eps0), (s1, eps1), part = self.places[i], self.places[i + 1], t - i
        return Lam(s0 + part * (s1 - s0), eps0 * (eps1 / eps0) ** part)

    def start(self) -> "Position":
        return Position(t=-1.0, step=1.0)

    def propose(self, position: "Position") -> float | None:
        """The t to try next; None at the end of the path."""
        if position.t >= len(self.places) - 1:
            return None
        return min(position.t + position.step, math.floor(position.t) + 1.0)

    def accept(self, position: "Position") -> "Position":
        """After a stage that converged: move on, and try a step twice as long."""
        t = self.propose(position)
        assert t is not None
        return Position(t, min(1.0, 2 * position.step))

    def reject(self, position: "Position", why: str) -> "Position":
        """After a stage that failed: stay, and try half the step.

        Raises:
          RunError: the path is fixed, at its first place, or its step is already the smallest.
        """
        t = self.propose(position)
        assert t is not None
        s, eps = self.at(t)
        where = f"stage at s={s:g}, eps={eps:g} failed: {why}"
        if position.t < 0:
            raise RunError(
                f"{where}, and it is the first; in a new --workdir, start at a larger eps or "
                "lower solver.learning_rate"
            )
        if not self.adaptive:
            raise RunError(
                f"{where}; earlier stages are kept. In a new --workdir, lower "
                "solver.learning_rate, or add places to config.path or set path.adaptive=True"
            )
        half = (t - position.t) / 2
        if half < self.smallest_step:
            raise RunError(
                f"{where}, with the smallest step ({self.smallest_step:g}) already; "
                "earlier stages are kept. Raise train.steps or path.tolerance in a new --workdir"
            )
        return Position(position.t, half)


@dataclasses.dataclass(frozen=True)
class Position:
    """How far along a path the last accepted stage is (t = −1: none yet), and the next step."""

    t: float
    step: float
