"""From a config to an experiment: objects, each of which checks itself against the others."""

import dataclasses
import os
import sys
from collections.abc import Mapping
from typing import Any

from hop.ansatz import Ansatz
from hop.config.schema import Config, make
from hop.domain import Box
from hop.errors import UserError
from hop.homotopy.path import Path
from hop.laws import Law
from hop.problem import Problem
from hop.samplers import Sampler
from hop.sharding import Layout
from hop.solvers import Solver
from hop.strategies import Plan, Strategy


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A config made into objects, checked against each other.

    Attributes:
      ansatz: what is trained.
      answer: the solution of the problem that its parameters give; `ansatz` itself for most.
    """

    config: Config
    ansatz: Ansatz
    answer: Ansatz
    strategy: Strategy
    solver: Solver
    sampler: Sampler
    path: Path

    @property
    def plan(self) -> Plan:
        return self.strategy.plan()

    def layout(self) -> Layout:
        """The mesh of this job's devices."""
        return self.config.mesh.layout(bool(self.problem.inputs))

    @property
    def accumulates_over(self) -> str:
        """What `config.train.accumulate` splits: "points" where it can, or "functions"."""
        return "points" if self.plan.pointwise else "functions"

    @property
    def problem(self) -> Problem:
        return self.answer.problem


def build(config: Config, problem: Problem | None = None) -> Experiment:
    """Makes the objects of a config.

    Args:
      config: the experiment.
      problem: a problem object of the caller's, instead of the one that the config names.

    Raises:
      UserError: fields that do not fit each other.
    """
    if problem is None:
        problem = make("problem", config.problem)
    elif not isinstance(problem, Problem):
        raise UserError(
            f"problem={problem!r} must be an object of a class that derives from hop.Problem"
        )
    _check_roles(problem)
    if "name" not in config.problem:
        own = options_of(problem)
        for field, value in config.problem.items():
            if field in own and own[field] != value:
                raise UserError(
                    f"this problem object has {field}={own[field]!r}, and the config "
                    f"problem.{field}={value!r}; give an object with that value"
                )
    try:
        hash(problem)
    except TypeError as error:
        raise UserError("the problem object is not hashable; make it a frozen dataclass") from error
    network, strategy = make("network", config.network), make("strategy", config.strategy)
    ansatz, answer = strategy.trained(
        Ansatz(problem, network, config.ansatz.harmonics, config.ansatz.eps)
    )
    made = Experiment(
        config,
        ansatz,
        answer,
        strategy,
        solver=make("solver", config.solver),
        sampler=strategy.sampler(config.train.points_from()),
        path=strategy.path(config.path.build()),
    )
    plan = made.plan
    for part in (ansatz, *plan.terms, made.solver, plan.predictor, made.sampler):
        if part is not None:
            part.check(made)
    _check_functions(made)
    return made


def _check_roles(problem: Problem) -> None:
    name, laws, domain = type(problem).__name__, problem.inputs, getattr(problem, "domain", None)
    if not isinstance(domain, Box):
        raise UserError(f"{name}.domain is {domain!r} and must be a hop.Box")
    if not isinstance(laws, Mapping) or not all(isinstance(v, Law) for v in laws.values()):
        raise UserError(
            f"{name}.inputs is {laws!r} and must be a law by name, as "
            '{"u0": hop.GaussianField(…)}, or {}'
        )
    for what, names in (("unknowns", problem.unknowns), ("derivatives", problem.derivatives)):
        if not names or isinstance(names, str) or len(set(names)) < len(names):
            raise UserError(f"{name}.{what} is {names!r} and must be a tuple of different names")


def _check_functions(made: Experiment) -> None:
    """Refuses to draw functions, or to split them, where there are none."""
    if made.config.data.fresh and not made.problem.inputs:
        raise UserError("config.data.fresh: this problem has no input functions; leave it out")
    parts = made.config.train.accumulate
    whole = [term.name for term in made.plan.terms if not term.pointwise]
    if parts > 1 and whole and not made.problem.inputs:
        raise UserError(
            f"config.train.accumulate={parts}: strategy.{whole[0]} weighs all points together, and "
            "there are no functions to split; use 1"
        )


def options_of(problem: Problem) -> dict[str, Any]:
    """The fields of a problem object that a config can hold: numbers, words, tuples of these."""
    fields: Any = dataclasses.fields(problem) if dataclasses.is_dataclass(problem) else ()

    def is_plain(value: Any) -> bool:
        if isinstance(value, tuple):
            return all(map(is_plain, value))
        return isinstance(value, bool | int | float | str)

    found = {field.name: getattr(problem, field.name) for field in fields}
    return {name: value for name, value in found.items() if is_plain(value)}


def problem_class(problem: Problem) -> str:
    """What a checkpoint notes of its problem, beside the config."""
    return _name_of(type(problem))


def _name_of(cls: type) -> str:
    """MODULE.CLASS; of a class of the script that runs, the module that its file would be."""
    module = cls.__module__
    if module == "__main__":
        file = getattr(sys.modules[module], "__file__", None)  # none in a notebook
        module = os.path.basename(file).removesuffix(".py") if file else module
    return f"{module}.{cls.__qualname__}"


def check_problem(problem: Problem, trained: str) -> None:
    """Refuses a problem object that is not of the class, or a subclass, that a stage noted."""
    family = type(problem).__mro__
    older = {f"__main__.{c.__qualname__}" for c in family}  # versions noted no file
    if trained not in older | {_name_of(c) for c in family}:
        raise UserError(
            f"this was trained with a problem of class {trained}; pass such an object as problem=, "
            "on the command line its --problem=FILE.py"
        )
