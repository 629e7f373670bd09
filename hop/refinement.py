"""From a trained stage to an ε, or an (s, ε), that nobody trained.

The path has two places: the trained stage nearest to the one asked for, and that one. A workdir of
its own begins with a copy of the trained stage and is then trained as any other, so it can be
resumed, evaluated and published, and refined again.
"""

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any

import jax

from hop import ambient, training
from hop import config as config_lib
from hop import labels as labels_lib
from hop.checkpoints import StageInfo, Store, Workdir
from hop.config import Config
from hop.errors import UserError
from hop.networks import Network
from hop.problem import Lam, Problem
from hop.sharding import is_chief
from hop.solvers import Solver
from hop.strategies import Strategy

_MUCH = 5.0  # times the start's error, which is told


def nearest(stages: Sequence[StageInfo], eps: float, s: float | None) -> StageInfo:
    """The stage before (s, ε) on a path, as near as can be: by s, then by the ratio of the ε.

    A stage at the very place is passed over, so that what made it can be repeated. Without s it is
    that of whichever stage is nearest in ε.

    Raises:
      UserError: every stage lies beyond it: paths go down in s and ε.
    """
    above = [
        i
        for i in stages
        if i.eps >= eps * (1 - 1e-6)
        and (s is None or i.s >= s)
        and not (math.isclose(i.eps, eps, rel_tol=1e-6) and (s is None or i.s == s))
    ]
    if not above:
        asked = f"eps={eps:g}" + ("" if s is None else f" and s={s:g}")
        have = "; ".join(f"s={i.s:g}, eps={i.eps:g}" for i in stages)
        raise UserError(
            f"a path goes down, and no stage is above {asked}: there are {have}; "
            "train that one from a larger eps with 'hop train'"
        )
    return min(above, key=lambda i: (i.s - (i.s if s is None else s), math.log(i.eps / eps)))


def config_for(source: str | os.PathLike, eps: float, s: float | None = None) -> Config:
    """The config of a refinement: the source's own, from its nearest stage to (s, ε).

    The source is a workdir or a pretrained model's name; s by default that of the nearest stage.

    Raises:
      UserError: no stage to start from.
    """
    if not (math.isfinite(eps) and eps > 0):
        raise UserError(f"eps={eps!r} must be positive")
    store = Store.find(source)
    start = nearest(store.stages(), eps, s)
    end = Lam(start.s if s is None else s, eps)
    config = config_lib.stored(start.metadata["config"])
    config = dataclasses.replace(config, labels=config_lib.LabelsConfig())  # of another ε
    path = dataclasses.replace(config.path, s=(start.s, end.s), eps=(start.eps, end.eps))
    return dataclasses.replace(config, path=path)


def refine(
    source: str | os.PathLike,
    config: Config,
    workdir: str | os.PathLike,
    reporter: training.Reporter,
    command: str = "",
    problem: Problem | None = None,
    network: Network | None = None,
    strategy: Strategy | None = None,
    solver: Solver | None = None,
    **options: Any,
) -> list[training.Record]:
    """Trains a refinement in a workdir, or goes on where that stopped.

    Args:
      source: a workdir or a pretrained model's name.
      config: of `config_for`; all but problem, network, precision and the path's start may differ.
      workdir, reporter, command, options: as in `hop.training.train`.
      problem, network, strategy, solver: objects of your own, as there.

    Returns:
      A record per stage, that of the start first.

    Raises:
      UserError, RunError: as in `hop.training.train`; the start is damaged, or the config is not of
        the source's problem, network and precision.
    """
    own: Any = {"problem": problem, "network": network, "strategy": strategy, "solver": solver}
    experiment = config_lib.build(config, **own)
    experiment, _ = labels_lib.prepare(experiment, options.get("labels"))
    config = experiment.config
    layout = experiment.layout()
    training.check_batch(experiment, layout)
    store, place = Store.find(source), experiment.path.places[0]
    left = config_lib.stored(store.stages()[-1].metadata["config"]).labels.digest
    if left and not config.labels.digest:
        reporter.message(
            f"the labels of {source} are left out, as another eps has other solutions; give those "
            "of this one, or the same for the same eps, by --config.labels.file=labels.npz"
        )
    config_lib.check_alike(
        config_lib.stored(store.config()),
        experiment.config,
        f"a refinement goes on with the operator of {source}, and this has another {{what}} "
        "({one}, and here {other}); leave that as it is",
    )
    starts = [i for i in store.stages() if (i.s, i.eps) == (place.s, place.eps)]
    if not starts:
        raise UserError(
            f"the path starts at s={place.s:g}, eps={place.eps:g}, where {source} holds no stage; "
            "leave config.path alone, it follows from --eps and --s"
        )
    (start,) = starts
    config_lib.check_classes({"problem": problem, "network": network}, start.metadata)
    with config.precision():
        like = jax.eval_shape(experiment.ansatz.init, ambient.key(0))
        params = store.params(start, like)
    with Workdir.open(workdir, is_chief()) as folder:
        folder.adopt(config_lib.to_json(experiment.config), config_lib.completed)
        folder.keep(experiment.problem.inputs)
        if folder.latest() is None:
            with config.precision():
                state = training.Program(experiment, layout).begin(params)
                first = start.metadata["bookmark"].get("first", math.inf)
                position = experiment.path.accept(experiment.path.start())
                mark = training.Bookmark(1, position, first=first)
                theirs = ("digests", "own", "trained_by", "code")
                kept = {k: v for k, v in start.metadata.items() if k not in theirs}
                kept |= {"bookmark": dataclasses.asdict(mark), **experiment.classes()}
                kept["record"] = {**start.record, "stage": 0, "total_steps": 0}
                folder.save_stage(0, state.params, state, kept)
    records = training.train(config, workdir, reporter, command=command, **own, **options)
    before, after = (records[k].get("l2re") for k in (0, -1))
    if before and after and after > _MUCH * before:
        reporter.message(
            f"the error grew {after / before:.0f} times, from {before:.1e} at "
            f"eps={records[0]['eps']:g} to {after:.1e}; refine to an eps in between first, or take "
            f"more steps, --config.train.steps={2 * config.train.steps}"
        )
    return records
