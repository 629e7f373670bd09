"""The laws of a problem's inputs, random functions or random numbers, one file each.

A law draws samples, reads their values at its sensors, which is what a network sees, and finds the
sample that belongs to given values. Its samples are a `Field`: n functions given by coefficients,
whose derivatives are exact. Letters name coordinates as in `hop.derivatives`: x, y, z the first,
second, third column of a problem's points, t the last.

A law of your own is one more file: a frozen dataclass that derives from `Law` (from `Number` where
its samples are numbers in a range, from `Numbers` for other numbers, or several at once) and says
what the abstract methods there ask for, and a `Field` for its samples where neither
`hop.laws.spectral.Series` nor `Constant` serves. The pointwise maps `law.map(jnp.exp)` and
`law.times(factor)` come with it.

Shapes: n functions, m sensors, d′ coordinates of a law, K coefficients; q points, d coordinates of
a problem.
"""

import abc
import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop import ambient
from hop.derivatives import (
    GRADIENT,
    LAPLACIAN,
    Jet,
    activate,
    for_chain_rule,
    in_space,
    push,
    spelling,
)
from hop.domain import Box
from hop.errors import UserError

FAR = 5.5  # standard deviations: beyond them goes fewer than one sample of a law in a million
SUBTRACT = "left out; subtract it first"  # ends what `outside` says of a mean that a law has not
CHECKED = 1024  # functions looked at at once, which a cache holds
NODES = 40  # of a quadrature over the values at one place
_MIDPOINTS = (256, 24, 10)  # along each axis of a box of 1, 2, 3 dimensions
_NEARLY_ZERO = 1e-3  # of a factor's largest size

Function = Callable[[Array], Array]


class Field(abc.ABC):
    """n functions, or n numbers: a pytree whose one leaf is `coefficients` (n, K)."""

    coefficients: Any

    @property
    def count(self) -> int:
        """n."""
        return self.coefficients.shape[0]

    @abc.abstractmethod
    def jet(self, x: Any, labels: tuple[str, ...]) -> Jet:
        """Derivatives at the points: label → (n, q), ∇ → (space, n, q).

        The one by a letter of which the field is no function is zero. Of m > 1 numbers at once they
        are (m, n, 1), the same at every point, and ∇ (space, m, n, 1).
        """

    @abc.abstractmethod
    def __call__(self, x: Any, order: int = 0) -> Float[Array, "n q"]:
        """Values at the points x (q, d).

        A field of one coordinate takes places x (q,) of it too, and there gives its derivative of
        the given order.
        """


class Law(abc.ABC):
    """The law of an input: hashable by its numbers.

    Attributes:
      name: of its dataset; "" for a law whose samples are drawn when they are needed.
      domain: the box on which its samples live; None for a number.
      axes: the letters of the problem's coordinates that the box has, as "x", "xy" or "t"; "" for
        the first ones.
      sensors: where its samples are read, (m, d′), float64; None for a number.
    """

    name: str
    domain: Box | None
    axes: str
    sensors: Any

    @property
    def letters(self) -> str:
        """The d′ letters of its coordinates; "" for a number."""
        return self.axes or "xyz"[: self.domain.dim if self.domain else 0]

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """K, how many coefficients a sample has."""

    @property
    def width(self) -> int:
        """m, how many values of an input a network sees; 1 for a number."""
        return self.size if self.sensors is None else len(self.sensors)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample as it is given to an operator: (m,), and () of a single number."""
        return () if self.domain is None and self.width == 1 else (self.width,)

    @property
    @abc.abstractmethod
    def scale(self) -> float:
        """(∫ E[a²] / |domain|)^½, the root mean square of a sample."""

    @abc.abstractmethod
    def sample(self, key: Array, n: int) -> Field:
        """n samples, in the default float type."""

    @abc.abstractmethod
    def field(self, coefficients: Any) -> Field:
        """The functions of these coefficients (n, K)."""

    @abc.abstractmethod
    def values(self, field: Any) -> Float[Array | np.ndarray, "n m"]:
        """What a network sees of functions of this law: their values at its sensors."""

    @abc.abstractmethod
    def fit(self, values: Any, sensors: Any = None) -> Field:
        """The functions whose values (n, m) fit best, by least squares.

        Args:
          values: of n functions.
          sensors: the places where they were read, (m,) or (m, d′); the law's own by default.

        Raises:
          UserError: the places do not determine a function, or values are of another shape.
        """

    @abc.abstractmethod
    def normalise(self, values: Any) -> Any:
        """Values, at sensors or anywhere, brought to about unit size, elementwise."""

    @abc.abstractmethod
    def unresolved(self, points: Any) -> float:
        """The share, in rms, of a typical sample that sensors at these places do not tell."""

    @abc.abstractmethod
    def outside(self, values: np.ndarray) -> str:
        """What the law's samples keep to, where some values (n, m) at its sensors do not; or ""."""

    @abc.abstractmethod
    def spread(self, places: Any) -> tuple[Float[np.ndarray, "m p"], Float[np.ndarray, " p"]]:
        """How the values at each of the places (m, d′) spread: p of them, and their weights.

        E[f(a(x_i))] = Σ_j weights_j f(values_ij), a quadrature. Numbers have one place, None, and a
        row each.
        """

    def map(self, function: Function, inverse: Function | None = None) -> "Law":
        """The law of f(a), pointwise, as `law.map(jnp.exp)`.

        Args:
          function: f, one-to-one and elementwise, of jax.numpy.
          inverse: its inverse; that of `jnp.exp` and `jnp.tanh` is known.
        """
        return Mapped(self, function, inverse or _INVERSES.get(function))

    def times(self, factor: Function) -> "Law":
        """The law of g(x) a(x) for a fixed g: places (d′, q) → (q,) or (1, q), of jax.numpy."""
        return Times(self, factor)


def columns(axes: str, dim: int) -> tuple[int, ...]:
    """Which of the `dim` columns of a problem's points the letters name.

    Raises:
      UserError: there are not as many.
    """
    found = tuple(dim - 1 if letter == "t" else "xyz".index(letter) for letter in axes)
    if len(set(found)) < len(found) or max(found, default=0) >= dim:
        raise UserError(
            f"a law of the coordinates {', '.join(axes)} needs points that have them, and these "
            f"have {dim} columns; give others as axes="
        )
    return found


def places_of(x: Any, axes: str) -> Float[Array, "q e"]:
    """The coordinates that the letters name, of points (q, d); or places (q,) of a single one."""
    x = jnp.asarray(x)
    if x.ndim == 1 and len(axes) == 1:
        return x[:, None]
    if x.ndim != 2:
        raise UserError(f"points of shape {x.shape} must be (q, d), as a problem's are")
    return jnp.stack([x[:, column] for column in columns(axes, x.shape[1])], axis=1)


def assemble(
    along: Callable[[str], Array],
    n: int,
    x: Float[Array, "q d"],
    axes: str,
    labels: tuple[str, ...],
) -> Jet:
    """The jet at x of n functions of the coordinates `axes`, from their partial derivatives.

    Args:
      along: gives the derivative (n, q) that letters of `axes` spell.
      n, x, axes: how many functions, where, and of which coordinates.
      labels: the derivatives asked for.
    """
    dim = x.shape[1]
    at = dict(zip(columns(axes, dim), axes, strict=True))
    zero = jnp.zeros((n, x.shape[0]), x.dtype)
    space = in_space(labels, dim)

    def of(label: str) -> Array:
        if label == GRADIENT:
            return jnp.stack([along(at[c]) if c in at else zero for c in range(space)])
        if label == LAPLACIAN:
            return sum((along(2 * at[c]) for c in range(space) if c in at), start=zero)
        return zero if set(label) - set(axes) else along(label)

    return {label: of(label) for label in labels}


@contextlib.contextmanager
def in_double() -> Iterator[None]:
    """Arithmetic of float64 done at once, within a traced function too."""
    with jax.ensure_compile_time_eval(), ambient.numerics(np.float64):
        yield


def blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of functions, so many as are looked at at once."""
    for first in range(0, len(values), CHECKED):
        yield values[first : first + CHECKED]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Constant(Field):
    """n numbers, or n times m of them, as functions that are constant: the coefficients (n, m).

    Values of m > 1 are (m, n, 1): stored once, not for every point.
    """

    coefficients: Any

    def jet(self, x: Any, labels: tuple[str, ...]) -> Jet:
        value, space = self(x), in_space(labels, x.shape[1])
        zero = jnp.zeros_like(value)
        found = {GRADIENT: jnp.zeros((space, *value.shape), value.dtype), "": value}
        return {label: found.get(label, zero) for label in labels}

    def __call__(self, x: Any, order: int = 0) -> Float[Array, "n q"] | Float[Array, "m n 1"]:
        values = jnp.asarray(self.coefficients)
        if values.shape[1] > 1:
            values = values.T[..., None]
        else:
            values = jnp.broadcast_to(values, (self.count, x.shape[0]))
        return jnp.zeros_like(values) if order else values


class Numbers(Law):
    """What the laws of numbers share, of one or of several at once: the coefficients are they."""

    name = ""
    domain = None
    axes = ""
    sensors = None

    def field(self, coefficients: Any) -> Constant:
        return Constant(coefficients)

    def values(self, field: Any) -> Any:
        return field.coefficients

    def fit(self, values: Any, sensors: Any = None) -> Constant:
        if np.ndim(values) != 2 or values.shape[1] != self.size:
            raise UserError(f"numbers of shape {np.shape(values)} must be (n, {self.size})")
        return Constant(values)

    def unresolved(self, points: Any) -> float:
        return 0.0


class Number(Numbers):
    """What the laws of a number in a range share.

    `normalise` takes the range of such a law to [−√3, √3], that of unit variance.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (-math.inf < self.low < self.high < math.inf):
            raise UserError(
                f"a number's law goes from a finite low to a higher high, not from {self.low} to "
                f"{self.high}"
            )

    @property
    def size(self) -> int:
        return 1

    def outside(self, values: np.ndarray) -> str:
        with in_double():
            unit = np.asarray(self.normalise(jnp.asarray(values, float)))
        inside = np.all(np.abs(unit) <= math.sqrt(3) * (1 + 1e-5))  # which no NaN is
        return "" if inside else f"it lies in [{self.low:g}, {self.high:g}]"


@dataclasses.dataclass(frozen=True)
class _Derived(Law):
    """What the maps of a law share."""

    base: Law
    name: str = dataclasses.field(default="", init=False, repr=False)
    domain: Box | None = dataclasses.field(init=False, repr=False)
    axes: str = dataclasses.field(init=False, repr=False)
    sensors: Any = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("domain", "axes", "sensors"):
            object.__setattr__(self, name, getattr(self.base, name))

    @property
    def size(self) -> int:
        return self.base.size

    @property
    def scale(self) -> float:
        return _root_mean_square(self)

    def unresolved(self, points: Any) -> float:
        return self.base.unresolved(points)


@functools.lru_cache(maxsize=64)
def _root_mean_square(law: Law) -> float:
    places = None if law.domain is None else _midpoints(law.domain)
    values, weights = law.spread(places)
    return math.sqrt(np.mean(values**2 @ weights))


def _midpoints(box: Box) -> Float[np.ndarray, "m e"]:
    """The middles of equal cells of a box."""
    count = _MIDPOINTS[box.dim - 1]
    half = (np.asarray(box.upper) - np.asarray(box.lower)) / (2 * count)
    return Box(tuple(box.lower + half), tuple(box.upper - half)).grid(count)


def _arctanh(values: Array) -> Array:
    """The inverse of tanh; just inside ±1 for values that rounding, or more, took there."""
    values = jnp.asarray(values)
    most = 1 - float(jnp.finfo(values.dtype).eps)
    return jnp.arctanh(jnp.clip(values, -most, most))


_INVERSES: dict[Function, Function] = {jnp.exp: jnp.log, jnp.tanh: _arctanh}


@dataclasses.dataclass(frozen=True)
class Mapped(_Derived):
    """The law of f(a), pointwise, for a of another law.

    Attributes:
      base: the law of a.
      function: f. Laws are equal where these functions are the same object.
      inverse: of f.
    """

    function: Function
    inverse: Function | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inverse is None:
            raise UserError(
                f"the inverse of the map {self._called} is not known; give it, as "
                "law.map(jnp.sinh, inverse=jnp.arcsinh)"
            )

    @property
    def _called(self) -> str:
        return getattr(self.function, "__name__", "of this law")

    def field(self, coefficients: Any) -> "MappedField":
        return MappedField(self.base.field(coefficients), self.function)

    def sample(self, key: Array, n: int) -> "MappedField":
        return MappedField(self.base.sample(key, n), self.function)

    def values(self, field: Any) -> Array:
        return self.function(jnp.asarray(self.base.values(field.base)))

    def fit(self, values: Any, sensors: Any = None) -> "MappedField":
        return MappedField(self.base.fit(self._inverted(values), sensors), self.function)

    def normalise(self, values: Any) -> Array:
        return self.base.normalise(self._inverted(values))

    def outside(self, values: np.ndarray) -> str:
        for part in blocks(values):
            with in_double():
                inverted = self._inverted(np.asarray(part, float))
                back, before = np.asarray(self.function(inverted)), np.asarray(inverted)
            if not np.all(np.abs(back - part) <= 1e-4 * (1 + np.abs(part))):  # which no NaN is
                return f"its values are in the range of the map {self._called}"
            if clause := self.base.outside(before):
                return f"before the map {self._called}, {clause}"
        return ""

    def spread(self, places: Any) -> tuple[np.ndarray, np.ndarray]:
        values, weights = self.base.spread(places)
        with in_double():
            return np.asarray(self.function(jnp.asarray(values))), weights

    def _inverted(self, values: Any) -> Array:
        assert self.inverse is not None
        return self.inverse(jnp.asarray(values))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MappedField(Field):
    """f(a), pointwise, of n functions a."""

    base: Field
    function: Function = dataclasses.field(metadata={"static": True})

    @property
    def coefficients(self) -> Any:
        """Those of a."""
        return self.base.coefficients

    def jet(self, x: Any, labels: tuple[str, ...]) -> Jet:
        out = activate(self.function, self.base.jet(x, for_chain_rule(labels)))
        return {label: out[spelling(label)] for label in labels}

    def __call__(self, x: Any, order: int = 0) -> Float[Array, "n q"]:
        return _derivative(lambda at: self.function(self.base(at)), x, order)


@dataclasses.dataclass(frozen=True)
class Times(_Derived):
    """The law of g(x) a(x), for a of another law and a fixed g.

    Attributes:
      base: the law of a.
      factor: g, of places (d′, q). Laws are equal where these functions are the same object.
    """

    factor: Function

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base.domain is None:
            raise UserError("a number has no places, so no factor of them; map it instead")

    def field(self, coefficients: Any) -> "TimesField":
        return TimesField(self.base.field(coefficients), self.factor, self.letters)

    def sample(self, key: Array, n: int) -> "TimesField":
        return TimesField(self.base.sample(key, n), self.factor, self.letters)

    def values(self, field: Any) -> Array:
        values = jnp.asarray(self.base.values(field.base))
        return values * jnp.asarray(self._at(self.sensors), values.dtype)

    def fit(self, values: Any, sensors: Any = None) -> "TimesField":
        """As of every law, from the sensors where g is not nearly zero."""
        places = self.sensors if sensors is None else as_places(sensors, len(self.letters))
        factor, values = self._at(places), jnp.asarray(values)
        if values.ndim != 2 or values.shape[1] != len(places):
            raise UserError(f"values of shape {values.shape} must be (n, {len(places)})")
        (kept,) = np.nonzero(_tells(factor)[0])
        divided = values[:, kept] / jnp.asarray(factor[:, kept], values.dtype)
        return TimesField(self.base.fit(divided, places[kept]), self.factor, self.letters)

    def normalise(self, values: Any) -> Array:
        return jnp.asarray(values) / self.scale

    def outside(self, values: np.ndarray) -> str:
        factor = self._at(self.sensors)
        told = _tells(factor)
        small = FAR * self.base.scale * 10 * _NEARLY_ZERO * np.abs(factor).max()
        for part in blocks(values):
            if not np.all(np.abs(part[:, ~told[0]]) <= small):
                return "its functions vanish where their factor does"
            divided = part / np.where(told, factor, 1)
            if not told.all():  # where g hides a's own values, those of its fit
                with in_double():
                    fitted = self.base.values(self.fit(np.asarray(part, float)).base)
                divided = np.where(told, divided, np.asarray(fitted))
            if clause := self.base.outside(divided):
                return f"divided by their factor, {clause}"
        return ""

    def spread(self, places: Any) -> tuple[np.ndarray, np.ndarray]:
        values, weights = self.base.spread(places)
        return self._at(places).T * values, weights

    def _at(self, places: np.ndarray) -> Float[np.ndarray, "1 m"]:
        with in_double():
            return np.asarray(_row(self.factor, jnp.asarray(places)))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TimesField(Field):
    """g(x) a(x) of n functions a, for a fixed g of the coordinates `axes`."""

    base: Field
    factor: Function = dataclasses.field(metadata={"static": True})
    axes: str = dataclasses.field(metadata={"static": True})

    @property
    def coefficients(self) -> Any:
        """Those of a."""
        return self.base.coefficients

    def jet(self, x: Any, labels: tuple[str, ...]) -> Jet:
        base = self.base.jet(x, for_chain_rule(labels))
        out = push(lambda a, at: a * self._at(at), (base,), x, labels)
        return {label: out[spelling(label)] for label in labels}

    def __call__(self, x: Any, order: int = 0) -> Float[Array, "n q"]:
        return _derivative(lambda at: self.base(at) * self._at(at), x, order)

    def _at(self, x: Array) -> Float[Array, "1 q"]:
        return _row(self.factor, places_of(x, self.axes))


def as_places(sensors: Any, dim: int) -> Float[np.ndarray, "m e"]:
    """Places (m, d′) in float64, from such or, of one coordinate, from (m,).

    Raises:
      UserError: they are of another shape.
    """
    places = np.asarray(sensors, np.float64)
    if places.ndim == 1 and dim == 1:
        places = places[:, None]
    if places.ndim != 2 or places.shape[1] != dim or not len(places):
        words = "(m,)" if dim == 1 else f"(m, {dim})"
        raise UserError(f"sensors are places of shape {words}, and these have {places.shape}")
    return places


def _derivative(f: Function, x: Array, order: int) -> Array:
    """The derivative of f at places x (q,), each of which has its own value; f(x) of order 0."""
    if not order:
        return f(x)
    if x.ndim != 1:
        raise UserError("a derivative by its order is for places (q,); use jet for points (q, d)")

    def slope(at: Array) -> Array:
        return jax.jvp(f, (at,), (jnp.ones_like(at),))[1]

    return _derivative(slope, x, order - 1)


def _row(factor: Function, places: Float[Array, "q e"]) -> Float[Array, "1 q"]:
    """g at the places."""
    found = jnp.asarray(factor(places.T), places.dtype)
    if found.shape not in ((), (len(places),), (1, len(places))):
        raise UserError(
            f"the factor of a law gives shape {found.shape} for {len(places)} places; it must give "
            "a value for each, (q,)"
        )
    return jnp.broadcast_to(found, (1, len(places)))


def _tells(factor: Float[np.ndarray, "1 m"]) -> np.ndarray:
    """Where a factor is not nearly zero, (1, m)."""
    return np.abs(factor) > _NEARLY_ZERO * np.abs(factor).max()


def how_many(fields: Mapping[str, Field]) -> int:
    """n, of a problem's inputs by name; 1 without any, for its one solution."""
    return next((field.count for field in fields.values()), 1)
