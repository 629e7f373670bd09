"""What a problem is: a PDE with a small parameter, its conditions and its inputs.

Shapes: n functions, q points, d coordinates, c unknowns, k outputs of the network, e equations.
Every array is (n, q), or (1, q) where it is the same for all functions; several unknowns, outputs
or equations put an axis before: (c, n, q). `x` is (d, 1, q), so `(x,) = x` or `x, t = x` unpacks
it, and so does `p, q = u[""]` the unknowns of a system.
"""

import abc
import dataclasses
import difflib
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from jax import Array

from hop import ambient
from hop.bases import Basis, Polynomials, Waves
from hop.derivatives import Jet
from hop.domain import Box
from hop.errors import RunError, UserError
from hop.laws import Field, Law, how_many
from hop.references.newton import SMALL, Found, Guess


class Lam(NamedTuple):
    """A place on the homotopy path: s weighs the start, ε is the singular parameter.

    Numbers, or traced scalars: one compilation serves every stage.
    """

    s: Any
    eps: Any


class Condition(NamedTuple):
    """A soft condition: rows that should vanish, of u at some points and of the inputs there.

    A wall where ∂u/∂x = 0, and ∫u = 1 by a quadrature with weights (b,):

        Condition((wall,), ("", "x"), lambda u, a, lam: u[0]["x"])
        Condition((nodes,), ("",), lambda u, a, lam: u[0][""] @ weights[:, None] - 1)

    Attributes:
      points: sets of points (b, d); two for a condition between ends, as u(0) = u(1).
      derivatives: what `rows` reads of u.
      rows: (u, a, lam) → (n, b), a row for each point; or (n, 1) where one row takes all points,
        or several blocks of either stacked, (e, n, b). `u` holds a jet for each set of points,
        `a` the jets of the inputs at the first set.
    """

    points: tuple[Any, ...]
    derivatives: tuple[str, ...]
    rows: Callable[[tuple[Jet, ...], Mapping[str, Jet], Lam], Array]


class Problem(abc.ABC):
    """A PDE H(u; s, ε) = 0: what is its own, and defaults for the rest.

    A class of your own is a frozen dataclass, whose fields are its options. What differs from the
    defaults it says as class attributes, as `unknowns = ("p", "n")`, or as properties. The inputs
    `a` are given by name: a Jet each in `residual`, values (n, q) in `lift`. Methods that a problem
    may have beside these, as `reference`, `traces`, `layers` or `trunk_features`, are those of the
    protocols in `hop.problem`: `Referenced`, `Traced`, `Layered`, `Featured` and others.

    Attributes:
      domain: the box it lives on; its periodic coordinates are built into u.
      unknowns: their names.
      outputs: k, how many the network has; by default one for each unknown.
      derivatives: those that the residual reads, e.g. ("", "x", "xx"), or ("", LAPLACIAN).
      inputs: the law of every input by its name, as {"u0": law}.
      weights: of the equations in the loss, one each; () for 1.
      pointwise: whether the residual at a point reads u there alone. If not, as where it holds
        integrals of u, it is given all points of a step together, in any order.
      odd: the coordinates, e.g. ("x",), about whose middle the network's output is made odd: it is
        replaced by ½(N(x) − N(Rx)) before `lift` sees it.
    """

    @property
    @abc.abstractmethod
    def domain(self) -> Box: ...

    @property
    def unknowns(self) -> tuple[str, ...]:
        return ("u",)

    @property
    def outputs(self) -> int:
        return len(self.unknowns)

    @property
    def derivatives(self) -> tuple[str, ...]:
        return ("",)

    @property
    def inputs(self) -> Mapping[str, Law]:
        return {}

    @property
    def weights(self) -> tuple[float, ...]:
        return ()

    @property
    def pointwise(self) -> bool:
        return True

    @property
    def odd(self) -> tuple[str, ...]:
        return ()

    @abc.abstractmethod
    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        """H(u; s, ε) at the points, (n, q), or (e, n, q)."""

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        """u from the network's output, pointwise: exact conditions, symmetries and layers.

        (n, q) → (n, q), several outputs (k, n, q), several unknowns (c, n, q).
        """
        return network

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        """The conditions that `lift` does not already satisfy; as many rows at every (s, ε)."""
        return ()


@runtime_checkable
class Referenced(Protocol):
    """A problem that knows what its solutions should be. It is scored, and trained no differently.

    Its inputs `a` are a `hop.laws.Field` each; what it computes by JAX is of float64.
    """

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        """A converged solution at the points x (q, d) by a classical method, (n, q), (c, n, q)."""


@runtime_checkable
class Solvable(Protocol):
    """A problem that Newton's method solves on a grid of its own, from any guess."""

    def newton(
        self,
        a: Mapping[str, Field],
        lam: Lam,
        guess: Guess | None = None,
        small: float = SMALL,
    ) -> Found:
        """Where Newton's method ends.

        From a guess at λ itself; without one in a way that leads there, as down from a larger ε.
        The last step is at most `small` beside the solution where it converged.
        """


@runtime_checkable
class Evolving(Protocol):
    """A problem whose solution is where u_t + H(u; s, ε) = 0 tends to from a u₀ that it knows."""

    def initial(self, x: Array, a: Mapping[str, Array]) -> Array:
        """u₀ at the points, (n, q) or (1, q), from the values of the inputs as in `lift`."""


@runtime_checkable
class Restarting(Protocol):
    """A problem in time whose equation does not name t, so that it can start anew at any time.

    Attributes:
      restarts: the input that holds each unknown at t = 0, by the unknown, as {"u": "u0"}.
    """

    restarts: Mapping[str, str]


@runtime_checkable
class Featured(Protocol):
    """A problem that shows its network functions of the place beside the coordinates."""

    def trunk_features(self, x: Array, lam: Lam) -> tuple[Array, ...]:
        """Arrays (1, q), pointwise, of about unit size, as e^(−d/ε) at the distance d of a wall."""


@runtime_checkable
class Showing(Protocol):
    """A problem that says what a nonlinear decoder sees of the inputs at a point.

    By default it sees their values there, and of several numbers nothing. More telling may be a
    slope, or the value of a function that the numbers stand for. Of a problem that is `Knowing`,
    `a` holds what it knows too.
    """

    def shown(self, x: Array, a: Mapping[str, Array], lam: Lam) -> tuple[Array, ...]:
        """Arrays (n, q), pointwise, of about unit size, in place of those values."""


@runtime_checkable
class Traced(Protocol):
    """A problem whose `lift` also reads the network elsewhere, as u = x N(x) − N(1) E(x)."""

    def traces(self, x: Array) -> tuple[Array, ...]:
        """Points (d, 1, q) for each x, or (d, 1, 1) for all; pointwise and differentiable.

        `lift` is given the network's outputs there, one array more for each of them.
        """


@runtime_checkable
class Sloped(Protocol):
    """A problem whose `lift` also reads derivatives of the network, as u = u₀ + t N_x.

    Attributes:
      slopes: which, as ("x",). `lift` is given them in this order, one array more for each.
    """

    slopes: tuple[str, ...]


@runtime_checkable
class Knowing(Protocol):
    """A problem with a part that follows exactly from the whole inputs, as e^(εtΔ)u₀."""

    def known(self, fields: Mapping[str, Field], x: Array, lam: Lam) -> Mapping[str, Any]:
        """By name a `Field`, or values (n, q) at the points x (q, d): entries of `a` from here on.

        Of values row i of x decides on column i alone, and forward mode makes the jets.
        """


class Layer(NamedTuple):
    """Where a solution has a layer.

    Attributes:
      letter: the coordinate across it.
      end: its value at the wall that the layer lies along.
      width: δ > 0, in which the layer falls by about a factor of e; an array where ε is one.
    """

    letter: str
    end: float
    width: Any


@runtime_checkable
class Layered(Protocol):
    """A problem that knows where its layers are: there it is sampled (`layered`) and scored."""

    def layers(self, lam: Lam) -> tuple[Layer, ...]:
        """The layers at λ."""


@runtime_checkable
class Reduced(Protocol):
    """A problem whose residual is written in the network's outputs, N, and not in u = lift(N).

    There terms in 1/ε cancel on paper, and in float32 they do not.
    """

    def reduced_residual(self, N: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        """What `residual` gives of u = lift(N), or what implies it, from the jet of N.

        The jet holds (n, q), or (k, n, q), for each label.
        """


@runtime_checkable
class Weak(Protocol):
    """A problem in divergence form, whose residual can be tested against smooth functions φ:

        ∫ H φ = ∫ Σ_D c_D Dφ,  D = 1, ∂_x, ∂_xx, …,

    for every φ that vanishes at the ends of the axes along which derivatives were moved to it.
    `hop.homotopy.terms.weak` says which norm of it the loss takes.

    Attributes:
      weak_derivatives: those of u that the coefficients are made of.
    """

    weak_derivatives: tuple[str, ...]

    def weak(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Mapping[str, Array]:
        """c_D at the points by the label of D, (n, q), or (e, n, q) for several equations."""

    def energy(self, a: Mapping[str, Any], lam: Lam) -> Mapping[str, Any]:
        """w_D ≥ 0 of the norm |φ|² = Σ_D w_D ∫ (Dφ)² that the residual is measured by.

        D is "" or takes one axis as often as derivatives along it were moved, as "xx": as often as
        an axis is named here do the φ vanish at its ends. A number, or (n, 1) from inputs of `a`
        that are numbers; so chosen that an error of u of size 1 is a residual of size 1.
        """


def reference(problem: Problem, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
    """The problem's reference at the points x (q, d), (n, q) or (c, n, q), checked.

    Raises:
      RunError: there is none, or its solver does not converge.
      UserError: it fails in another way, or gives no finite numbers of this shape.
    """
    name, c = type(problem).__name__, len(problem.unknowns)
    try:
        if not isinstance(problem, Referenced):
            raise NotImplementedError
        with ambient.on_cpu():
            values = np.asarray(problem.reference(a, x, lam), np.float64)
    except (RunError, UserError):
        raise
    except NotImplementedError as error:
        raise RunError(f"{name} has no reference solutions") from error
    except KeyError as error:
        if error.args and isinstance(error.args[0], str) and error.args[0] not in a:
            said = f"{name}.reference reads {error.args[0]!r}; {unnamed(error.args[0], a)}"
            raise UserError(said) from error
        raise failing(f"{name}.reference", error) from error
    except Exception as error:  # the user's code: it can fail in any way
        raise failing(f"{name}.reference", error) from error
    wanted = (how_many(a), len(x)) if c == 1 else (c, how_many(a), len(x))
    if values.shape != wanted:
        axes = "(n, q)" if c == 1 else "(c, n, q)"
        raise UserError(
            f"{name}.reference gives shape {values.shape} and must give {axes} = {wanted}: a row "
            "for each function, a column for each point"
        )
    if not np.isfinite(values).all():
        raise UserError(f"{name}.reference holds NaN or infinity at s={lam.s:g}, eps={lam.eps:g}")
    return values


def failing(what: str, error: Exception) -> UserError:
    """What to say of an exception in code of the caller's own."""
    said, remedy = " ".join(str(error).split())[:160], ""
    if isinstance(error, jax.errors.JAXTypeError):
        remedy = "u, x and lam are traced: use jax.numpy, and jnp.where for if"
    elif isinstance(error, TypeError) and "'dict'" in said:
        remedy = 'u and an input are dicts of derivatives: write u[""], and a["f"][""] for f'
    elif isinstance(error, TypeError) and re.search(r"'(Series|Constant)' .*subscript", said):
        remedy = 'an input of a reference is a function: call it, a["f"](x), (n, q)'
    said = f"{type(error).__name__}: {said}"
    known = f"{what} fails: {remedy} ({said})"
    return UserError(known if remedy else f"{what} fails: {said}; HOP_TRACEBACK=1 shows where")


def unnamed(name: Any, inputs: Mapping[str, Any]) -> str:
    """What to say of a name that no input of a problem has."""
    known = ", ".join(inputs)
    close = difflib.get_close_matches(str(name).lower(), [k.lower() for k in inputs], n=1)
    meant = [k for k in inputs if k.lower() in close]
    hint = f"; did you mean {meant[0]!r}?" if meant else ""
    return f"the inputs are {known}{hint}" if known else "the problem has no inputs"


def layers_of(problem: Problem, lam: Lam) -> list[tuple[int, float, Any]]:
    """The layers of a problem, each as the column across it, its wall and its width."""
    if not isinstance(problem, Layered):
        return []
    names = letters(problem)
    return [(names.index(layer.letter), layer.end, layer.width) for layer in problem.layers(lam)]


@functools.lru_cache(maxsize=32)
def bases_of(problem: Problem, counts: tuple[int, ...]) -> tuple[Basis, ...]:
    """Bases whose products test a weak form, one an axis: so many functions along each."""
    box, named, labels = problem.domain, letters(problem), energy_labels(problem)
    kinds = [Waves if axis in box.circles else Polynomials for axis in range(box.dim)]
    orders = [max(label.count(letter) for label in labels) for letter in named]
    axes = zip(kinds, box.lower, box.upper, counts, orders, strict=True)
    return tuple(kind(float(low), float(high), n, m) for kind, low, high, n, m in axes)


def energy_labels(problem: Problem) -> tuple[str, ...]:
    """The derivatives that the energy of a weak form is made of, the same at every λ."""
    assert isinstance(problem, Weak)
    return tuple(problem.energy(dict.fromkeys(problem.inputs, np.ones((1, 1))), Lam(0.0, 1.0)))


def with_inputs(problem: Problem, laws: Mapping[str, Law]) -> Problem:
    """The same problem with other laws of some of its inputs.

    Its class derives from the problem's and goes by the same name. Problems made of equal parts are
    equal, so that what was compiled for one serves the other.
    """
    return _with(problem, tuple(laws.items()), None) if laws else problem


def with_domain(problem: Problem, box: Box) -> Problem:
    """The same problem in another box; as `with_inputs`."""
    return _with(problem, (), box)


def _with(problem: Problem, laws: tuple[tuple[str, Law], ...], box: Box | None) -> Problem:
    return _recast(problem, _class_with(type(problem), laws, box))


@functools.lru_cache(maxsize=64)
def _class_with(
    cls: type[Problem], laws: tuple[tuple[str, Law], ...], box: Box | None
) -> type[Problem]:
    class Other(cls):  # type: ignore[valid-type, misc]
        __slots__ = ()
        __doc__ = cls.__doc__

        @property
        def domain(self) -> Box:
            return super().domain if box is None else box

        @property
        def inputs(self) -> Mapping[str, Law]:
            return {**super().inputs, **dict(laws)}

        def __reduce__(self) -> Any:
            return _with, (_recast(self, cls), laws, box)

    for name in ("__module__", "__name__", "__qualname__"):
        setattr(Other, name, getattr(cls, name))
    return Other


def _recast(problem: Problem, cls: type[Problem]) -> Problem:
    """A copy as an object of another class, without what was computed once and kept."""
    fields: Any = dataclasses.fields(problem) if dataclasses.is_dataclass(problem) else ()
    own = {field.name: getattr(problem, field.name) for field in fields}
    made = object.__new__(cls)
    for name, value in {**getattr(problem, "__dict__", {}), **own}.items():
        if not isinstance(getattr(cls, name, None), functools.cached_property):
            object.__setattr__(made, name, value)
    return made


def in_time(problem: Problem) -> bool:
    """Whether the last coordinate of a problem is the time t."""
    return any("t" in label for label in problem.derivatives)


def letters(problem: Problem) -> str:
    """The coordinates that derivatives of a problem can name, one letter each."""
    dim = problem.domain.dim
    return "xyz"[: dim - 1] + "t" if in_time(problem) else "xyz"[:dim]
