"""The stage loop: walks the path, trains each stage, keeps one checkpoint per stage."""

import dataclasses
import faulthandler
import functools
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hop import ambient, checking, datasets, evaluation
from hop import config as config_lib
from hop.ansatz import Ansatz, Inputs
from hop.checkpoints import Workdir
from hop.config import Config, Experiment, TrainConfig
from hop.errors import PreemptedError, UserError
from hop.fields import Field, RandomField
from hop.homotopy import adaptive
from hop.homotopy import pin as pinning
from hop.homotopy.path import Position
from hop.homotopy.resampling import Candidates
from hop.homotopy.terms import Objective, Stage
from hop.networks import Params
from hop.operators import Operator
from hop.preemption import Notice
from hop.problems import Lam, Problem
from hop.provenance import made, versions
from hop.sharding import FUNCTION, POINT, Layout, is_chief, on_host, wait_for_all
from hop.solvers import Moment, Progress, Solver
from hop.trust import gauge

Record = dict[str, Any]

_DIVERGED = 10.0  # times the loss of the first window, of this stage or of stage 0
_PLACINGS = 4  # tries to bring an interface to the place that the gauge expects
_FRESH = 2**31 - 1  # sets the keys of fresh functions apart from the datasets', one per split


class TrainState(NamedTuple):
    """All arrays that training carries.

    Attributes:
      params: θ.
      anchor: θ_{k−1}, the last stage's network; θ's own start at the first stage.
      solver: the solver's state.
      step: steps done in this stage.
    """

    params: Params
    anchor: Params
    solver: Any
    step: Array


@runtime_checkable
class Reporter(Protocol):
    """Hears what happens during training; the command line draws it."""

    def start(self, experiment: Experiment, layout: Layout, stage: int, done: bool) -> None: ...
    def stage(self, index: int, lam: Lam) -> None: ...
    def window(self, record: Record, remaining: int) -> None: ...
    def stage_end(self, record: Record) -> None: ...
    def message(self, text: str) -> None: ...
    def building(self, law: str) -> Callable[[int, int], None]: ...


class Window(NamedTuple):
    """What one dispatch hears of its stage: all traced.

    Attributes:
      count: steps to take, at most the rows of `draws`.
      tail_from: the step from which the stage is brought to its end.
    """

    count: Any
    tail_from: Any


@dataclasses.dataclass(frozen=True)
class Trainer:
    """The training program of an experiment on a mesh: a few compiled functions."""

    experiment: Experiment
    layout: Layout

    @property
    def ansatz(self) -> Ansatz:
        return self.experiment.ansatz

    @property
    def solver(self) -> Solver:
        return self.experiment.solver

    @property
    def train(self) -> TrainConfig:
        return self.experiment.config.train

    @functools.cached_property
    def init(self) -> Callable[[], TrainState]:
        """() → a fresh state, made on the mesh."""
        return jax.jit(self._init, out_shardings=self._home)

    @functools.cached_property
    def _home(self) -> TrainState:
        """Where the arrays of a state lie."""
        return self.layout.over_model(jax.eval_shape(self._init))

    def begin(self, params: Params) -> TrainState:
        """The state of parameters that were trained elsewhere."""
        return self.place(jax.device_get(self._fresh(params)))

    def place(self, state: TrainState) -> TrainState:
        """A state on the host → the same on the mesh."""
        return self.layout.put_as(state, self._home)

    @functools.cached_property
    def next_stage(self) -> Callable[[TrainState], TrainState]:
        """The end of a stage → the start of the next: its network is both start and anchor."""
        return jax.jit(self._next_stage, out_shardings=self._home)

    @functools.cached_property
    def retry(self) -> Callable[[TrainState], TrainState]:
        """Any state of a failed stage → its start again, with a fresh solver."""
        return jax.jit(self._retry, out_shardings=self._home)

    @functools.cached_property
    def predict(self) -> Callable[[TrainState, Stage], TrainState]:
        """The start of a stage → the same with the predictor's parameters."""
        home, whole = self._home, self.layout.replicated
        return jax.jit(self._predict, in_shardings=(home, whole), out_shardings=home)

    @functools.cached_property
    def dispatch(self) -> Callable[..., tuple[TrainState, dict[str, Array], Array]]:
        """(state, stage, window, pool, draws) → (state, mean of every loss term, first loss).

        `pool` holds the input functions (None without any), `draws` (dispatch, n) says which of
        them each step takes; without it, `pool` holds those of every step, (dispatch, n, …).
        Everything that changes between stages is traced: one compilation.
        """
        home, whole = self._home, self.layout.replicated
        return jax.jit(
            self._dispatch,
            in_shardings=(home, whole, whole, None, None),  # a feed knows where its own lie
            out_shardings=(home, whole, whole),
        )

    def _init(self) -> TrainState:
        params = self.ansatz.init(ambient.key(self.experiment.config.seed))
        return self._fresh(params)

    def _fresh(self, params: Params) -> TrainState:
        return TrainState(params, params, self.solver.init(params), jnp.int32(0))

    def _next_stage(self, state: TrainState) -> TrainState:
        solver = self.solver.next_stage(state.solver, state.params)
        return TrainState(state.params, state.params, solver, jnp.int32(0))

    def _retry(self, state: TrainState) -> TrainState:
        return self._fresh(state.anchor)

    def _predict(self, state: TrainState, stage: Stage) -> TrainState:
        predictor = self.experiment.plan.predictor
        assert predictor is not None
        objective = self._objective(state, stage, None, None)
        return state._replace(params=predictor(objective, state.params))

    def _dispatch(
        self,
        state: TrainState,
        stage: Stage,
        window: Window,
        pool: Inputs | None,
        draws: Array | None,
    ) -> tuple[TrainState, dict[str, Array], Array]:
        def drawn(i: Any) -> Inputs | None:
            taken = i if draws is None else draws[i]
            return self.layout.constrain(jax.tree.map(lambda a: a[taken], pool), FUNCTION)

        candidates = self._candidates(state, stage, drawn(0))

        advance = jax.jit(self._step, inline=True)  # traced once: for its shapes, in the loop

        def step(i: Array, carry: tuple[TrainState, dict[str, Array], Array]) -> Any:
            state, sums, first = carry
            state, losses = advance(state, stage, window, drawn(i), candidates)
            first = jnp.where(i == 0, losses["total"], first)
            return state, jax.tree.map(jnp.add, sums, losses), first

        shapes = jax.eval_shape(advance, state, stage, window, drawn(0), candidates)[1]
        zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        start = (state, zeros, zeros["total"])
        state, sums, first = jax.lax.fori_loop(0, window.count, step, start)
        return state, jax.tree.map(lambda a: a / window.count.astype(a.dtype), sums), first

    def _step(
        self,
        state: TrainState,
        stage: Stage,
        window: Window,
        inputs: Inputs | None,
        candidates: Candidates | None,
    ) -> tuple[TrainState, dict[str, Array]]:
        objective = self._objective(state, stage, inputs, candidates)
        moment = Moment(state.step, window.tail_from, self.train.steps)
        with self.experiment.config.products():
            params, solver, losses = self.solver.step(objective, state.params, state.solver, moment)
        return TrainState(params, state.anchor, solver, state.step + 1), losses

    def _objective(
        self,
        state: TrainState,
        stage: Stage,
        inputs: Inputs | None,
        candidates: Candidates | None,
    ) -> Objective:
        x, spacing = self._points(state.anchor, inputs, self._key(state, stage), candidates)
        x, spacing = self.layout.constrain((x, spacing), POINT)
        share_done = state.step.astype(float) / self.train.steps
        plan = self.experiment.plan
        return Objective(
            self.ansatz, plan.weights, state.anchor, inputs, x, spacing, stage, share_done,
            parts=self.train.accumulate, split_points=plan.pointwise,
        )  # fmt: skip

    def _key(self, state: TrainState, stage: Stage) -> Array:
        key = jax.random.fold_in(ambient.key(self.experiment.config.seed), stage.index)
        return jax.random.fold_in(key, state.step if self.solver.redraws else 0)

    def _candidates(
        self, state: TrainState, stage: Stage, inputs: Inputs | None
    ) -> Candidates | None:
        """What the next steps draw their points from; None where they need no such pool."""
        by_residual = self.experiment.plan.resampling
        if by_residual is None:
            return None
        count = by_residual.pool * self.train.points
        key = jax.random.fold_in(self._key(state, stage), 1)
        x = self.ansatz.problem.domain.sample(key, count, self.train.sampler)
        x = self.layout.constrain(x, POINT)
        h = self.ansatz.residual(state.params, inputs, x, stage.lam)
        return by_residual.candidates(x, h)

    def _points(
        self, anchor: Params, inputs: Inputs | None, key: Array, candidates: Candidates | None
    ) -> tuple[Array, Array]:
        domain, count, sampler = self.ansatz.problem.domain, self.train.points, self.train.sampler
        if candidates is not None:
            return candidates.draw(key, count), jnp.ones(count)
        if sampler == "adaptive":
            x = domain.sample(key, count, "stratified")
            return adaptive.equidistribute(self.ansatz, anchor, inputs, x)
        return domain.sample(key, count, sampler), jnp.ones(count)


def train(
    config: Config,
    workdir: str | os.PathLike,
    reporter: Reporter,
    problem: Problem | None = None,
    command: str = "",
    *,
    fallback: bool = False,
    watchdog: float = 0.0,
) -> list[Record]:
    """Trains an experiment in a workdir, from where the workdir's checkpoints end.

    Datasets that are missing are built. Every process of a job calls this alike.

    Args:
      config: the experiment.
      workdir: its folder; it is created if need be, and locked while this runs.
      reporter: hears of the progress.
      problem: a problem object of your own, in place of the one that the config names.
      command: what asked for this; every checkpoint notes it.
      fallback: go on from the newest checkpoint that is whole, and set damaged ones aside.
      watchdog: seconds that a window of steps, or the end of a stage, may take; a process that
        hangs for longer, as when a peer of its job does, prints all its stacks and exits with 1.
        0 for no limit.

    Returns:
      A record per finished stage, those of earlier runs included.

    Raises:
      UserError: the config cannot run here, or differs from the workdir's; nothing is written.
      RunError: a stage failed; finished stages and the last rolling checkpoint are kept.
      PreemptedError: SIGTERM was heard, in any process of the job; a checkpoint was saved.
    """
    if not watchdog >= 0:
        raise UserError(f"watchdog={watchdog!r} must be a number of seconds, or 0 for no limit")
    experiment = config_lib.build(config, problem)
    layout = experiment.layout()
    check_batch(experiment, layout)
    checking.check(experiment)
    provide(experiment, reporter)
    if config.train.precision == "float64" and jax.default_backend() == "tpu":
        reporter.message(
            "TPUs have no float64 and emulate it, many times slower than float32; a CPU or GPU may "
            "well be faster"
        )
    with Workdir.open(workdir, is_chief()) as folder:
        folder.adopt(config_lib.to_json(config), config_lib.completed)
        with config.precision(), Notice() as notice:
            try:
                run = _Run(experiment, layout, folder, reporter, command, notice, watchdog)
                return run.walk(fallback)
            finally:
                faulthandler.cancel_dump_traceback_later()


def provide(experiment: Experiment, reporter: Reporter) -> None:
    """Builds a dataset that is missing, in one process of the job, and says so."""
    field, data_dir = experiment.problem.random_field, experiment.config.data.data_dir
    if field is None or not datasets.has_files(field):
        return
    if is_chief() and not datasets.is_built(field.name, data_dir):
        folder = datasets.folder(field.name, data_dir)
        reporter.message(f"building the dataset {datasets.NAME}/{field.name} in {folder}")
        datasets.build(field.name, data_dir, reporter.building(field.name))
    wait_for_all("dataset")


def check_batch(experiment: Experiment, layout: Layout) -> None:
    """Refuses, before anything is compiled or written, a batch that the mesh cannot split."""
    train, problem = experiment.config.train, experiment.problem
    split = experiment.accumulates_over

    def check(name: str, count: int, axis: str) -> None:
        parts = train.accumulate if name == split else 1
        if count % parts:
            raise UserError(
                f"config.train.accumulate={parts} does not divide config.train.{name}={count}; "
                "change either of them"
            )
        words = f"config.train.{name}" + (f"/{parts}" if parts > 1 else "")
        layout.check(words, count // parts, axis)

    check("points", train.points, POINT)
    if problem.random_field is None:
        return
    check("functions", train.functions, FUNCTION)
    available = datasets.SPLITS["train"]
    if train.functions > available and not experiment.config.data.fresh:
        raise UserError(
            f"config.train.functions={train.functions} exceeds the {available} "
            f"training functions; use at most {available}, or config.data.fresh=True"
        )


@dataclasses.dataclass(frozen=True)
class Bookmark:
    """Where a run stands: with the arrays of `TrainState`, all that resuming needs.

    Attributes:
      stage: the stage under way, or the next one.
      position: of the last accepted stage on the path.
      progress: within the stage; None before its first step.
      total_steps: steps of all stages, failed tries included.
      seconds: spent in this stage so far.
      pinned: whether this stage's slow mode is pinned.
      corrected: how far from the last stage's interface it is pinned, by the gauge; None for
        where the velocity puts it.
      velocity: dx/dp of an interface along the path, as last computed.
      uncertain: how far it may have been from its place, when that was last computed.
      first: `Progress.first` of stage 0; infinite where it is not known.
    """

    stage: int
    position: Position
    progress: Progress | None = None
    total_steps: int = 0
    seconds: float = 0.0
    pinned: bool = False
    corrected: float | None = None
    velocity: float = 0.0
    uncertain: float = math.inf
    first: float = math.inf

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Bookmark":
        progress = values["progress"]
        return cls(
            **{
                **values,
                "position": Position(**values["position"]),
                "progress": None if progress is None else Progress(**progress),
            }
        )


class Outcome(NamedTuple):
    """A stage's end. `failure` is None, or says why it failed; `state` is then not to be used."""

    state: TrainState
    bookmark: Bookmark
    record: Record
    failure: str | None


class _Run:
    """One call of `train`."""

    def __init__(
        self,
        experiment: Experiment,
        layout: Layout,
        workdir: Workdir,
        reporter: Reporter,
        command: str,
        notice: Notice,
        watchdog: float,
    ):
        config = experiment.config
        self.command, self.notice, self.watchdog = command, notice, watchdog
        self.experiment, self.layout = experiment, layout
        self.workdir, self.reporter = workdir, reporter
        self.trainer = Trainer(experiment, layout)
        self.feed = _feed(experiment, layout)
        self.judge = evaluation.Judge.of(experiment, "validation", config.train.validation)

    def walk(self, fallback: bool) -> list[Record]:
        """Stage after stage to the end of the path."""
        path, trainer = self.experiment.path, self.trainer
        self._alive()
        state, mark = self._resume(fallback)
        self.taken, self.saved = mark.total_steps, time.monotonic()
        with self.workdir.metrics() as metrics:
            self.metrics = metrics
            done = path.propose(mark.position) is None
            self.reporter.start(self.experiment, self.layout, mark.stage, done)
            while (t := path.propose(mark.position)) is not None:
                outcome = self._stage(state, mark, path.at(t))
                if outcome.failure is not None:
                    position = path.reject(mark.position, outcome.failure)
                    self.reporter.message(f"{outcome.failure}: trying half the step")
                    mark = dataclasses.replace(
                        mark,
                        position=position,
                        progress=None,
                        corrected=None,
                        total_steps=self.taken,
                        seconds=0.0,
                    )
                    state = trainer.retry(state)
                    continue
                after = dataclasses.replace(
                    outcome.bookmark,
                    stage=mark.stage + 1,
                    position=path.accept(mark.position),
                    progress=None,
                    corrected=None,
                    total_steps=self.taken,
                    seconds=0.0,
                )
                self.workdir.save_stage(
                    mark.stage,
                    outcome.state.params,
                    outcome.state,
                    self._metadata(outcome.record, after),
                )
                self.saved = time.monotonic()
                self.metrics.write({"kind": "stage", **outcome.record})
                self.reporter.stage_end(outcome.record)
                state, mark = trainer.next_stage(outcome.state), after
        return [info.record for info in self.workdir.stages()]

    def _stage(self, state: TrainState, mark: Bookmark, lam: Lam) -> Outcome:
        """One stage, from its start or from within it, to its end: predict, correct, measure."""
        limits = self.experiment.config.path
        self.reporter.stage(mark.stage, lam)
        self._alive()
        outcome = self._solve(state, mark, lam)
        if outcome.failure is None and self.experiment.plan.pin:
            outcome = self._place(outcome, lam)
        if outcome.failure is not None:
            return outcome
        state, mark, record, _ = outcome
        record |= self.judge.scores(self._operator(state, lam))
        if not math.isfinite(record["loss"]):  # the last step's network, which no loss has seen
            return outcome._replace(failure="the network's loss is not finite")
        if record["loss"] <= limits.tolerance or not self.experiment.path.adaptive:
            return outcome
        return outcome._replace(failure=f"the loss ended at {record['loss']:.1e}")

    def _solve(self, state: TrainState, mark: Bookmark, lam: Lam) -> Outcome:
        """Predicts a stage, unless it is resumed from within, and corrects it."""
        plan, limits = self.experiment.plan, self.experiment.config.path
        began = time.monotonic()
        record: Record = {
            "stage": mark.stage,
            "s": lam.s,
            "eps": lam.eps,
            "step": 0,
            "total_steps": mark.total_steps,
            "seconds": 0.0,
        }
        stage = self._where(state, mark, lam)
        if mark.progress is None and mark.stage:
            if plan.predictor is not None:
                state = jax.block_until_ready(self.trainer.predict(state, stage))
            if self.experiment.path.adaptive:
                predicted = self.judge.loss(self._operator(state, lam))
                if not predicted <= limits.prediction:
                    where = f"s={lam.s:g}, eps={lam.eps:g}"
                    why = f"the predicted network's loss at {where} is {predicted:.1e}"
                    return Outcome(state, mark, record, why)
            seconds = mark.seconds + time.monotonic() - began
            mark, record["seconds"] = dataclasses.replace(mark, seconds=seconds), round(seconds, 3)
        if plan.corrects or mark.stage == 0:
            return self._correct(state, mark, stage, record)
        return Outcome(state, mark, record, None)

    def _place(self, outcome: Outcome, lam: Lam) -> Outcome:
        """Finds the place of a solved stage's interface, or else carries it on from the last stage.

        The gauge says how far the interface is off. Beyond the tolerance it is pinned where the
        gauge expects it, and the stage corrected again, as long as that brings it nearer. Where
        the last place known is better known than this one, the stage is pinned where the last
        velocity puts it. The record says whether the place was "computed", and then to which
        distance, or is "assumed".
        """
        first = best = outcome
        nearest = 2 * lam.eps  # beyond a layer's width the gauge, which is linear, says nothing
        for _ in range(_PLACINGS):
            state, mark, record, _ = outcome
            found = gauge(self._operator(state, lam))
            uncertain = float(found.shift[0])
            if mark.stage == 0 or uncertain <= self.experiment.plan.pin:
                return self._computed(outcome, lam, uncertain)
            if not uncertain < 0.5 * nearest:
                break
            best, nearest = outcome, uncertain
            corrected = self._moved(state, lam) - float(found.offset[0])
            mark = dataclasses.replace(mark, pinned=True, corrected=corrected, progress=None)
            outcome = self._correct(state, mark, self._where(state, mark, lam), dict(record))
            if outcome.failure is not None:
                return outcome
        if nearest <= first.bookmark.uncertain:
            return self._computed(best, lam, nearest)
        return self._carried(first, lam)

    def _computed(self, outcome: Outcome, lam: Lam, uncertain: float) -> Outcome:
        """Notes a place that the residual tells, and the velocity with which it was reached."""
        state, mark, record, _ = outcome
        record |= {"place": "computed", "shift": uncertain if math.isfinite(uncertain) else None}
        if mark.stage:
            # Less than the uncertainty of the two places would be carried on, and grow.
            moved = self._moved(state, lam)
            moved *= abs(moved) > uncertain + mark.uncertain
            mark = dataclasses.replace(mark, velocity=moved / self._change(mark, lam))
        return outcome._replace(bookmark=dataclasses.replace(mark, uncertain=uncertain))

    def _carried(self, outcome: Outcome, lam: Lam) -> Outcome:
        """The stage with its place carried on; as it was, if the equation contradicts that."""
        where, mark = f"at s={lam.s:g}, eps={lam.eps:g}", outcome.bookmark
        carried, again = outcome, dataclasses.replace(mark, progress=None)
        if not mark.pinned or mark.corrected is not None:
            self.reporter.message(
                f"the residual {where} does not tell the interface's place to "
                f"{self.experiment.plan.pin:.0e}: it is carried on from the last stage"
            )
            again = dataclasses.replace(again, pinned=True, corrected=None)
            carried = self._solve(self.trainer.retry(outcome.state), again, lam)
        if carried.failure is None:
            params = on_host(carried.state.params)
            c, rest = pinning.multiplier(self.experiment.ansatz, params, lam)
            if c <= rest:
                carried.record.update(place="assumed", multiplier=c)
                return carried
        self.reporter.message(
            f"the pin {where} holds the interface where the equation does not want it: released"
        )
        if mark.pinned:
            again = dataclasses.replace(again, pinned=False, corrected=None)
            stage = self._where(outcome.state, again, lam)
            outcome = self._correct(outcome.state, again, stage, outcome.record)
        if outcome.failure is not None:
            return outcome
        found = gauge(self._operator(outcome.state, lam))
        return self._computed(outcome, lam, float(found.shift[0]))

    def _moved(self, state: TrainState, lam: Lam) -> float:
        """How far the interface moved since the last stage."""
        before, after = on_host(state.anchor), on_host(state.params)
        return pinning.shift(self.experiment.ansatz, before, after, lam)

    def _change(self, mark: Bookmark, lam: Lam) -> float:
        """Δp since the last stage: of ε, or of s where ε stays."""
        last = self.experiment.path.at(mark.position.t)
        return lam.eps - last.eps or lam.s - last.s

    def _correct(self, state: TrainState, mark: Bookmark, stage: Stage, record: Record) -> Outcome:
        """Runs the solver until the stage's criterion is met."""
        criterion, train = self.experiment.criterion, self.trainer.train
        progress = mark.progress or Progress(0, criterion.latest)
        while not progress.finished(criterion):
            self._alive()
            began = time.monotonic()
            count = min(train.dispatch, progress.remaining(criterion))
            window = Window(np.int32(count), _real(progress.tail_from))
            pool, drawn = self.feed(mark.stage, progress.step, train.dispatch)
            state, traced, start = self.trainer.dispatch(state, stage, window, pool, drawn)
            losses = {name: float(value) for name, value in traced.items()}
            total = losses["total"]
            if not math.isfinite(total):
                return Outcome(state, mark, record, "the loss is not finite")
            progress = progress.after(criterion, count, total, float(start))
            first = mark.first if mark.stage else progress.first
            rounding = float(np.finfo(train.precision).eps)
            if total > _DIVERGED * max(progress.first, first, rounding):
                return Outcome(state, mark, record, f"the loss diverged, to {total:.1e}")
            self.taken += count
            mark = dataclasses.replace(
                mark,
                progress=progress,
                first=first,
                total_steps=self.taken,
                seconds=mark.seconds + time.monotonic() - began,
            )
            record |= {
                "step": progress.step,
                "total_steps": mark.total_steps,
                "seconds": round(mark.seconds, 3),
                **losses,
            }
            self.metrics.write({"kind": "window", **record})
            self.reporter.window(record, progress.remaining(criterion))
            stop, save = self.notice.agree(time.monotonic() - self.saved >= train.save_seconds)
            done = progress.finished(criterion)
            if not done and (stop or save):
                self.workdir.save_rolling(mark.total_steps, state, self._metadata(record, mark))
                self.saved = time.monotonic()
            if not done and stop:
                raise PreemptedError(
                    f"in stage {mark.stage}, after {mark.total_steps} steps in all"
                )
        self._alive()
        return Outcome(state, mark, record, None)

    def _alive(self) -> None:
        """Starts the watchdog's clock anew. It needs no Python: a hang in a collective counts."""
        out = sys.__stderr__  # sys.stderr may be no file, as in a notebook
        if self.watchdog and out is not None:
            faulthandler.dump_traceback_later(self.watchdog, exit=True, file=out)

    def _where(self, state: TrainState, mark: Bookmark, lam: Lam) -> Stage:
        """The stage at λ_k, with its pin made from the last stage's network."""
        previous = self.experiment.path.at(mark.position.t) if mark.stage else lam
        pin = None
        if mark.pinned:
            shift = mark.corrected
            if shift is None:
                shift = mark.velocity * self._change(mark, lam)
            pin = pinning.pin(self.experiment.ansatz, on_host(state.anchor), lam, shift)
        elif self.experiment.plan.pin:
            pin = pinning.off()
        pin = jax.tree.map(_real, pin)
        return Stage(
            np.int32(mark.stage), _traced(lam), _traced(previous), _real(mark.stage > 0), pin
        )

    def _resume(self, fallback: bool) -> tuple[TrainState, Bookmark]:
        """The newest checkpoint's state, or a fresh one."""
        state = self.trainer.init()
        aside = self.reporter.message if fallback else None
        found = self.workdir.newest(jax.eval_shape(lambda: state), aside)
        if found is None:
            self.workdir.forget_after(0)
            return state, Bookmark(0, self.experiment.path.start())
        latest, stored = found
        config_lib.check_problem(self.experiment.problem, latest.metadata["problem"])
        mark = Bookmark.from_json(latest.metadata["bookmark"])
        self.workdir.forget_after(mark.total_steps)
        state = self.trainer.place(stored)
        return (self.trainer.next_stage(state) if mark.progress is None else state), mark

    def _operator(self, state: TrainState, lam: Lam) -> Operator:
        return Operator(self.experiment.answer, on_host(state.params), lam)

    def _metadata(self, record: Record, mark: Bookmark) -> Record:
        return {
            "s": record["s"],
            "eps": record["eps"],
            "record": record,
            "bookmark": dataclasses.asdict(mark),
            "problem": config_lib.problem_class(self.experiment.problem),
            "config": config_lib.to_json(self.experiment.config),
            "versions": versions(),
            "made": made(self.command),
        }


@runtime_checkable
class Feed(Protocol):
    def __call__(self, stage: int, first: int, steps: int) -> tuple[Inputs | None, Array | None]:
        """The `pool` and `draws` of `Trainer.dispatch` for some steps of a stage."""
        ...


def _feed(experiment: Experiment, layout: Layout) -> Feed:
    """Feeds the compiled program from the law itself, from the device, or else from the host."""
    config, field = experiment.config, experiment.problem.random_field
    if field is None:
        return lambda stage, first, steps: (None, None)
    count, seed, fixed = config.train.functions, config.seed, not experiment.solver.redraws
    shared = layout.sharding(None, FUNCTION)
    if config.data.fresh:

        @functools.partial(jax.jit, out_shardings=shared)
        def sample(stage: Array, steps: Array) -> Inputs:
            return fresh(field, count, seed, stage, steps)

        def from_law(stage: int, first: int, steps: int) -> tuple[Inputs, None]:
            taken = np.zeros(steps) if fixed else np.arange(first, first + steps)
            return sample(np.int32(stage), taken.astype(np.int32)), None

        return from_law
    data = datasets.load(field, "train", config.data.data_dir)
    inputs = Inputs(_real(data["values"]), _real(data["coefficients"]))
    total = len(inputs.values)
    if sum(array.nbytes for array in inputs) <= config.data.resident_mib * 2**20:
        pool = layout.put(inputs)

        def resident(stage: int, first: int, steps: int) -> tuple[Inputs, Array]:
            drawn = draws(total, count, seed, stage, first, steps, fixed)
            return pool, layout.put(drawn, None, FUNCTION)

        return resident

    def streamed(stage: int, first: int, steps: int) -> tuple[Inputs, None]:
        drawn = draws(total, count, seed, stage, first, steps, fixed)

        def share(array: np.ndarray) -> Array:
            def rows(at: Any) -> np.ndarray:  # of one device; no process asks for another's
                return array[drawn[at[:2]]]

            return jax.make_array_from_callback((*drawn.shape, array.shape[1]), shared, rows)

        return jax.tree.map(share, inputs), None

    return streamed


def fresh(field: RandomField, count: int, seed: int, stage: Any, steps: Array) -> Inputs:
    """`count` new functions for each of some steps of a stage: arrays (steps, count, …).

    They are a function of (field, seed, stage, step) alone, and no dataset holds them.
    """
    root = jax.random.fold_in(jax.random.fold_in(ambient.key(seed), _FRESH), stage)
    sensors = jnp.asarray(_real(field.sensors))

    def of(step: Array) -> Inputs:
        functions = Field(field.sample(jax.random.fold_in(root, step), count), field.basis)
        return Inputs(functions(sensors), functions.coefficients)

    return jax.vmap(of)(steps)


def draws(
    total: int, count: int, seed: int, stage: int, first: int, steps: int, fixed: bool = False
) -> np.ndarray:
    """Which functions the steps first … of a stage take, (steps, count): a function of the step.

    Every epoch is a fresh permutation of all `total`, its incomplete last batch dropped. `fixed`
    gives every step of the stage the first draw.
    """
    if fixed:
        return np.repeat(draws(total, count, seed, stage, 0, 1), steps, axis=0)
    rows: list[np.ndarray] = []
    for step in range(first, first + steps):
        epoch, row = divmod(step, total // count)
        if not rows or row == 0:
            order = np.random.default_rng([seed, stage, epoch]).permutation(total)
        rows.append(order[row * count : (row + 1) * count])
    return np.stack(rows).astype(np.int32)


def _traced(lam: Lam) -> Lam:
    return Lam(_real(lam.s), _real(lam.eps))


def _real(value: Any) -> np.ndarray:
    """A host array of the default float type."""
    return np.asarray(value, jnp.result_type(float))
