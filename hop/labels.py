"""Labels: solutions of some functions, computed or observed, to train on.

They add a term to the loss (`hop.homotopy.terms.labels`), beside the equation or, with
`strategy.name=supervised`, alone. They are a mapping of arrays, or an `.npz` file of them, as
`np.savez("labels.npz", u0=u0, x=x, u=op(u0, x))` writes it:

* each input by its name: (n, m) values at the law's sensors, numbers (n,);
* "x": points (q, d), the same for all functions;
* each unknown by its name: (n, q), or (q,) without inputs, with NaN where nothing is known; an
  unknown that is missing is nowhere known;
* "eps", optional: the ε that the solutions belong to, a number or (n,); by default the last of the
  path. A function's labels act in the stages of its ε, whatever their s;
* "std", optional: that of the noise, in units of u: a number, (q,) or (n, q); by default 1.
"""

import dataclasses
import hashlib
import os
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hop import ambient, inference
from hop.ansatz import Functions, Inputs
from hop.config import Config, Experiment
from hop.errors import RunError, UserError, suggestion
from hop.homotopy.terms.labels import Labelled
from hop.operators import checked_points, finite, numbers
from hop.problem import Lam, Problem, Referenced, reference
from hop.sharding import Layout

Arrays = Mapping[str, np.ndarray]

_BESIDE = ("x", "eps", "std")  # what labels hold beside inputs and unknowns
_MATCH = 1e-6  # of an ε to that of a place, relative
_COMPARED = 2  # functions of each ε whose labels are compared with the reference
_FAR_OFF = 0.5  # a relative distance that no noise explains


@dataclasses.dataclass(frozen=True, eq=False)
class Labelling:
    """Labels that have been checked.

    Attributes:
      labelled: all of them, on the host.
      eps: (n,), the ε of each function's solution.
    """

    labelled: Labelled
    eps: np.ndarray

    def __str__(self) -> str:
        """How many there are and at which ε, in words."""
        n, eps = len(self.eps), ", ".join(f"{e:g}" for e in sorted({*self.eps.tolist()})[::-1])
        whose = f"{n} labelled function{'s' * (n > 1)}" if self.labelled.inputs else "labels"
        return f"{whose} at eps={eps}"

    def put(self, layout: Layout) -> "Labelling":
        """The same on every device of a mesh."""
        return dataclasses.replace(self, labelled=layout.put(self.labelled))

    def at(self, lam: Lam) -> Labelled:
        """The labels, with those of a stage's ε marked."""
        here = np.isclose(self.eps, lam.eps, rtol=_MATCH, atol=0)
        return self.labelled._replace(here=here.astype(self.labelled.here.dtype))


def prepare(experiment: Experiment, given: Any = None) -> tuple[Experiment, Labelling | None]:
    """The experiment with the digest of its labels in its config; and the labels, if there are any.

    Args:
      experiment: what is to be trained.
      given: a mapping of arrays, the path of an `.npz` file, or None for the file that the config
        names.

    Raises:
      UserError: labels that do not fit the experiment, or are others than `config.labels.digest`
        says; or none, where the loss has no other term.
    """
    arrays = _read(experiment.config, given)
    found = "" if arrays is None else digest(arrays)
    named = experiment.config.labels
    if named.digest not in ("", found):
        have = f"these have {found!r}" if found else "there are none"
        raise UserError(
            f"config.labels.digest={named.digest!r} asks for other labels: {have}; give those, or "
            "set it to ''"
        )
    noted = dataclasses.replace(named, digest=found)
    config = dataclasses.replace(experiment.config, labels=noted)
    if arrays is None and not experiment.plan.terms:
        raise UserError(
            f"strategy {experiment.name('strategy')!r} learns from labels alone; give some, as "
            "config.labels.file=labels.npz, in Python labels="
        )
    labelling = None if arrays is None else check(arrays, experiment)
    return dataclasses.replace(experiment, config=config), labelling


def _read(config: Config, given: Any) -> Arrays | None:
    named = config.labels
    if given is not None and named.file:
        raise UserError(
            f"labels= is given and config.labels.file={named.file!r} as well; leave one of them out"
        )
    source = named.file or None if given is None else given
    if source is None:
        return None
    if isinstance(source, str | os.PathLike):
        kind = 'an .npz file of arrays of real numbers; write it with numpy.savez("labels.npz", …)'
        return inference.arrays(os.fspath(source), kind)
    if not isinstance(source, Mapping):
        raise UserError(
            f"labels of type {type(source).__name__} must be a mapping of arrays by name, or the "
            "path of an .npz file"
        )
    return {
        str(name): np.asarray(numbers(values, f"labels: {name}")) for name, values in source.items()
    }


def digest(arrays: Arrays) -> str:
    """12 digits of the SHA-256 of all names and numbers, whatever their float types."""
    whole = hashlib.sha256()
    for name, given in sorted(arrays.items()):
        values = np.asarray(given, np.float64)
        whole.update(f"{name}{values.shape}".encode())
        whole.update(np.where(np.isnan(values), np.nan, values).tobytes())  # NaNs are of many bits
    return whole.hexdigest()[:12]


def check(arrays: Arrays, experiment: Experiment) -> Labelling:
    """The labels of an experiment, in its float type.

    Raises:
      UserError: what does not fit, with the remedy.
    """
    try:
        return _checked({k: np.asarray(v, np.float64) for k, v in arrays.items()}, experiment)
    except UserError as error:
        raise UserError(f"labels: {error}") from error


def _checked(arrays: Arrays, experiment: Experiment) -> Labelling:
    problem, ansatz = experiment.problem, experiment.ansatz
    if (windows := experiment.config.ansatz.windows) > 1:
        raise UserError(
            f"they are of all times, and config.ansatz.windows={windows} trains a window; use 1"
        )
    if ansatz is not experiment.answer:
        name = experiment.name("strategy")
        raise UserError(
            f"strategy {name!r} trains another function than the solution; use "
            "strategy.name=curriculum"
        )
    if ansatz.eps:
        raise UserError("they are of one eps each; leave them, or config.ansatz.eps, out")
    _check_names(arrays, problem)
    dtype = np.dtype(experiment.config.train.precision)
    x = checked_points(arrays["x"], problem).astype(dtype)
    values = _inputs(arrays, problem, dtype)
    n = next(map(len, values.values()), 1)
    y = _solutions(arrays, problem, n, len(x))
    known = ~np.isnan(y)
    if not known.any():
        raise UserError("no value of a solution is known, all are NaN; give one at least")
    y = finite(np.where(known, y, 0.0).reshape(-1, n * len(x)), dtype, name="u").reshape(y.shape)
    rate = np.where(known, 1 / _std(arrays, problem, n, len(x)), 0.0).astype(dtype)
    with ambient.on_cpu():
        given = {name: jnp.asarray(v, np.float64) for name, v in values.items()}
        fitted = jax.device_get(ansatz.inputs(given))
    inputs = {k: Functions(values[k], f.coefficients.astype(dtype)) for k, f in fitted.items()}
    eps = _eps(arrays, experiment, n)
    _compare(experiment, inputs, x, np.where(known, y, np.nan), eps)
    labelled = Labelled(inputs, x, _by_point(y), _by_point(rate), np.zeros(n, dtype))
    return Labelling(labelled, eps)


def _compare(
    experiment: Experiment, inputs: Inputs, x: np.ndarray, y: np.ndarray, eps: np.ndarray
) -> None:
    """Warns where the first solutions are far from the reference, if the problem has one.

    Args:
      inputs: of all functions.
      x: (q, d).
      y: (c, n, q), NaN where nothing is known.
      eps: (n,).
    """
    problem = experiment.problem
    if not isinstance(problem, Referenced) or type(problem).__module__.startswith("hop."):
        return  # those that ship may take long
    for value in np.unique(eps):
        rows = np.flatnonzero(eps == value)[:_COMPARED]
        place = next(p for p in experiment.path.places if np.isclose(p.eps, value, rtol=_MATCH))
        fields = {
            name: problem.inputs[name].field(np.asarray(f.coefficients[rows], np.float64))
            for name, f in inputs.items()
        }
        try:
            right = reference(problem, fields, x.astype(np.float64), Lam(float(place.s), value))
        except (RunError, UserError):
            return
        for c, name in enumerate(problem.unknowns):
            mine, true = y[c, rows], right.reshape(len(y), -1, len(x))[c]
            there = ~np.isnan(mine)
            size = np.linalg.norm(true[there])
            off = np.linalg.norm((mine - true)[there])
            if off > _FAR_OFF * size > 0:
                warnings.warn(
                    f"labels: {name} of the first {len(rows)} functions is {off / size:.0%} off "
                    f"the reference at eps={value:g}; check its sign, units and points",
                    stacklevel=2,
                )


def _by_point(values: np.ndarray) -> np.ndarray:
    """(c, n, q) as (q, c, n), or (q, n) of one unknown."""
    return np.moveaxis(values[0] if len(values) == 1 else values, -1, 0)


def _check_names(arrays: Arrays, problem: Problem) -> None:
    inputs, unknowns = problem.inputs, problem.unknowns
    for name in (*inputs, *unknowns):
        if name in _BESIDE:
            raise UserError(f"{type(problem).__name__} has a {name!r} of its own; rename it there")
    known = [*inputs, *unknowns, *_BESIDE]
    for name in arrays:
        if name not in known:
            raise UserError(f"{name!r} is neither input nor unknown{suggestion(name, known)}")
    for name in (*inputs, "x"):
        if name not in arrays:
            what = "the points (q, d)" if name == "x" else "an input of the problem"
            raise UserError(f"{name!r}, {what}, is missing; they hold {', '.join(arrays)}")
    if not set(unknowns) & set(arrays):
        raise UserError(f"no solution among {', '.join(arrays)}; give {' or '.join(unknowns)}")


def _inputs(arrays: Arrays, problem: Problem, dtype: np.dtype) -> dict[str, np.ndarray]:
    """The values (n, m) of every input."""
    values = {}
    for name, law in problem.inputs.items():
        given = arrays[name]
        shaped = given[:, None] if not law.shape and given.ndim == 1 else given
        if shaped.ndim != 2 or shaped.shape[1] != law.width:
            wanted = f"(n, {law.width})" if law.shape else "(n,)"
            wanted += ", values at the law's sensors" if law.domain else ""
            raise UserError(f"{name} has shape {given.shape} and must be {wanted}")
        values[name] = finite(shaped, dtype, name=name)
        if clause := law.outside(values[name]):
            warnings.warn(
                f"labels: {name} lies outside the law that the equation is trained on: {clause}; "
                "check its units, or train on samples that hold it",
                stacklevel=2,
            )
    counts = {name: len(found) for name, found in values.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} holds {count}" for name, count in counts.items())
        raise UserError(f"the inputs are of different numbers of functions: {said}")
    return values


def _solutions(arrays: Arrays, problem: Problem, n: int, q: int) -> np.ndarray:
    """(c, n, q); NaN where nothing is known."""
    wanted, made = (n, q) if problem.inputs else (q,), []
    for name in problem.unknowns:
        y = arrays.get(name, np.full(wanted, np.nan))
        if y.shape != wanted:
            axes = "(n, q)" if problem.inputs else "(q,)"
            raise UserError(f"{name} has shape {y.shape} and must be {axes} = {wanted}")
        if np.isinf(y).any():
            raise UserError(f"{name} holds infinity; put NaN where nothing is known")
        made.append(y.reshape(n, q))
    return np.stack(made)


def _std(arrays: Arrays, problem: Problem, n: int, q: int) -> np.ndarray:
    std = arrays.get("std", np.ones(()))
    shapes = [(), (q,), *([(n, q)] if problem.inputs else [])]
    if std.shape not in shapes:
        said = " or ".join(str(shape) for shape in shapes[1:])
        raise UserError(f"std has shape {std.shape} and must be a number or {said}")
    if not (np.isfinite(std) & (std > 0)).all():
        raise UserError("std must be positive; put NaN into the solution where nothing is known")
    return np.broadcast_to(std, (n, q))


def _eps(arrays: Arrays, experiment: Experiment, n: int) -> np.ndarray:
    places = list(dict.fromkeys(place.eps for place in experiment.path.places))
    eps = arrays.get("eps", np.asarray(places[-1]))
    if eps.shape not in ((), (n,)):
        raise UserError(f"eps has shape {eps.shape} and must be a number or ({n},)")
    for value in np.unique(eps):
        if not np.isclose(places, value, rtol=_MATCH, atol=0).any():
            have = ", ".join(f"{place:g}" for place in places)
            raise UserError(f"no stage of this path has eps={value:g}; there are {have}")
    return np.broadcast_to(eps, n)
