"""A look at an experiment before anything of it is compiled or written.

A problem is code of the user's own. Called on shapes alone, its parts show in a second what would
otherwise end a run with a traceback, late, or be wrong without a word.
"""

import dataclasses
import difflib
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hop import ambient
from hop.ansatz import Ansatz, Functions
from hop.config import Experiment
from hop.derivatives import GRADIENT, LAPLACIAN, closure, in_space, spelling
from hop.errors import RunError, UserError
from hop.laws import Field
from hop.problem import (
    Condition,
    Evolving,
    Featured,
    Knowing,
    Lam,
    Layer,
    Layered,
    Problem,
    Reduced,
    Referenced,
    Traced,
    failing,
    letters,
    reference,
)

_FUNCTIONS = 5  # a count that no system has by chance
_POINTS = (7, 1009)  # twice: an array that happens to fit as many does not fit both
_ALONG = 11  # points along each axis where a reference is tried
_CLOSE = 0.8  # of two names, by difflib
_PARTS = (Problem, Referenced, Evolving, Featured, Traced, Knowing, Layered, Reduced)
_ROLES = [name for part in _PARTS for name in vars(part) if name[0] != "_"]


def check(experiment: Experiment) -> None:
    """Refuses a problem whose parts do not fit each other.

    Raises:
      UserError: what does not fit, with the remedy.
    """
    try:
        _check(experiment)
    except UserError as error:
        if odd := misspelt(experiment.problem):
            raise UserError(f"{error}. Also, {' '.join(odd)}") from error
        raise


def misspelt(problem: Problem) -> list[str]:
    """What to say of names in a class that are close to that of a role which it leaves out."""
    family = [cls for cls in type(problem).__mro__ if not cls.__module__.startswith("hop.")]
    said = {name for cls in family for name in vars(cls) if name[0] != "_"}
    fields: Any = dataclasses.fields(problem) if dataclasses.is_dataclass(problem) else ()
    options = {field.name for field in fields}
    missing = [role for role in _ROLES if role not in said]
    found, cls = [], type(problem).__name__
    for name in sorted(said - options - {*_ROLES}):
        close = difflib.get_close_matches(name, missing, n=1, cutoff=_CLOSE)
        close += [role for role in missing if name in role.split("_")]
        if close:
            found.append(f"hop does not read {cls}.{name}; is {cls}.{close[0]} meant?")
    return found


def _check(experiment: Experiment) -> None:
    problem = experiment.problem
    _check_derivatives(problem)
    with experiment.config.precision():
        for points in _POINTS:
            _check_residual(problem, points)
        for lam in (experiment.path.places[0], experiment.path.places[-1]):
            for condition in _called(problem, "conditions", lambda role: role(lam)):  # noqa: B023
                _check_condition(experiment.answer, condition, lam)
            _check_layers(problem, lam)
        _check_whole(experiment)
    if not type(problem).__module__.startswith("hop."):  # those that ship are tested, and take long
        _check_reference(problem, experiment.path.places[0])


def _check_derivatives(problem: Problem) -> None:
    name, known = type(problem).__name__, letters(problem)
    for label in problem.derivatives:
        if label not in (LAPLACIAN, GRADIENT) and set(label) - set(known):
            raise UserError(
                f"{name}.derivatives names {label!r}, and the coordinates are "
                f"{', '.join(known)}; use their letters, or add dimensions to the domain"
            )
    for letter in problem.odd:
        if letter not in known:
            raise UserError(
                f"{name}.odd names the coordinate {letter!r}; there are {', '.join(known)}"
            )
    for input, law in problem.inputs.items():
        if law.domain is not None and set(law.axes) - set(known):
            raise UserError(
                f"{name}.inputs: the law of {input!r} lives on {law.axes!r}, and the coordinates "
                f"are {', '.join(known)}; name some of them, axes='x'"
            )


def _check_residual(problem: Problem, points: int) -> None:
    """The shapes of `lift` and `residual`, given exactly the derivatives that are declared."""
    name, n = type(problem).__name__, _FUNCTIONS if problem.inputs else 1
    real, lam = jnp.result_type(float), _lam()
    values = jax.ShapeDtypeStruct((n, points), real)
    at = jax.ShapeDtypeStruct((problem.domain.dim, 1, points), real)
    x = jax.ShapeDtypeStruct((points, problem.domain.dim), real)
    fields = {
        k: jax.eval_shape(law.field, jax.ShapeDtypeStruct((n, law.size), real))
        for k, law in problem.inputs.items()
    }
    a = {k: jax.eval_shape(lambda field, x: field(x), field, x) for k, field in fields.items()}
    if isinstance(problem, Knowing):
        found = _called(problem, "known", lambda method: jax.eval_shape(method, fields, x, lam))
        a |= dict.fromkeys(found, values)
    output, unknowns = (_stacked(k, values) for k in (problem.outputs, len(problem.unknowns)))
    elsewhere = []
    if isinstance(problem, Traced):
        traces = _called(problem, "traces", lambda method: jax.eval_shape(method, at))
        elsewhere = [_stacked(problem.outputs, (n, trace.shape[-1])) for trace in traces]
    lifted = _shape(problem, "lift", output, at, a, lam, *elsewhere)
    if lifted != unknowns.shape:
        raise UserError(
            f"{name}.lift gives shape {lifted} for a network's output of shape {output.shape}; it "
            f"must give {unknowns.shape}" + _outputs_hint(problem)
        )
    reduced = isinstance(problem, Reduced)
    role = "reduced_residual" if reduced else "residual"
    jet = _jet_shapes(problem, output if reduced else unknowns)
    try:
        jets = {name: _jet_shapes(problem, value) for name, value in a.items()}
        h = _shape(problem, role, jet, at, jets, lam)
    except KeyError as error:
        raise _unread(
            error, f"{name}.{role} reads", f"neither {name}.derivatives nor its inputs name it", jet
        ) from error
    if h[-2:] != values.shape or len(h) > 3:
        raise UserError(
            f"{name}.{role} gives shape {h} for functions and points (n, q) = {values.shape}; it "
            "must give a number for each, or stack one of these for each equation"
        )
    equations = h[0] if len(h) == 3 else 1
    if problem.weights and len(problem.weights) != equations:
        raise UserError(
            f"{name}.weights holds {len(problem.weights)} numbers for {equations} equations; give "
            "one for each, or () for 1"
        )


def _unread(error: KeyError, reads: str, said: str, known: Collection[str]) -> UserError:
    """What to say of a derivative, or an input, that is not there."""
    label = error.args[0]
    if isinstance(label, str) and (right := spelling(label)) in known:
        return UserError(f"{reads} {label!r}; write {right!r}, the letters in the order x, y, z, t")
    return UserError(f"{reads} {label!r}, and {said}; add it there")


def _stacked(count: int, like: Any) -> jax.ShapeDtypeStruct:
    """(n, q), or (count, n, q) for more than one."""
    shape = getattr(like, "shape", like)
    return jax.ShapeDtypeStruct(shape if count == 1 else (count, *shape), jnp.result_type(float))


def _outputs_hint(problem: Problem) -> str:
    if problem.outputs == len(problem.unknowns):
        return ""
    return f", from {problem.outputs} outputs {len(problem.unknowns)} unknowns"


def _jet_shapes(problem: Problem, values: jax.ShapeDtypeStruct) -> dict[str, jax.ShapeDtypeStruct]:
    labels = closure(problem.derivatives)
    space = in_space(labels, problem.domain.dim)
    gradient = jax.ShapeDtypeStruct((space, *values.shape), values.dtype)
    return {k: gradient if k == GRADIENT else values for k in labels}


def _lam() -> Lam:
    return Lam(*(jax.ShapeDtypeStruct((), jnp.result_type(float)),) * 2)


def _check_condition(ansatz: Ansatz, condition: Any, lam: Lam) -> None:
    """Its points, and the shape of its rows."""
    problem = ansatz.problem
    name, dim = f"{type(problem).__name__}.conditions", problem.domain.dim
    n = _FUNCTIONS if problem.inputs else 1
    if not isinstance(condition, Condition):
        raise UserError(f"{name} holds {condition!r}; give a tuple of hop.Condition")
    low, high = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
    if not isinstance(condition.points, tuple) or not condition.points:
        raise UserError(f"{name}: points must be a tuple of sets of points, as (wall,)")
    for given in map(np.asarray, condition.points):
        if given.ndim != 2 or given.shape[1] != dim:
            raise UserError(f"{name}: points of shape {given.shape} must be (b, {dim})")
        if not np.all((given >= low - 1e-6) & (given <= high + 1e-6)):
            raise UserError(f"{name}: points lie outside the domain, from {low} to {high}")

    def rows() -> Any:
        real = jnp.result_type(float)
        sets = [jnp.asarray(x, real) for x in condition.points]
        place = Lam(*(jnp.asarray(v, real) for v in lam))
        inputs, params = _zeros(problem, n), ansatz.init(ambient.key(0))
        u = [ansatz.jet(params, inputs, x, place, condition.derivatives) for x in sets]
        a = ansatz.input_jet(inputs, sets[0], place, condition.derivatives)
        return condition.rows(tuple(u), a, place)

    try:
        shape = jax.eval_shape(rows).shape
    except UserError:
        raise
    except KeyError as error:
        said = f"the condition's derivatives are {condition.derivatives}"
        raise _unread(error, f"{name}: rows read", said, closure(condition.derivatives)) from error
    except Exception as error:
        raise failing(name, error) from error
    if len(shape) not in (2, 3) or shape[-2] != n:
        raise UserError(
            f"{name}: rows of shape {shape} must be (n, b), a row for each of the n = {n} "
            "functions and each point, or (e, n, b)"
        )


def _check_layers(problem: Problem, lam: Lam) -> None:
    """Each layer, if the problem knows some, is across a coordinate."""
    if not isinstance(problem, Layered):
        return
    name, known = f"{type(problem).__name__}.layers", letters(problem)
    for layer in _called(problem, "layers", lambda role: role(lam)):
        if not isinstance(layer, Layer):
            raise UserError(f"{name} holds {layer!r}; give a tuple of hop.problem.Layer")
        if layer.letter not in [*known]:
            raise UserError(
                f"{name} names the coordinate {layer.letter!r}; there are {', '.join(known)}"
            )


def _zeros(problem: Problem, n: int) -> dict[str, Functions]:
    """n functions for each input, all 0."""
    real = jnp.result_type(float)
    return {
        name: Functions(jnp.zeros((n, law.width), real), jnp.zeros((n, law.size), real))
        for name, law in problem.inputs.items()
    }


def _check_whole(experiment: Experiment) -> None:
    """The residual of the whole ansatz traces: lift, network and residual fit each other."""
    ansatz, real = experiment.ansatz, jnp.result_type(float)

    def residual() -> Any:
        x = jnp.zeros((_POINTS[0], ansatz.problem.domain.dim), real)
        lam = Lam(*(jnp.asarray(v, real) for v in experiment.path.places[0]))
        inputs = _zeros(ansatz.problem, _FUNCTIONS)
        return ansatz.residual(ansatz.init(ambient.key(0)), inputs, x, lam)

    try:
        jax.eval_shape(residual)
    except UserError:
        raise
    except Exception as error:
        raise failing(f"the residual of {type(ansatz.problem).__name__}", error) from error


def _check_reference(problem: Problem, lam: Lam) -> None:
    """A reference is optional; one that is there gives a row for each function."""
    with ambient.on_cpu():
        fields = sampled(problem, _FUNCTIONS)
    points, _ = problem.domain.quadrature(_ALONG)
    try:
        reference(problem, fields, points, Lam(float(lam.s), float(lam.eps)))
    except RunError:
        return


def sampled(problem: Problem, count: int) -> dict[str, Field]:
    """`count` functions of the law of every input, by name, independent of each other."""
    laws = enumerate(problem.inputs.items())
    return {name: law.sample(ambient.key(seed), count) for seed, (name, law) in laws}


def _shape(problem: Problem, role: str, *shapes: Any) -> tuple[int, ...]:
    """The shape of what a role makes of arrays of these shapes."""
    found = _called(problem, role, lambda method: jax.eval_shape(method, *shapes))
    return tuple(getattr(found, "shape", ()))


def _called(problem: Problem, role: str, call: Callable[[Any], Any]) -> Any:
    try:
        return call(getattr(problem, role))
    except (UserError, KeyError):  # a residual that misses a derivative
        raise
    except Exception as error:
        raise failing(f"{type(problem).__name__}.{role}", error) from error
