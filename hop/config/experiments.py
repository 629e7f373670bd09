"""From a config to an experiment: objects, each of which checks itself against the others."""

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from hop import datasets
from hop.ansatz import Ansatz
from hop.config.schema import Config, make
from hop.domain import Box
from hop.errors import UserError, suggestion
from hop.homotopy.path import Path
from hop.laws import Law, Mapped, Times, samples
from hop.laws.spectral import Spectral
from hop.problem import Problem, with_inputs
from hop.samplers import Sampler
from hop.sharding import Layout
from hop.solvers import Solver
from hop.strategies import Plan, Strategy

_SHORT = 12  # digits of a digest that a config notes


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


def build(
    config: Config,
    problem: Problem | None = None,
    law_of: Callable[[str], Law] | None = None,
) -> Experiment:
    """Makes the objects of a config.

    Args:
      config: the experiment. That of the result says which samples its inputs are.
      problem: a problem object of the caller's, instead of the one that the config names.
      law_of: gives the law of an input, by its name, whose samples the config names; by default
        they are read in the folder of datasets.

    Raises:
      UserError: fields that do not fit each other, or samples that are not there.
      RunError: samples that are damaged.
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
    config, problem = _with_samples(config, problem, law_of)
    try:
        hash(problem)
    except TypeError as error:
        raise UserError("the problem object is not hashable; make it a frozen dataclass") from error
    network, strategy = make("network", config.network), make("strategy", config.strategy)
    ansatz, answer = strategy.trained(Ansatz(problem, network, config.ansatz.harmonics))
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


def _with_samples(
    config: Config, problem: Problem, law_of: Callable[[str], Law] | None
) -> tuple[Config, Problem]:
    """The problem with the samples that the config names, and the config with all that it has.

    Raises:
      UserError: samples that do not fit the law in whose place they come, or are others than those
        that the config names.
    """
    asked, own = config.data.samples, problem.inputs
    laws = {}
    for name, word in asked.items():
        if name not in own:
            raise UserError(
                f"config.data.samples.{name}={word!r}: the problem has no such input"
                f"{suggestion(name, list(own)) if own else ', it has none'}"
            )
        called, _, _ = word.partition("@")
        if called:
            law = law_of(name) if law_of else datasets.kept(called, config.data.data_dir)
            laws[name] = _fitting(name, own[name], law)
    problem = with_inputs(problem, laws)
    known = {name: samples.behind(law) for name, law in problem.inputs.items()}
    found = {k: f"{law.name}@{law.digest[:_SHORT]}" for k, law in known.items() if law is not None}
    for name, word in asked.items():
        have = found.get(name, "")
        if word not in (have, have.partition("@")[0]):
            raise UserError(
                f"config.data.samples.{name}={word!r}, and the functions that are here are "
                f"{have or 'no samples'!r}; give those that the config names, or another workdir"
            )
    if found == asked:
        return config, problem
    return dataclasses.replace(
        config, data=dataclasses.replace(config.data, samples=found)
    ), problem


def _fitting(name: str, own: Law, law: Law) -> Law:
    """Samples in place of the law that a problem has of an input."""
    if own.domain is None or isinstance(own, Mapped | Times):
        what = "a number" if own.domain is None else "made of another law by a map"
        raise UserError(
            f"config.data.samples.{name}: this input of the problem is {what}, and no samples can "
            "take its place; give a problem of your own a law of hop.Samples"
        )
    assert law.domain is not None
    mine, wanted = ((box.lower, box.upper) for box in (law.domain, own.domain))
    if mine != wanted:
        ends = ",".join(f"{low},{high}" for low, high in zip(*wanted, strict=True))
        raise UserError(
            f"config.data.samples.{name}: these functions live on the box from {mine[0]} to "
            f"{mine[1]}, and the problem's on that from {wanted[0]} to {wanted[1]}; import them "
            f"with --domain={ends}"
        )
    if isinstance(own, Spectral) and isinstance(law, Spectral):
        have, ends = (",".join(each.basis.ends) for each in (law, own))
        if have != ends:
            raise UserError(
                f"config.data.samples.{name}: the ends of these functions are {have}, and the "
                f"problem's are {ends}; import them with --ends={ends}"
            )
    if law.axes == own.axes:
        return law
    return dataclasses.replace(law, axes=own.axes)  # type: ignore[type-var]


def _check_functions(made: Experiment) -> None:
    """Refuses to draw functions, or to split them, where there are none."""
    if made.config.data.fresh and not made.problem.inputs:
        raise UserError("config.data.fresh: this problem has no input functions; leave it out")
    if made.config.data.fresh and made.config.data.samples:
        raise UserError(
            f"config.data.fresh: {' and '.join(made.config.data.samples)} of this problem are "
            "samples, of which no new ones can be drawn; leave it out"
        )
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
