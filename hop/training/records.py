"""What is known of a run under way: where each stage, its interface and its loss stand."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from hop.config import Experiment
from hop.homotopy.path import Position
from hop.problem import Lam
from hop.sharding import Layout
from hop.training.program import TrainState

Record = dict[str, Any]

_LEAP = 1000.0  # no optimiser that gets anywhere raises the loss so far in its first window
_DIVERGED = 10.0  # times the loss of the first window, of this stage or of stage 0


@runtime_checkable
class Reporter(Protocol):
    """Hears what happens during training; the command line draws it."""

    def start(self, experiment: Experiment, layout: Layout, stage: int, done: bool) -> None: ...
    def stage(self, index: int, lam: Lam) -> None: ...
    def window(self, record: Record, remaining: int) -> None: ...
    def stage_end(self, record: Record) -> None: ...
    def message(self, text: str) -> None: ...
    def building(self, law: str) -> Callable[[int, int], None]: ...
    def counting(self, what: str) -> Callable[[int, int], None]: ...


@dataclasses.dataclass(frozen=True)
class Criterion:
    """When a stage ends: `tail` steps after its loss has stopped falling, or at its limit.

    The loss has stopped when `patience` windows of steps in a row have not brought the window's
    mean loss below (1 − min_fall) times its lowest so far.

    Attributes:
      limit: steps at most.
      tail: steps from the stall to the end.
      patience, min_fall: see above.
      goal: a loss low enough to end the stage.
      hold: before so many steps no stall is looked for.
    """

    limit: int
    tail: int
    patience: int
    min_fall: float
    goal: float = 0.0
    hold: int = 0

    @classmethod
    def of(cls, experiment: Experiment) -> "Criterion":
        """That of an experiment. While a term fades, the loss itself changes."""
        train = experiment.config.train
        hold = math.ceil(max([0.0, *(term.fades for term in experiment.plan.terms)]) * train.steps)
        tail = experiment.solver.tail(train.steps)
        return cls(train.steps, tail, train.patience, train.min_fall, train.goal, hold)

    @property
    def latest(self) -> int:
        """The step at which the tail starts without a stall."""
        return max(0, self.limit - self.tail)


@dataclasses.dataclass(frozen=True)
class StageProgress:
    """The host's view of a stage under way; it travels with every checkpoint.

    Attributes:
      step: steps done.
      tail_from: the step at which the tail starts, or started.
      lowest: the lowest window mean of the loss so far.
      stale: windows since it last fell by the asked share.
      first: the first window mean, but at most 1,000 times the loss of the first step, or 1 if that
        is more.
    """

    step: int
    tail_from: int
    lowest: float = math.inf
    stale: int = 0
    first: float = math.inf

    def after(
        self, criterion: Criterion, steps: int, loss: float, start: float = math.inf
    ) -> "StageProgress":
        """The progress after one more window of steps, of this mean loss.

        `start` is the loss of the first of them, if it is known.
        """
        first = self.first if self.step else min(loss, max(_LEAP * start, 1.0))
        fell = loss < (1 - criterion.min_fall) * self.lowest
        step, stale = self.step + steps, 0 if fell else self.stale + 1
        stalled = stale >= criterion.patience and step > criterion.hold
        ends = stalled or loss <= criterion.goal
        tail_from = min(self.tail_from, step) if ends else self.tail_from
        return StageProgress(step, tail_from, min(self.lowest, loss), stale, first)

    def diverged(self, loss: float, first: float, rounding: float) -> bool:
        """Whether a window's mean is far above rounding, this stage's `first` and stage 0's."""
        return loss > _DIVERGED * max(self.first, first, rounding)

    def finished(self, criterion: Criterion) -> bool:
        return self.remaining(criterion) <= 0

    def remaining(self, criterion: Criterion) -> int:
        return self.tail_from + criterion.tail - self.step


@dataclasses.dataclass(frozen=True)
class Front:
    """What is known of an interface along the path.

    Attributes:
      pinned: whether this stage's slow mode is pinned.
      corrected: how far from the last stage's interface it is pinned, by the gauge; None for
        where the velocity puts it.
      velocity: dx/dp of the interface along the path, as last computed.
      uncertain: how far it may have been from its position, when that was last computed.
    """

    pinned: bool = False
    corrected: float | None = None
    velocity: float = 0.0
    uncertain: float = math.inf


@dataclasses.dataclass(frozen=True)
class Bookmark:
    """Where a run stands: with the arrays of `TrainState`, all that resuming needs.

    Attributes:
      stage: the stage under way, or the next one.
      position: of the last accepted stage on the path.
      progress: within the stage; None before its first step.
      total_steps: steps of all stages, failed tries included.
      seconds: spent in this stage so far.
      front: of an interface.
      first: `StageProgress.first` of stage 0; infinite where it is not known.
    """

    stage: int
    position: Position
    progress: StageProgress | None = None
    total_steps: int = 0
    seconds: float = 0.0
    front: Front = Front()
    first: float = math.inf

    def before(self, stage: int, position: Position, total_steps: int) -> "Bookmark":
        """Before the first step of a stage: of the next one, or of this one tried again."""
        front = dataclasses.replace(self.front, corrected=None)
        return Bookmark(stage, position, None, total_steps, 0.0, front, self.first)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Bookmark":
        """What `dataclasses.asdict` made of one. Older versions wrote the front's fields flat."""
        rest, progress = dict(values), values["progress"]
        flat = {f.name: rest.pop(f.name) for f in dataclasses.fields(Front) if f.name in rest}
        rest["front"] = Front(**rest.get("front", flat))
        rest["position"] = Position(**rest["position"])
        rest["progress"] = None if progress is None else StageProgress(**progress)
        return cls(**rest)


class Outcome(NamedTuple):
    """A stage's end. `failure` is None, or says why it failed; `state` is then not to be used."""

    state: TrainState
    bookmark: Bookmark
    record: Record
    failure: str | None
