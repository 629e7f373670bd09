"""Fronts: where a stage's interface is pinned, and where it is once the stage is solved.

The calls that solve a stage are handed in; `hop.homotopy.pin` and `hop.trust` hold the mathematics.
"""

import dataclasses
import math
from collections.abc import Callable

from hop.homotopy import pin as pinning
from hop.homotopy.pin import Pin
from hop.problem import Lam
from hop.sharding import on_host
from hop.training.program import Program, TrainState
from hop.training.records import Bookmark, Outcome, Record
from hop.trust import gauge

_TRIES = 4  # to bring an interface to the position that the gauge expects


@dataclasses.dataclass(frozen=True)
class Fronts:
    """The interfaces of an experiment's stages.

    Attributes:
      program: the experiment's.
      solve: (state, bookmark, λ) → the stage from its start, predicted and corrected.
      correct: (state, bookmark, λ, record) → the stage, corrected from where `state` stands.
      message: hears what is assumed of an interface.
    """

    program: Program
    solve: Callable[[TrainState, Bookmark, Lam], Outcome]
    correct: Callable[[TrainState, Bookmark, Lam, Record], Outcome]
    message: Callable[[str], None]

    def pin(self, state: TrainState, mark: Bookmark, lam: Lam) -> Pin | None:
        """The pin of a stage from the last stage's network; None where no stage is ever pinned."""
        if not mark.front.pinned:
            return pinning.off() if self.program.experiment.plan.pin else None
        shift = mark.front.corrected
        if shift is None:
            shift = mark.front.velocity * self._change(mark, lam)
        last = self._last(mark)
        return pinning.pin(self.program.ansatz, on_host(state.anchor), last, lam, shift)

    def settle(self, outcome: Outcome, lam: Lam) -> Outcome:
        """Finds a solved stage's interface, or else carries it on from the last stage.

        The gauge says how far the interface is off. Beyond the tolerance it is pinned where the
        gauge expects it, and the stage corrected again, as long as that brings it nearer. Where
        the last position known is better known than this one, the stage is pinned where the last
        velocity puts it. The record says whether the "place" was "computed", and then to which
        distance, or is "assumed".
        """
        first = best = outcome
        nearest = 2 * lam.eps  # beyond a layer's width the gauge, which is linear, says nothing
        for _ in range(_TRIES):
            state, mark, record, _ = outcome
            found = gauge(self.program.operator(state, lam))
            uncertain = float(found.shift[0])
            if mark.stage == 0 or uncertain <= self.program.experiment.plan.pin:
                return self._computed(outcome, lam, uncertain)
            if not uncertain < 0.5 * nearest:
                break
            best, nearest = outcome, uncertain
            corrected = self._moved(state, mark, lam) - float(found.offset[0])
            outcome = self.correct(state, _at(mark, True, corrected), lam, dict(record))
            if outcome.failure is not None:
                return outcome
        if nearest <= first.bookmark.front.uncertain:
            return self._computed(best, lam, nearest)
        return self._carried(first, lam)

    def _computed(self, outcome: Outcome, lam: Lam, uncertain: float) -> Outcome:
        """Notes a position that the residual tells, and the velocity with which it was reached."""
        state, mark, record, _ = outcome
        front = dataclasses.replace(mark.front, uncertain=uncertain)
        record |= {"place": "computed", "shift": uncertain if math.isfinite(uncertain) else None}
        if mark.stage:
            # Less than the uncertainty of the two positions would be carried on, and grow.
            moved = self._moved(state, mark, lam)
            moved *= abs(moved) > uncertain + mark.front.uncertain
            front = dataclasses.replace(front, velocity=moved / self._change(mark, lam))
        return outcome._replace(bookmark=dataclasses.replace(mark, front=front))

    def _carried(self, outcome: Outcome, lam: Lam) -> Outcome:
        """The stage with its interface carried on; as it was, if the equation contradicts that."""
        where, mark = f"at s={lam.s:g}, eps={lam.eps:g}", outcome.bookmark
        carried, pinned = outcome, mark.front.pinned
        if not pinned or mark.front.corrected is not None:
            self.message(
                f"the residual {where} does not tell the interface's place to "
                f"{self.program.experiment.plan.pin:.0e}: it is carried on from the last stage"
            )
            carried = self.solve(self.program.retry(outcome.state), _at(mark, True), lam)
        if carried.failure is None:
            params = on_host(carried.state.params)
            c, rest = pinning.multiplier(self.program.ansatz, params, lam)
            if c <= rest:
                carried.record.update(place="assumed", multiplier=c)
                return carried
        self.message(
            f"the pin {where} holds the interface where the equation does not want it: released"
        )
        if pinned:
            outcome = self.correct(outcome.state, _at(mark, False), lam, outcome.record)
        if outcome.failure is not None:
            return outcome
        found = gauge(self.program.operator(outcome.state, lam))
        return self._computed(outcome, lam, float(found.shift[0]))

    def _moved(self, state: TrainState, mark: Bookmark, lam: Lam) -> float:
        """How far the interface moved since the last stage."""
        before, after = on_host(state.anchor), on_host(state.params)
        return pinning.shift(self.program.ansatz, before, after, self._last(mark), lam)

    def _change(self, mark: Bookmark, lam: Lam) -> float:
        """Δp since the last stage: of ε, or of s where ε stays."""
        last = self._last(mark)
        return lam.eps - last.eps or lam.s - last.s

    def _last(self, mark: Bookmark) -> Lam:
        """λ_{k−1}."""
        return self.program.experiment.path.at(mark.position.t)


def _at(mark: Bookmark, pinned: bool, corrected: float | None = None) -> Bookmark:
    """The start of a stage whose interface is pinned at another position, or no more."""
    front = dataclasses.replace(mark.front, pinned=pinned, corrected=corrected)
    return dataclasses.replace(mark, front=front, progress=None)
