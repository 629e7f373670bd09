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
from hop.domain import Box, WholeSpace, said
from hop.errors import RunError, UserError
from hop.laws import Field, Law, columns
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
    Restarting,
    Showing,
    Sloped,
    Traced,
    Weak,
    energy_labels,
    failing,
    letters,
    reference,
    unnamed,
)

_FUNCTIONS = 5  # a count that no system has by chance
_POINTS = (7, 1009)  # twice: an array that happens to fit as many does not fit both
_ALONG = 11  # points along each axis where a reference is tried
_CLOSE = 0.8  # of two names, by difflib
_PARTS = (
    Problem, Referenced, Evolving, Featured, Showing, Sloped, Traced, Knowing, Layered, Reduced,
    Restarting, Weak,
)  # fmt: skip
_ROLES = [n for part in _PARTS for n in (*vars(part), *part.__annotations__) if n[0] != "_"]


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
            if isinstance(problem, Weak):
                _check_weak(problem, points)
        for lam in (experiment.path.places[0], experiment.path.places[-1]):
            given = _called(problem, "conditions", lambda role: role(lam))  # noqa: B023
            _check_tuple(problem, given)
            for condition in given:
                _check_condition(experiment.answer, condition, lam)
            _check_layers(problem, lam)
        _check_whole(experiment)
    if not type(problem).__module__.startswith("hop."):  # those that ship are tested, and take long
        _check_reference(problem, experiment.path.places[0])


def _check_weak(problem: Any, points: int) -> None:
    """The labels and shapes of a weak form, given exactly the derivatives that are declared."""
    name, n = type(problem).__name__, _FUNCTIONS if problem.inputs else 1
    values = jax.ShapeDtypeStruct((n, points), jnp.result_type(float))
    at = jax.ShapeDtypeStruct((problem.domain.dim, 1, points), values.dtype)
    labels = closure(problem.weak_derivatives)
    u = dict.fromkeys(labels, _stacked(len(problem.unknowns), values))
    a, lam = dict.fromkeys(problem.inputs, dict.fromkeys(labels, values)), _lam()
    try:
        made = _called(problem, "weak", lambda role: jax.eval_shape(role, u, at, a, lam))
    except KeyError as error:
        said = f"neither {name}.weak_derivatives nor its inputs name it"
        raise _unread(error, problem, f"{name}.weak reads", said, u) from error
    energy = _called(problem, "energy", lambda _: energy_labels(problem))
    known = letters(problem)
    for label in energy:
        if len(set(label)) > 1 or set(label) - set(known):
            raise UserError(
                f"{name}.energy names {label!r}; it takes '' and derivatives along one axis, as "
                "'x' and 'yy'"
            )
    for label, shape in ((k, v.shape) for k, v in made.items()):
        for letter in label:
            most = max(other.count(letter) for other in energy)
            periodic = letter in problem.domain.periodic
            if letter not in known or (label.count(letter) > most and not periodic):
                raise UserError(
                    f"{name}.weak names the derivative {label!r} of the test functions, which "
                    f"{name}.energy must name as well, as {letter * label.count(letter)!r}: so "
                    "often do they vanish at the ends"
                )
        if shape[-1:] != (points,) or shape[-2:-1] not in ((n,), (1,)) or len(shape) > 3:
            raise UserError(
                f"{name}.weak gives shape {shape} for {label!r} and must give (n, q) = "
                f"{values.shape}, or one of these for each equation"
            )


def _check_derivatives(problem: Problem) -> None:
    name, known = type(problem).__name__, letters(problem)
    for label in problem.derivatives:
        if label not in (LAPLACIAN, GRADIENT) and set(label) - set(known):
            raise UserError(
                f"{name}.derivatives names {label!r}, and the coordinates are "
                f"{', '.join(known)}; use their letters, or add dimensions to the domain"
            )
    if isinstance(problem, Sloped):
        if isinstance(problem, Traced):
            raise UserError(f"{name} has traces and slopes, which do not go together; use one")
        for label in problem.slopes if isinstance(problem.slopes, tuple) else (None,):
            if not isinstance(label, str) or not label or set(label) - set(known):
                raise UserError(
                    f"{name}.slopes={problem.slopes!r} must be a tuple of derivatives, spelled by "
                    f"the coordinates {', '.join(known)}, as ('{known[0]}',)"
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
        if law.domain is not None and not isinstance(problem.domain, WholeSpace):
            _check_box(f"{name}.inputs: the law of {input!r}", law, problem.domain)


def _check_box(whose: str, law: Law, domain: Box) -> None:
    """Refuses a law of functions that do not live on all of a problem's domain."""
    assert law.domain is not None
    taken = list(columns(law.letters, domain.dim))
    (low, high), (lowest, highest) = (
        (np.asarray(box.lower), np.asarray(box.upper)) for box in (law.domain, domain)
    )
    slack = 1e-6 * (high - low)
    lowest, highest = lowest[taken], highest[taken]
    if np.any(low > lowest + slack) or np.any(high < highest - slack):
        raise UserError(
            f"{whose} lives on {said(low, high)}, and the problem on {said(lowest, highest)}; give "
            "it that box"
        )


def _check_residual(problem: Problem, points: int) -> tuple[int, ...]:
    """The shapes of `lift` and `residual`, given exactly the derivatives that are declared.

    Returns what is before (n, q) in the residual's shape: () of one, or the number of equations.
    """
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
    if isinstance(problem, Sloped):
        elsewhere = [output for _ in problem.slopes]
    try:
        lifted = _shape(problem, "lift", output, at, a, lam, *elsewhere)
    except KeyError as error:
        said = "it gets the values of the inputs alone"
        raise _unread(error, problem, f"{name}.lift reads", said) from error
    if lifted != unknowns.shape:
        raise UserError(
            f"{name}.lift gives shape {lifted} for a network's output of shape {output.shape}; it "
            f"must give {unknowns.shape}"
            + _outputs_hint(problem)
            + unpacked(problem) * (lifted == (problem.domain.dim, *values.shape))
        )
    if isinstance(problem, Showing):
        for part in _called(problem, "shown", lambda role: jax.eval_shape(role, at, a, lam)):
            if part.shape != values.shape:
                raise UserError(
                    f"{name}.shown gives an array of shape {part.shape}; each must be (n, q) = "
                    f"{values.shape}"
                )
    reduced = isinstance(problem, Reduced)
    role = "reduced_residual" if reduced else "residual"
    jet = _jet_shapes(problem, output if reduced else unknowns)
    try:
        jets = {name: _jet_shapes(problem, value) for name, value in a.items()}
        h = _shape(problem, role, jet, at, jets, lam)
    except KeyError as error:
        said = f"neither {name}.derivatives nor its inputs name it"
        raise _unread(error, problem, f"{name}.{role} reads", said, jet) from error
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
    return tuple(h[:-2])


def equations(problem: Problem) -> tuple[int, ...]:
    """The number of equations that the residual of a checked problem stacks; () of a single one."""
    return _check_residual(problem, _POINTS[0])


def unpacked(problem: Problem) -> str:
    """What to do where coordinates were not taken out of their tuple."""
    names = ", ".join(letters(problem)) + "," * (problem.domain.dim == 1)
    return f"; is x one coordinate there? it is the tuple of all: write ({names}) = x first"


def _unread(
    error: KeyError, problem: Problem, reads: str, said: str, known: Collection[str] = ()
) -> UserError:
    """What to say of a derivative, or an input, that is not there."""
    label, coordinates = error.args[0], letters(problem)
    spelt = {*label} - {GRADIENT, LAPLACIAN} if isinstance(label, str) else {""}
    if spelt - {*"xyzt"}:
        return UserError(f"{reads} {label!r}; {unnamed(label, problem.inputs)}")
    if (right := spelling(label)) in known:
        return UserError(f"{reads} {label!r}; write {right!r}, the letters in the order x, y, z, t")
    if spelt - {*coordinates, "t"}:
        return UserError(f"{reads} {label!r}, and the coordinates are {', '.join(coordinates)}")
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


def _check_tuple(problem: Problem, given: Any) -> None:
    """What `conditions` returns is a tuple of conditions."""
    name = f"{type(problem).__name__}.conditions"
    if isinstance(given, Condition):  # itself a tuple
        raise UserError(
            f"{name} returns one hop.Condition and no tuple of them; add a comma: "
            "return (hop.Condition(…),)"
        )
    for part in given if isinstance(given, tuple | list) else [given]:
        if not isinstance(part, Condition):
            raise UserError(f"{name} gives a {type(part).__name__}; give a tuple of hop.Condition")


def _check_condition(ansatz: Ansatz, condition: Any, lam: Lam) -> None:
    """Its points, and the shape of its rows."""
    problem = ansatz.problem
    name, dim = f"{type(problem).__name__}.conditions", problem.domain.dim
    n = _FUNCTIONS if problem.inputs else 1
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
        shape = _shape_of(jax.eval_shape(rows), f"{name}: rows")
    except UserError:
        raise
    except KeyError as error:
        said = f"the condition's derivatives are {condition.derivatives}"
        known = closure(condition.derivatives)
        raise _unread(error, problem, f"{name}: rows read", said, known) from error
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
    return _shape_of(found, f"{type(problem).__name__}.{role}")


def _shape_of(found: Any, what: str) -> tuple[int, ...]:
    """The shape of an array that code of the user's gave."""
    if isinstance(found, list | tuple):
        raise UserError(f"{what} gives a {type(found).__name__}; make it an array, jnp.stack([…])")
    return tuple(getattr(found, "shape", ()))


def _called(problem: Problem, role: str, call: Callable[[Any], Any]) -> Any:
    try:
        return call(getattr(problem, role))
    except (UserError, KeyError):  # a residual that misses a derivative
        raise
    except Exception as error:
        raise failing(f"{type(problem).__name__}.{role}", error) from error
