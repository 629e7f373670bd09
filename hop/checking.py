"""A look at an experiment before anything of it is compiled or written.

A problem is code of the user's own. Called on shapes alone, its parts show in a second what would
otherwise end a run with a traceback, late, or be wrong without a word.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hop import ambient
from hop.ansatz import Functions
from hop.config import Experiment
from hop.derivatives import GRADIENT, LAPLACIAN, closure
from hop.errors import RunError, UserError
from hop.fields import Field
from hop.problem import Condition, Lam, Problem, failing, letters, reference

_FUNCTIONS = 2
_POINTS = (3, 1009)  # twice: an array that happens to fit as many does not fit both
_ALONG = 11  # points along each axis where a reference is tried


def check(experiment: Experiment) -> None:
    """Refuses a problem whose parts do not fit each other.

    Raises:
      UserError: what does not fit, with the remedy.
    """
    problem = experiment.problem
    _check_labels(problem)
    with experiment.config.precision():
        for points in _POINTS:
            _check_residual(problem, points)
        for lam in (experiment.path.places[0], experiment.path.places[-1]):
            for condition in _called(problem, "conditions", lambda role: role(lam)):  # noqa: B023
                _check_condition(problem, condition)
        _check_whole(experiment)
    if not type(problem).__module__.startswith("hop."):  # those that ship are tested, and take long
        _check_reference(problem, experiment.path.places[0])


def _check_labels(problem: Problem) -> None:
    name, known = type(problem).__name__, letters(problem)
    for label in problem.labels:
        if label not in (LAPLACIAN, GRADIENT) and set(label) - set(known):
            raise UserError(
                f"{name}.labels names the derivative {label!r}, and the coordinates are "
                f"{', '.join(known)}; use their letters, or add dimensions to the domain"
            )
    for letter in problem.odd:
        if letter not in known:
            raise UserError(
                f"{name}.odd names the coordinate {letter!r}; there are {', '.join(known)}"
            )


def _check_residual(problem: Problem, points: int) -> None:
    """The shapes of `lift` and `residual`, given exactly the derivatives that are declared."""
    name, n = type(problem).__name__, _FUNCTIONS if problem.inputs else 1
    values = jax.ShapeDtypeStruct((n, points), jnp.result_type(float))
    at = jax.ShapeDtypeStruct((problem.domain.dim, 1, points), values.dtype)
    gradient = jax.ShapeDtypeStruct((problem.domain.dim, n, points), values.dtype)
    jet = {k: gradient if k == GRADIENT else values for k in closure(problem.labels)}
    lam = Lam(*(jax.ShapeDtypeStruct((), values.dtype),) * 2)
    lifted = _shape(problem, "lift", values, at, dict.fromkeys(problem.inputs, values))
    if lifted != values.shape:
        raise UserError(
            f"{name}.lift gives shape {lifted} for a network's output of shape {values.shape}; it "
            "must give as many values"
        )
    try:
        h = _shape(problem, "residual", jet, at, dict.fromkeys(problem.inputs, jet), lam)
    except KeyError as error:
        raise UserError(
            f"{name}.residual reads the derivative {error.args[0]!r}, and {name}.labels does not "
            "name it; add it there"
        ) from error
    if h != values.shape:
        raise UserError(
            f"{name}.residual gives shape {h} for functions and points (n, q) = {values.shape}; it "
            "must give a number for each"
        )


def _check_condition(problem: Problem, condition: Condition) -> None:
    name, dim = f"{type(problem).__name__}.conditions", problem.domain.dim
    points = np.shape(condition.points)
    if len(points) != 2 or points[1] != dim:
        raise UserError(f"{name}: points of shape {points} must be (b, {dim})")
    low, high = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
    given = np.asarray(condition.points)
    if not np.all((given >= low - 1e-6) & (given <= high + 1e-6)):
        raise UserError(f"{name}: points lie outside the domain, from {low} to {high}")
    if condition.values is None:
        if not problem.inputs:
            raise UserError(
                f"{name}: values=None asks for those of the input functions, and there are none; "
                "give numbers of shape (1, b)"
            )
        return
    values = np.shape(condition.values)
    if values != (1, points[0]):
        raise UserError(
            f"{name}: values of shape {values} must be (1, {points[0]}), the same for all "
            "functions: every step draws other functions, and rows of values would not follow them"
        )
    if not np.isfinite(np.asarray(condition.values)).all():
        raise UserError(f"{name}: values hold NaN or infinity; give finite numbers")


def _check_whole(experiment: Experiment) -> None:
    """The residual of the whole ansatz traces: lift, network and residual fit each other."""
    ansatz = experiment.ansatz
    laws, real = ansatz.problem.inputs, jnp.result_type(float)

    def residual() -> Any:
        x = jnp.zeros((_POINTS[0], ansatz.problem.domain.dim), real)
        inputs = {
            name: Functions(
                jnp.zeros((_FUNCTIONS, law.sensor_count), real),
                jnp.zeros((_FUNCTIONS, len(law.spectrum)), real),
            )
            for name, law in laws.items()
        }
        lam = Lam(*(jnp.asarray(v, real) for v in experiment.path.places[0]))
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
        fields = {
            name: Field(np.asarray(law.sample(ambient.key(0), _FUNCTIONS)), law.basis)
            for name, law in problem.inputs.items()
        }
    points, _ = problem.domain.quadrature(_ALONG)
    try:
        reference(problem, fields, points, Lam(float(lam.s), float(lam.eps)))
    except RunError:
        return


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
