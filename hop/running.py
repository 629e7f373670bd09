"""`hop.train`: training from Python, in a script or a notebook."""

import os
from collections.abc import Mapping
from typing import Any

from hop import config as config_lib
from hop import training
from hop.config import Config
from hop.console import Console
from hop.networks import Network
from hop.operators import Operator, load
from hop.problem import Problem
from hop.solvers import Solver
from hop.strategies import Strategy
from hop.training import Reporter


def train(
    config: Any,
    workdir: str | os.PathLike,
    problem: Problem | None = None,
    labels: Mapping[str, Any] | str | os.PathLike | None = None,
    *,
    network: Network | None = None,
    strategy: Strategy | None = None,
    solver: Solver | None = None,
    reporter: Reporter | None = None,
) -> Operator:
    """Trains an experiment in a workdir, from where the workdir's checkpoints end.

    Args:
      config: a ConfigDict, as of `hop.config.experiment`, or a `hop.config.Config`.
      workdir: its folder; it is created if need be. `metrics.jsonl` there holds the records.
      problem, network, strategy, solver: objects of your own, each for a group of the config that
        names none (`hop.config.experiment(network="")`). Their plain fields are noted, and a
        workdir is held to them.
      labels: solutions that are known, to train on beside the equation, or alone with the strategy
        "supervised": a mapping of arrays, or an `.npz` file of them (`hop.labels`).
      reporter: hears of the progress; by default it is printed.

    Returns:
      The operator of the last stage; `hop.load` gives those of the others.

    Raises:
      UserError: the config cannot run here, or differs from the workdir's; nothing is written.
      RunError: a stage failed; finished stages and the last rolling checkpoint are kept.
    """
    parsed = config if isinstance(config, Config) else config_lib.parse(config.to_dict())
    own: dict[str, Any] = {"problem": problem, "network": network, "strategy": strategy}
    if reporter is not None:
        training.train(parsed, workdir, reporter, labels=labels, solver=solver, **own)
    else:
        with Console() as console:
            training.train(parsed, workdir, console, labels=labels, solver=solver, **own)
    return load(workdir, **own)
