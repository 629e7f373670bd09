"""From a config to an experiment: objects, each of which checks itself against the others."""

import ast
import dataclasses
import functools
import hashlib
import inspect
import json
import os
import sys
import textwrap
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from hop import datasets
from hop.ansatz import Ansatz
from hop.config.schema import Config, make
from hop.domain import Box
from hop.errors import UserError, suggestion
from hop.homotopy.path import Path
from hop.laws import Law, Mapped, Times, samples
from hop.laws.gaussian_field import GaussianField
from hop.laws.spectral import Spectral
from hop.networks import Network
from hop.problem import Problem, with_inputs
from hop.samplers import Sampler
from hop.sharding import Layout
from hop.solvers import Solver
from hop.strategies import Plan, Strategy
from hop.windows import Marched

_ROLES: dict[str, Any] = {
    "problem": Problem,
    "network": Network,
    "strategy": Strategy,
    "solver": Solver,
}
_SHORT = 12  # digits of a digest that a config notes


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A config made into objects, checked against each other.

    Attributes:
      config: with the fields of the caller's own objects in their groups.
      ansatz: what is trained.
      answer: the solution of the problem that its parameters give; `ansatz` itself for most.
      own: the caller's own objects, by kind.
    """

    config: Config
    ansatz: Ansatz
    answer: Ansatz
    strategy: Strategy
    solver: Solver
    sampler: Sampler
    path: Path
    own: Mapping[str, Any]

    @functools.cached_property
    def plan(self) -> Plan:
        return self.strategy.plan().fitted(self.problem, self.config.train.tests)

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

    def name(self, kind: str) -> str:
        """What the config calls a part, or the class of the caller's own."""
        return getattr(self.config, kind).get("name") or type(self.own[kind]).__name__

    def classes(self) -> dict[str, Any]:
        """What a stage notes of the classes that made it.

        "problem" is always there. Of the caller's own objects, by kind, "own" are those that
        loading needs too, and "trained_by" those that it does not: a solver, and a strategy that
        leaves `trained` as it is. "code" has digests of what is written of the caller's classes.
        """
        names = {kind: _name_of(type(part)) for kind, part in self.own.items()}
        problem = names.pop("problem", _name_of(type(self.problem)))
        aside = {"solver"}
        if getattr(type(self.strategy), "trained", None) is Strategy.trained:
            aside.add("strategy")
        own = {kind: name for kind, name in names.items() if kind not in aside}
        trained_by = {kind: name for kind, name in names.items() if kind in aside}
        written = {kind: _code_of(type(part)) for kind, part in self.own.items()}
        code = {kind: digest for kind, digest in written.items() if digest}
        groups = {"own": own, "trained_by": trained_by, "code": code}
        return {"problem": problem} | {key: found for key, found in groups.items() if found}


def build(
    config: Config,
    problem: Problem | None = None,
    network: Network | None = None,
    strategy: Strategy | None = None,
    solver: Solver | None = None,
    *,
    law_of: Callable[[str], Law] | None = None,
) -> Experiment:
    """Makes the objects of a config.

    Args:
      config: the experiment. That of the result says which samples its inputs are.
      problem, network, strategy, solver: objects of the caller's, each for a group of the config
        that names none.
      law_of: gives the law of an input, by its name, whose samples the config names; by default
        they are read in the folder of datasets.

    Raises:
      UserError: fields that do not fit each other, an object that is not of its role, or samples
        that are not there.
      RunError: samples that are damaged.
    """
    given = {"problem": problem, "network": network, "strategy": strategy, "solver": solver}
    own = {kind: part for kind, part in given.items() if part is not None}
    for kind in own:
        _check_own(kind, own[kind], getattr(config, kind))
    fields: Any = {k: options_of(part) for k, part in own.items() if not getattr(config, k)}
    config = dataclasses.replace(config, **fields)  # so that a checkpoint notes them

    def made_of(kind: str) -> Any:
        return own[kind] if kind in own else make(kind, getattr(config, kind))

    _check_roles(equation := made_of("problem"))
    config, equation = _with_samples(config, equation, law_of)
    how: Strategy = made_of("strategy")
    seen = config.ansatz
    ansatz, answer = how.trained(Ansatz(equation, made_of("network"), seen.harmonics, seen.eps))
    if seen.windows > 1:
        answer = Marched.of(answer, seen.windows)
        ansatz = answer.first
    made = Experiment(
        config,
        ansatz,
        answer,
        how,
        solver=made_of("solver"),
        sampler=how.sampler(config.train.points_from()),
        path=how.path(config.path.build()),
        own=own,
    )
    plan = made.plan
    for part in (ansatz, *plan.terms, made.solver, plan.predictor, made.sampler):
        if part is not None:
            part.check(made)
    _check_functions(made)
    return made


def _check_own(kind: str, part: Any, options: Mapping[str, Any]) -> None:
    """Refuses an object that is not of its role, or not the one of the config."""
    role = _ROLES[kind]
    if isinstance(part, type):
        raise UserError(f"{kind}={part.__name__} is a class; give an object, {part.__name__}(…)")
    if not isinstance(part, role):
        names = [name for name in (*vars(role), *role.__annotations__) if name[0] != "_"]
        missing = [name for name in names if not hasattr(part, name)]
        lacks = f"has no {', '.join(missing)} and " if kind != "problem" else ""
        base = "hop.Problem" if kind == "problem" else f"{role.__module__}.{role.__name__}"
        raise UserError(
            f"{kind}={part!r} {lacks}must be an object of a class that derives from {base}"
        )
    if "name" in options:
        raise UserError(
            f"the config names the {kind} {options['name']!r}; leave the object {kind}= out, or "
            f'make the config without: hop.config.experiment({kind}="", …)'
        )
    fields = options_of(part)
    for field, value in options.items():
        if field in fields and _plain(fields[field]) != _plain(value):
            raise UserError(
                f"this {kind} object has {field}={fields[field]!r}, and the config "
                f"{kind}.{field}={value!r}; give an object with that value"
            )
    try:
        hash(part)
    except TypeError as error:
        raise UserError(f"the {kind} object is not hashable; make it a frozen dataclass") from error


def _plain(value: Any) -> Any:
    """As a stored config has it, whose tuples are lists."""
    return json.loads(json.dumps(value))


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
        what = "several numbers" if own.shape else "a number"
        if own.domain is not None:
            what = "made of another law by a map"
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
    if made.config.data.modes:
        _check_modes(made)
    parts = made.config.train.accumulate
    whole = [term.name for term in made.plan.terms if not term.in_parts]
    if parts > 1 and whole and not made.problem.inputs:
        raise UserError(
            f"config.train.accumulate={parts}: the loss ({whole[0]}) weighs all points together, "
            "and there are no functions to split; use 1"
        )


def _check_modes(made: Experiment) -> None:
    """Refuses the modes of a law in place of draws, where they do not stand for these."""
    laws, count = made.problem.inputs, made.config.train.functions
    kinds = ", ".join(type(law).__name__ for law in laws.values())
    if len(laws) != 1 or not all(
        isinstance(law, GaussianField) and not law.mean for law in laws.values()
    ):
        raise UserError(
            "config.data.modes is for problems of one input, a GaussianField of mean 0, and this "
            f"has {kinds or 'none'}; set config.data.fresh=True instead"
        )
    ((name, law),) = laws.items()
    if name not in getattr(made.ansatz.network, "linear", ()):
        raise UserError(
            f"config.data.modes is for networks that are linear in {name}; set "
            f"config.network.linear=('{name}',), or config.data.fresh=True instead"
        )
    if made.config.data.fresh:
        raise UserError(
            "config.data.fresh and config.data.modes are both set; leave one of them out"
        )
    if count < law.size:
        raise UserError(
            f"config.train.functions={count} must hold the {law.size} modes of {name}; set it to "
            f"{law.size} or more"
        )


def options_of(part: Any) -> dict[str, Any]:
    """The fields of an object that a config can hold: numbers, words, tuples of these."""
    fields: Any = dataclasses.fields(part) if dataclasses.is_dataclass(part) else ()

    def is_plain(value: Any) -> bool:
        if isinstance(value, tuple):
            return all(map(is_plain, value))
        return isinstance(value, bool | int | float | str)

    found = {field.name: getattr(part, field.name) for field in fields}
    return {name: value for name, value in found.items() if is_plain(value)}


def _name_of(cls: type) -> str:
    """MODULE.CLASS; of a class of the script that runs, the module that its file would be."""
    module = cls.__module__
    if module == "__main__":
        file = getattr(sys.modules[module], "__file__", None)  # none in a notebook
        module = os.path.basename(file).removesuffix(".py") if file else module
    return f"{module}.{cls.__qualname__}"


def _code_of(cls: type) -> str:
    """A digest of a class as it is written, with its bases outside `hop`, comments aside.

    It is "" where they are not in a file.
    """
    known = {"hop", *sys.stdlib_module_names}
    own = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in known]
    try:
        sources = [ast.parse(textwrap.dedent(inspect.getsource(base))) for base in own]
    except (OSError, TypeError, SyntaxError):
        return ""
    text = "\n".join(map(ast.unparse, sources))
    return hashlib.sha256(text.encode()).hexdigest()[:16] if own else ""


def needed(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The classes, by kind, that a stage noted of the problem and what else loading needs."""
    return {"problem": metadata["problem"], **metadata.get("own", {})}


def classes(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The classes, by kind, that a stage noted of the problem and of all objects of one's own."""
    return {**needed(metadata), **metadata.get("trained_by", {})}


def check_classes(own: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Refuses objects that are not of the classes, or subclasses of them, that a stage noted.

    Of a class that is written otherwise than it was then, it warns.

    Args:
      own: the objects by kind; None for none.
      metadata: the stage's.
    """
    for kind, name in classes(metadata).items():
        part = own.get(kind)
        family = type(part).__mro__
        older = {f"__main__.{c.__qualname__}" for c in family}  # versions noted no file
        if part is not None and name not in older | {_name_of(c) for c in family}:
            hint = ", on the command line its --problem=FILE.py" * (kind == "problem")
            raise UserError(
                f"this was trained with a {kind} of class {name}; pass such an object as "
                f"{kind}={hint}"
            )
        digest = metadata.get("code", {}).get(kind)
        same = digest and part is not None and _name_of(type(part)) == name
        if same and _code_of(type(part)) not in ("", digest):
            warnings.warn(
                f"the class {name} has changed since this was trained, so answers can be wrong; "
                "train again in another workdir, or give the class as it was",
                stacklevel=3,
            )
