"""The stage loop: walks the path, trains each stage, keeps one checkpoint per stage."""

import dataclasses
import faulthandler
import functools
import math
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from hop import checking, tracking
from hop import config as config_lib
from hop import labels as labels_lib
from hop.checkpoints import Workdir
from hop.config import Config, Experiment
from hop.errors import PreemptedError, UserError
from hop.evaluation import Judge
from hop.homotopy.terms import Stage
from hop.labels import Labelling
from hop.networks import Network
from hop.operators import some_between
from hop.preemption import Notice
from hop.problem import Lam, Problem
from hop.provenance import made, versions
from hop.sharding import Layout, is_chief
from hop.solvers import Solver
from hop.strategies import Strategy
from hop.training import feeds
from hop.training.fronts import Fronts
from hop.training.program import Program, TrainState, Window, real
from hop.training.records import Bookmark, Criterion, Outcome, Record, Reporter, StageProgress


def train(
    config: Config,
    workdir: str | os.PathLike,
    reporter: Reporter,
    problem: Problem | None = None,
    command: str = "",
    *,
    labels: Any = None,
    fallback: bool = False,
    watchdog: float = 0.0,
    network: Network | None = None,
    strategy: Strategy | None = None,
    solver: Solver | None = None,
) -> list[Record]:
    """Trains an experiment in a workdir, from where the workdir's checkpoints end.

    Datasets that are missing are built. Every process of a job calls this alike.

    Args:
      config: the experiment.
      workdir: its folder; it is created if need be, and locked while this runs.
      reporter: hears of the progress.
      problem, network, strategy, solver: objects of your own, each for a group of the config that
        names none.
      command: what asked for this; every checkpoint notes it.
      labels: solutions that are known, in place of the file that the config names (`hop.labels`).
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
    tracking.check(config.train.track)
    experiment = config_lib.build(config, problem, network, strategy, solver)
    experiment, known = labels_lib.prepare(experiment, labels)
    config = experiment.config
    layout = experiment.layout()
    feeds.check_batch(experiment, layout)
    checking.check(experiment)
    if not type(experiment.problem).__module__.startswith("hop."):
        from hop import examining  # reads all references

        for finding in examining.glance(experiment.problem, experiment.path.places[0]):
            if finding.doubt:
                reporter.message(f"{finding.part} {finding.text}")
    feeds.provide(experiment, reporter)
    if config.train.precision == "float64" and jax.default_backend() == "tpu":
        reporter.message(
            "TPUs have no float64 and emulate it, many times slower than float32; a CPU or GPU may "
            "well be faster"
        )
    with Workdir.open(workdir, is_chief()) as folder:
        folder.adopt(config_lib.to_json(experiment.config), config_lib.completed)
        folder.keep(experiment.problem.inputs)
        with config.precision(), Notice() as notice:
            try:
                run = _Run(experiment, layout, folder, reporter, command, notice, watchdog, known)
                return run.walk(fallback)
            finally:
                faulthandler.cancel_dump_traceback_later()


# A program without a term is worth its compilation from so many functions × points × steps on.
_WORTH = 10**8


@dataclasses.dataclass
class _Run:
    """One call of `train`."""

    experiment: Experiment
    layout: Layout
    workdir: Workdir
    reporter: Reporter
    command: str
    notice: Notice
    watchdog: float
    labels: Labelling | None = None

    def __post_init__(self) -> None:
        experiment = self.experiment
        shown = config_lib.to_json(experiment.config)
        self.metrics = self.workdir.metrics(experiment.config.train.track, shown)
        self.program = Program(experiment, self.layout)
        self.fronts = Fronts(self.program, self._solve, self._correct, self.reporter.message)
        self.feed, self.criterion = feeds.feed(experiment, self.layout), Criterion.of(experiment)
        self.judge = Judge.of(experiment, "validation", _judged(experiment), self.reporter.counting)
        if self.labels is not None:
            self.labels = self.labels.put(self.layout)
        self.taken = 0  # steps of all stages, failed tries included
        self.saved = time.monotonic()  # when the last checkpoint was

    def walk(self, fallback: bool) -> list[Record]:
        """Stage after stage to the end of the path."""
        path, program = self.experiment.path, self.program
        self._alive()
        state, mark = self._resume(fallback)
        self.taken, self.saved = mark.total_steps, time.monotonic()
        with self.metrics:
            done = path.propose(mark.position) is None
            self.reporter.start(self.experiment, self.layout, mark.stage, done)
            self._say(mark, done)
            while (t := path.propose(mark.position)) is not None:
                outcome = self._stage(state, mark, path.at(t))
                if outcome.failure is not None:
                    position = path.reject(mark.position, outcome.failure)
                    self.reporter.message(f"{outcome.failure}: trying half the step")
                    mark = mark.before(mark.stage, position, self.taken)
                    state = program.retry(state)
                    continue
                end, after, record, _ = outcome
                after = after.before(mark.stage + 1, path.accept(mark.position), self.taken)
                self.workdir.save_stage(mark.stage, end.params, end, self._metadata(record, after))
                self.saved = time.monotonic()
                self.metrics.write({"kind": "stage", **record})
                self.reporter.stage_end(record)
                state, mark = program.next_stage(end), after
        return [info.record for info in self.workdir.stages()]

    def _say(self, mark: Bookmark, done: bool) -> None:
        """What is trained on beside the equation, and where training goes on."""
        say, samples = self.reporter.message, self.experiment.config.data.samples
        if samples:
            named = ", ".join(f"{name}: samples {word}" for name, word in samples.items())
            say(f"inputs {named}")
        if self.labels is not None:
            say(f"{self.labels}, weight {self.experiment.config.labels.weight:g}")
        if not done and mark.total_steps:
            step = 0 if mark.progress is None else mark.progress.step
            say(f"going on with stage {mark.stage}, after {step} steps of it")

    def _stage(self, state: TrainState, mark: Bookmark, lam: Lam) -> Outcome:
        """One stage, from its start or from within it, to its end: predict, correct, measure."""
        limits = self.experiment.config.path
        self.reporter.stage(mark.stage, lam)
        self._alive()
        outcome = self._solve(state, mark, lam)
        if outcome.failure is None and self.experiment.plan.pin:
            outcome = self.fronts.settle(outcome, lam)
        if outcome.failure is not None:
            return outcome
        state, mark, record, _ = outcome
        record |= self.judge.worst(self.program.operator(state, lam))
        if not math.isfinite(record["loss"]):  # the last step's network, which no loss has seen
            return outcome._replace(failure="the network's loss is not finite")
        if record["loss"] <= limits.tolerance or not self.experiment.path.adaptive:
            return outcome
        return outcome._replace(failure=f"the loss ended at {record['loss']:.1e}")

    def _solve(self, state: TrainState, mark: Bookmark, lam: Lam) -> Outcome:
        """Predicts a stage, unless it is resumed from within, and corrects it."""
        plan, limits = self.experiment.plan, self.experiment.config.path
        began = time.monotonic()
        record: Record = {"stage": mark.stage, "s": lam.s, "eps": lam.eps}
        record |= {"step": 0, "total_steps": mark.total_steps, "seconds": 0.0}
        stage = self._where(state, mark, lam)
        if mark.progress is None and mark.stage:
            if plan.predictor is not None:
                state = jax.block_until_ready(self.program.predict(state, stage))
            if self.experiment.path.adaptive:
                predicted = self.judge.loss(self.program.operator(state, lam))
                if not predicted <= limits.prediction:
                    where = f"s={lam.s:g}, eps={lam.eps:g}"
                    why = f"the predicted network's loss at {where} is {predicted:.1e}"
                    return Outcome(state, mark, record, why)
            seconds = mark.seconds + time.monotonic() - began
            mark, record["seconds"] = dataclasses.replace(mark, seconds=seconds), round(seconds, 3)
        if plan.corrects or mark.stage == 0:
            return self._windows(state, mark, stage, record)
        return Outcome(state, mark, record, None)

    def _correct(self, state: TrainState, mark: Bookmark, lam: Lam, record: Record) -> Outcome:
        """Corrects a stage from where `state` stands."""
        return self._windows(state, mark, self._where(state, mark, lam), record)

    def _windows(self, state: TrainState, mark: Bookmark, stage: Stage, record: Record) -> Outcome:
        """Runs the solver, window by window, until the stage's criterion is met."""
        criterion, train = self.criterion, self.program.train
        rounding = float(np.finfo(train.precision).eps)
        progress = mark.progress or StageProgress(0, criterion.latest)
        while not progress.finished(criterion):
            self._alive()
            began = time.monotonic()
            count = min(train.dispatch, progress.remaining(criterion))
            window = Window(np.int32(count), real(progress.tail_from))
            pool, drawn = self.feed(mark.stage, progress.step, train.dispatch)
            over = self._over(mark.stage, progress.step) if self._spares else ()
            state, traced, start = self.program.dispatch(state, stage, window, pool, drawn, over)
            losses = {name: float(value) for name, value in traced.items()}
            total = losses["total"]
            if not math.isfinite(total):
                return Outcome(state, mark, record, "the loss is not finite")
            progress = progress.after(criterion, count, total, float(start))
            first = mark.first if mark.stage else progress.first
            if progress.diverged(total, first, rounding):
                return Outcome(state, mark, record, f"the loss diverged, to {total:.1e}")
            self.taken += count
            seconds = mark.seconds + time.monotonic() - began
            mark = dataclasses.replace(
                mark, progress=progress, first=first, total_steps=self.taken, seconds=seconds
            )
            record = {name: value for name, value in record.items() if name not in over}
            record |= {"step": progress.step, "total_steps": self.taken, **losses}
            record["seconds"] = round(seconds, 3)
            self.metrics.write({"kind": "window", **record})
            self.reporter.window(record, progress.remaining(criterion))
            stop, save = self.notice.agree(time.monotonic() - self.saved >= train.save_seconds)
            done = progress.finished(criterion)
            if not done and (stop or save):
                self.workdir.save_rolling(self.taken, state, self._metadata(record, mark))
                self.saved = time.monotonic()
            if not done and stop:
                raise PreemptedError(f"in stage {mark.stage}, after {self.taken} steps in all")
        self._alive()
        return Outcome(state, mark, record, None)

    def _over(self, stage: int, step: int) -> tuple[str, ...]:
        """The terms of the loss that weigh nothing from a step of a stage on."""
        done, terms = step / self.program.train.steps, self.experiment.plan.terms
        return tuple(term.name for term in terms if term.over(stage > 0, done))

    @functools.cached_property
    def _spares(self) -> bool:
        """Whether a program without those terms pays for its compilation."""
        train, places = self.program.train, len(self.experiment.path.places)
        if places == 1:
            return True  # it may well be the only one
        starts = range(0, train.steps, train.dispatch)
        first, later = (sum(bool(self._over(k, step)) for step in starts) for k in (0, 1))
        windows = first + (places - 1) * later
        functions = train.functions if self.experiment.problem.inputs else 1
        return windows * train.dispatch * functions * train.points >= _WORTH

    def _alive(self) -> None:
        """Starts the watchdog's clock anew. It needs no Python: a hang in a collective counts."""
        out = sys.__stderr__  # sys.stderr may be no file, as in a notebook
        if self.watchdog and out is not None:
            faulthandler.dump_traceback_later(self.watchdog, exit=True, file=out)

    def _where(self, state: TrainState, mark: Bookmark, lam: Lam) -> Stage:
        """The stage at λ_k, with its pin made from the last stage's network."""
        last = self.experiment.path.at(mark.position.t) if mark.stage else lam
        here = (lam, last, mark.stage > 0, self.fronts.pin(state, mark, lam))
        labels = None if self.labels is None else self.labels.at(lam)
        lam, last, follows, pin = jax.tree.map(real, here)
        return Stage(np.int32(mark.stage), lam, last, follows, pin, labels)

    def _resume(self, fallback: bool) -> tuple[TrainState, Bookmark]:
        """The newest checkpoint's state, or a fresh one."""
        state = self.program.init()
        aside = self.reporter.message if fallback else None

        def like(metadata: Mapping[str, Any]) -> TrainState:
            config_lib.check_classes(self.experiment.own, metadata)
            return jax.eval_shape(lambda: state)

        found = self.workdir.newest(like, aside)
        if found is None:
            self.workdir.forget_after(0)
            return state, Bookmark(0, self.experiment.path.start())
        latest, stored = found
        mark = Bookmark.from_json(latest.metadata["bookmark"])
        self.workdir.forget_after(mark.total_steps)
        state = self.program.put(stored)
        return (self.program.next_stage(state) if mark.progress is None else state), mark

    def _metadata(self, record: Record, mark: Bookmark) -> Record:
        return {
            "s": record["s"],
            "eps": record["eps"],
            "record": record,
            "bookmark": dataclasses.asdict(mark),
            **self.experiment.classes(),
            "config": config_lib.to_json(self.experiment.config),
            "versions": versions(),
            "made": made(self.command),
        }


def _judged(experiment: Experiment) -> int:
    """How many functions a stage is scored on: of a range, so many for all its ε together."""
    count, eps = experiment.config.train.validation, experiment.answer.eps
    if not eps:
        return count
    lowest = min(place.eps for place in experiment.path.places)
    return math.ceil(count / len(some_between(lowest, eps[1])))
