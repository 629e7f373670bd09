"""Feeds: the input functions of every step, from their law, from the device or from the host."""

import functools
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jax import Array

from hop import ambient, datasets
from hop.ansatz import Functions, Inputs
from hop.config import Experiment
from hop.errors import UserError
from hop.laws import Law
from hop.laws.gaussian_field import GaussianField
from hop.sharding import FUNCTION, POINT, Layout, is_chief, wait_for_all
from hop.splits import NAME
from hop.training.program import real
from hop.training.records import Reporter

_FRESH = 2**31 - 1  # sets the keys of fresh functions apart from the datasets', one per split


@runtime_checkable
class Feed(Protocol):
    """What gives the compiled program its input functions."""

    def __call__(self, stage: int, first: int, steps: int) -> tuple[Inputs, Array | None]:
        """The `pool` and `draws` of `Program.dispatch` for some steps of a stage."""


def feed(experiment: Experiment, layout: Layout) -> Feed:
    """Feeds the compiled program from the law itself, from the device, or else from the host."""
    config, laws = experiment.config, experiment.problem.inputs
    if not laws:
        return lambda stage, first, steps: ({}, None)
    count, seed, fixed = config.train.functions, config.seed, not experiment.solver.redraws
    shared = layout.sharding(None, FUNCTION)
    if config.data.fresh:

        @functools.partial(jax.jit, out_shardings=shared)
        def sample(stage: Array, steps: Array) -> Inputs:
            return fresh(laws, count, seed, stage, steps)

        def from_law(stage: int, first: int, steps: int) -> tuple[Inputs, None]:
            taken = np.zeros(steps) if fixed else np.arange(first, first + steps)
            return sample(np.int32(stage), taken.astype(np.int32)), None

        return from_law
    if config.data.modes:
        pool = layout.put(modes(laws, count))
        every = np.tile(np.arange(count, dtype=np.int32), (config.train.dispatch, 1))

        def always(stage: int, first: int, steps: int) -> tuple[Inputs, Array]:
            return pool, layout.put(every[:steps], None, FUNCTION)

        return always
    total = datasets.count_of(laws, "train")
    loaded = datasets.load_all(laws, "train", config.data.data_dir)
    inputs = {k: Functions(real(v["values"]), real(v["coefficients"])) for k, v in loaded.items()}
    if sum(a.nbytes for a in jax.tree.leaves(inputs)) <= config.data.resident_mib * 2**20:
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


def fresh(laws: Mapping[str, Law], count: int, seed: int, stage: Any, steps: Array) -> Inputs:
    """`count` new functions for each of some steps of a stage: arrays (steps, count, …).

    They are a function of (laws, seed, stage, step) alone, and no dataset holds them.
    """
    root = jax.random.fold_in(jax.random.fold_in(ambient.key(seed), _FRESH), stage)

    def drawn(law: Law, key: Array) -> Functions:
        functions = law.sample(key, count)
        return Functions(law.values(functions), functions.coefficients)

    def of(step: Array) -> Inputs:
        first = jax.random.fold_in(root, step)
        keys = [first, *(jax.random.fold_in(first, k) for k in range(1, len(laws)))]
        return {name: drawn(laws[name], key) for name, key in zip(laws, keys, strict=True)}

    return jax.vmap(of)(steps)


def modes(laws: Mapping[str, Law], count: int) -> Inputs:
    """The modes of the one law, as `count` functions."""
    ((name, law),) = laws.items()
    assert isinstance(law, GaussianField)
    with ambient.on_cpu():
        found = law.principal(count)
        values = law.values(found)
    return {name: Functions(real(values), real(found.coefficients))}


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


def provide(experiment: Experiment, reporter: Reporter) -> None:
    """Builds datasets that are missing, in one process of the job, and says so."""
    data_dir = experiment.config.data.data_dir
    for law in filter(datasets.has_files, experiment.problem.inputs.values()):
        if is_chief() and not datasets.is_built(law, data_dir):
            folder = datasets.folder(law, data_dir)
            reporter.message(f"building the dataset {NAME}/{law.name} in {folder}")
            datasets.build(law, data_dir, reporter.building(law.name))
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
    if not problem.inputs:
        return
    check("functions", train.functions, FUNCTION)
    available = datasets.count_of(problem.inputs, "train")
    from_law = experiment.config.data.fresh or experiment.config.data.modes
    if train.functions > available and not from_law:
        or_fresh = "" if experiment.config.data.samples else ", or config.data.fresh=True"
        raise UserError(
            f"config.train.functions={train.functions} exceeds the {available} "
            f"training functions; use at most {available}{or_fresh}"
        )
