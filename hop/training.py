"""The stage loop: walks the path, trains each stage, keeps one checkpoint per stage."""

import dataclasses
import functools
import importlib.metadata
import math
import os
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.experimental import multihost_utils

from hop import config as config_lib
from hop import datasets, evaluation
from hop.ansatz import Ansatz, Inputs
from hop.checkpoints import Workdir
from hop.config import Config, Experiment, TrainConfig
from hop.errors import UserError
from hop.homotopy import terms
from hop.homotopy.path import Position
from hop.homotopy.terms import Stage, Weights
from hop.networks import Params
from hop.operators import Operator
from hop.problems import Lam, Problem
from hop.sharding import FUNCTION, POINT, Layout, is_chief
from hop.solvers.first_order import OPTIMIZERS, Progress, Schedule

Record = dict[str, Any]


class TrainState(NamedTuple):
    """All arrays that training carries.

    Attributes:
      params: θ.
      anchor: θ_{k−1}, the last stage's network; θ's own start at the first stage.
      optimizer: the optimiser's state.
      step: steps done in this stage.
    """

    params: Params
    anchor: Params
    optimizer: optax.OptState
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
    """What one dispatch hears of its schedule: all traced.

    Attributes:
      count: steps to take, at most the rows of `draws`.
      anneal_from: the step at which annealing starts.
    """

    count: Any
    anneal_from: Any


@dataclasses.dataclass(frozen=True)
class Trainer:
    """The training program of an experiment on a mesh: four compiled functions."""

    ansatz: Ansatz
    weights: Weights
    train: TrainConfig
    seed: int
    layout: Layout

    @property
    def schedule(self) -> Schedule:
        fades = self.weights.tangent > 0 and math.isfinite(self.weights.tangent_share)
        hold = math.ceil(self.weights.tangent_share * self.train.steps) if fades else 0
        return dataclasses.replace(self.train.schedule(), hold=hold)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        return OPTIMIZERS[self.train.optimizer]()

    @functools.cached_property
    def init(self) -> Callable[[], TrainState]:
        """() → a fresh state, made on the mesh, replicated."""
        return jax.jit(self._init, out_shardings=self.layout.replicated)

    @functools.cached_property
    def next_stage(self) -> Callable[[TrainState], TrainState]:
        """The end of a stage → the start of the next: its network is both start and anchor."""
        return jax.jit(self._next_stage, out_shardings=self.layout.replicated)

    @functools.cached_property
    def retry(self) -> Callable[[TrainState], TrainState]:
        """Any state of a failed stage → its start again, with a fresh optimiser."""
        return jax.jit(self._retry, out_shardings=self.layout.replicated)

    @functools.cached_property
    def dispatch(self) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
        """(state, stage, window, pool, draws) → (state, mean of every loss term).

        `pool` holds the input functions (None without any), `draws` (dispatch, n) says which of
        them each step takes. Everything that changes between stages is traced: one compilation.
        """
        whole = self.layout.replicated
        drawn = self.layout.sharding(None, FUNCTION)
        return jax.jit(
            self._dispatch, in_shardings=(whole, whole, whole, whole, drawn), out_shardings=whole
        )

    def _init(self) -> TrainState:
        params = self.ansatz.init(jax.random.key(self.seed))
        return TrainState(params, params, self.optimizer.init(params), jnp.int32(0))

    def _next_stage(self, state: TrainState) -> TrainState:
        optimizer = state.optimizer
        if self.train.optimizer_state == "restart":
            optimizer = self.optimizer.init(state.params)
        return TrainState(state.params, state.params, optimizer, jnp.int32(0))

    def _retry(self, state: TrainState) -> TrainState:
        return TrainState(
            state.anchor, state.anchor, self.optimizer.init(state.anchor), jnp.int32(0)
        )

    def _dispatch(
        self, state: TrainState, stage: Stage, window: Window, pool: Inputs | None, draws: Array
    ) -> tuple[TrainState, dict[str, Array]]:
        def step(i: Array, carry: tuple[TrainState, dict[str, Array]]) -> Any:
            state, sums = carry
            inputs = jax.tree.map(lambda a: a[draws[i]], pool)
            inputs = self.layout.constrain(inputs, FUNCTION)
            state, losses = self._step(state, stage, window, inputs)
            return state, jax.tree.map(jnp.add, sums, losses)

        inputs = jax.tree.map(lambda a: a[draws[0]], pool)
        shapes = jax.eval_shape(self._step, state, stage, window, inputs)[1]
        zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        state, sums = jax.lax.fori_loop(0, window.count, step, (state, zeros))
        return state, jax.tree.map(lambda a: a / window.count.astype(a.dtype), sums)

    def _step(
        self, state: TrainState, stage: Stage, window: Window, inputs: Inputs | None
    ) -> tuple[TrainState, dict[str, Array]]:
        key = jax.random.fold_in(jax.random.key(self.seed), stage.index)
        key = jax.random.fold_in(key, state.step)
        x = self.ansatz.problem.domain.sample(key, self.train.points, self.train.sampler)
        x = self.layout.constrain(x, POINT)
        share_done = state.step.astype(float) / self.train.steps

        def objective(params: Params) -> tuple[Array, dict[str, Array]]:
            blocks = terms.rows(self.ansatz, self.weights, params, state.anchor, inputs, x, stage)
            return terms.loss(blocks, self.weights, stage, share_done)

        (total, parts), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes float scalars and int32 steps
            updates, optimizer = self.optimizer.update(gradient, state.optimizer, state.params)
        rate = self.schedule.rate(state.step, window.anneal_from)
        updates = jax.tree.map(lambda u: rate.astype(u.dtype) * u, updates)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, state.anchor, optimizer, state.step + 1), {
            "total": total,
            **parts,
        }


def train(
    config: Config,
    workdir: str | os.PathLike,
    reporter: Reporter,
    problem: Problem | None = None,
) -> list[Record]:
    """Trains an experiment in a workdir, from where the workdir's checkpoints end.

    Datasets that are missing are built. Every process of a job calls this alike.

    Args:
      config: the experiment.
      workdir: its folder; it is created if need be, and locked while this runs.
      reporter: hears of the progress.
      problem: a problem object of your own, in place of the one that the config names.

    Returns:
      A record per finished stage, those of earlier runs included.

    Raises:
      UserError: the config cannot run here, or differs from the workdir's; nothing is written.
      RunError: a stage failed; finished stages and the last rolling checkpoint are kept.
    """
    experiment = config_lib.build(config, problem)
    layout = Layout.create(config.mesh.function, config.mesh.point)
    check_batch(experiment, layout)
    provide(experiment, reporter)
    with Workdir.open(workdir, is_chief()) as folder:
        folder.adopt(config_lib.to_json(config))
        with config.precision(), jax.default_matmul_precision("highest"):
            return _Run(experiment, layout, folder, reporter).walk()


def provide(experiment: Experiment, reporter: Reporter) -> None:
    """Builds a dataset that is missing, in one process of the job, and says so."""
    field, data_dir = experiment.problem.random_field, experiment.config.data.data_dir
    if field is None or not datasets.has_files(field):
        return
    if is_chief() and not datasets.is_built(field.name, data_dir):
        folder = datasets.folder(field.name, data_dir)
        reporter.message(f"building the dataset {datasets.NAME}/{field.name} in {folder}")
        datasets.build(field.name, data_dir, reporter.building(field.name))
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("dataset")


def check_batch(experiment: Experiment, layout: Layout) -> None:
    """Refuses, before anything is compiled or written, a batch that the mesh cannot split."""
    train, problem = experiment.config.train, experiment.problem
    layout.check("config.train.points", train.points, POINT)
    if problem.random_field is None:
        if layout.mesh.shape[FUNCTION] > 1:
            raise UserError(
                "this problem has no input functions to split over devices; set "
                "config.mesh.function=1 and config.mesh.point=-1"
            )
        return
    layout.check("config.train.functions", train.functions, FUNCTION)
    available = datasets.SPLITS["train"]
    if train.functions > available:
        raise UserError(
            f"config.train.functions={train.functions} exceeds the {available} "
            f"training functions; use at most {available}"
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
    """

    stage: int
    position: Position
    progress: Progress | None = None
    total_steps: int = 0
    seconds: float = 0.0

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
        self, experiment: Experiment, layout: Layout, workdir: Workdir, reporter: Reporter
    ):
        config = experiment.config
        self.experiment, self.layout = experiment, layout
        self.workdir, self.reporter = workdir, reporter
        weights = experiment.strategy.weights()
        self.trainer = Trainer(experiment.ansatz, weights, config.train, config.seed, layout)
        self.feed = _feed(experiment, layout)
        self.judge = evaluation.Judge.of(experiment, "validation", config.train.validation)

    def walk(self) -> list[Record]:
        """Stage after stage to the end of the path."""
        path, trainer = self.experiment.path, self.trainer
        state, mark = self._resume()
        with self.workdir.metrics() as metrics:
            self.metrics = metrics
            done = path.propose(mark.position) is None
            self.reporter.start(self.experiment, self.layout, mark.stage, done)
            while (t := path.propose(mark.position)) is not None:
                outcome = self._stage(state, mark, path.at(t))
                if outcome.failure is not None:
                    position = path.reject(mark.position, outcome.failure)
                    self.reporter.message(f"{outcome.failure}: trying half the step")
                    mark = Bookmark(mark.stage, position, None, outcome.bookmark.total_steps)
                    state = trainer.retry(state)
                    continue
                after = Bookmark(
                    mark.stage + 1, path.accept(mark.position), None, outcome.bookmark.total_steps
                )
                self.workdir.save_stage(
                    mark.stage,
                    outcome.state.params,
                    outcome.state,
                    self._metadata(outcome.record, after),
                )
                self.metrics.write({"kind": "stage", **outcome.record})
                self.reporter.stage_end(outcome.record)
                state, mark = trainer.next_stage(outcome.state), after
        return [info.record for info in self.workdir.stages()]

    def _stage(self, state: TrainState, mark: Bookmark, lam: Lam) -> Outcome:
        """Trains one stage from its start, or from within it, to its end."""
        path, schedule, train = self.experiment.path, self.trainer.schedule, self.trainer.train
        tolerance = self.experiment.config.path.tolerance if path.adaptive else math.inf
        record: Record = {"stage": mark.stage, "s": lam.s, "eps": lam.eps}
        self.reporter.stage(mark.stage, lam)
        if mark.progress is None and path.adaptive and mark.stage:
            predicted = self.judge.loss(self._operator(state, lam))
            if not predicted <= tolerance:
                where = f"s={lam.s:g}, eps={lam.eps:g}"
                why = f"the last network's loss at {where} is {predicted:.1e}"
                return Outcome(state, mark, record, why)
        previous = path.at(mark.position.t) if mark.stage else lam
        has_previous = _real(mark.stage > 0)
        stage = Stage(np.int32(mark.stage), _traced(lam), _traced(previous), has_previous)
        progress = mark.progress or Progress(0, schedule.latest_anneal)
        while not progress.finished(schedule):
            began = time.monotonic()
            count = min(train.dispatch, progress.remaining(schedule))
            window = Window(np.int32(count), _real(progress.anneal_from))
            pool, drawn = self.feed(mark.stage, progress.step, train.dispatch)
            state, traced = self.trainer.dispatch(state, stage, window, pool, drawn)
            losses = {name: float(value) for name, value in traced.items()}
            if not math.isfinite(losses["total"]):
                return Outcome(state, mark, record, "the loss is not finite")
            progress = progress.after(schedule, count, losses["total"])
            mark = dataclasses.replace(
                mark,
                progress=progress,
                total_steps=mark.total_steps + count,
                seconds=mark.seconds + time.monotonic() - began,
            )
            record |= {
                "step": progress.step,
                "total_steps": mark.total_steps,
                "seconds": round(mark.seconds, 3),
                **losses,
            }
            self.metrics.write({"kind": "window", **record})
            self.reporter.window(record, progress.remaining(schedule))
            if progress.step % train.save_every == 0 and not progress.finished(schedule):
                self.workdir.save_rolling(mark.total_steps, state, self._metadata(record, mark))
        record |= self.judge.scores(self._operator(state, lam))
        if record["loss"] <= tolerance:
            return Outcome(state, mark, record, None)
        return Outcome(state, mark, record, f"the loss ended at {record['loss']:.1e}")

    def _resume(self) -> tuple[TrainState, Bookmark]:
        """The newest checkpoint's state, or a fresh one."""
        state = self.trainer.init()
        latest = self.workdir.latest()
        if latest is None:
            self.workdir.forget_after(0)
            return state, Bookmark(0, self.experiment.path.start())
        config_lib.check_problem(self.experiment.problem, latest.metadata["problem"])
        mark = Bookmark.from_json(latest.metadata["bookmark"])
        self.workdir.forget_after(mark.total_steps)
        state = self.layout.put(self.workdir.state(latest, jax.eval_shape(lambda: state)))
        return (self.trainer.next_stage(state) if mark.progress is None else state), mark

    def _operator(self, state: TrainState, lam: Lam) -> Operator:
        return Operator(self.experiment.ansatz, jax.device_get(state.params), lam)

    def _metadata(self, record: Record, mark: Bookmark) -> Record:
        return {
            "s": record["s"],
            "eps": record["eps"],
            "record": record,
            "bookmark": dataclasses.asdict(mark),
            "problem": config_lib.problem_class(self.experiment.problem),
            "config": config_lib.to_json(self.experiment.config),
            "versions": versions(),
        }


@runtime_checkable
class Feed(Protocol):
    def __call__(self, stage: int, first: int, steps: int) -> tuple[Inputs | None, Array]:
        """The pool of functions and the draws from it for some steps of a stage."""
        ...


def _feed(experiment: Experiment, layout: Layout) -> Feed:
    """Feeds the compiled program from a pool on the device where it fits, else from the host."""
    config, field = experiment.config, experiment.problem.random_field
    if field is None:
        nothing = layout.put(np.zeros((config.train.dispatch, 1), np.int32))
        return lambda stage, first, steps: (None, nothing)
    data = datasets.load(field, "train", config.data.data_dir)
    inputs = Inputs(_real(data["values"]), _real(data["coefficients"]))
    count, seed = config.train.functions, config.seed
    if sum(array.nbytes for array in inputs) <= config.data.resident_mib * 2**20:
        pool = layout.put(inputs)

        def resident(stage: int, first: int, steps: int) -> tuple[Inputs, Array]:
            drawn = draws(len(inputs.values), count, seed, stage, first, steps)
            return pool, layout.put(drawn, None, FUNCTION)

        return resident
    in_order = np.arange(config.train.dispatch * count, dtype=np.int32).reshape(-1, count)
    in_order = layout.put(in_order, None, FUNCTION)

    def streamed(stage: int, first: int, steps: int) -> tuple[Inputs, Array]:
        drawn = draws(len(inputs.values), count, seed, stage, first, steps).ravel()
        return layout.put(jax.tree.map(lambda a: a[drawn], inputs)), in_order

    return streamed


def draws(total: int, count: int, seed: int, stage: int, first: int, steps: int) -> np.ndarray:
    """Which functions the steps first … of a stage take, (steps, count): a function of the step.

    Every epoch is a fresh permutation of all `total`, its incomplete last batch dropped.
    """
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


def versions() -> dict[str, str]:
    """The versions that made a checkpoint."""
    packages = ("hop", "jax", "flax", "optax", "orbax-checkpoint", "numpy")
    return {name: importlib.metadata.version(name) for name in packages} | {
        "python": platform.python_version(),
        "platform": jax.default_backend(),
    }
