"""Laws of functions on boxes that are sums of eigenfunctions of −Δ.

A function is a = mean + Σ_j c_j e_j, where e_j are the L²-orthonormal eigenfunctions of −Δ on the
box with eigenvalues κ_j²: products of those of its axes, which on one of length L are

* ends "zero" (a = mean there): √(2/L) sin(κx), κ = kπ/L, k = 1 … modes;
* ends "free" (zero slope there): 1/√L and √(2/L) cos(κx), κ = kπ/L, k = 1 … modes;
* ends "periodic": 1/√L, √(2/L) cos(κx) and √(2/L) sin(κx), κ = 2kπ/L, k = 1 … modes.

The coefficients give a function and its derivatives at any point exactly (Lord, Powell, Shardlow,
*An Introduction to Computational Stochastic PDEs*, 2014, ch. 7).
"""

import abc
import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop.derivatives import Jet
from hop.domain import TENSOR_DIM, Box, tensor
from hop.errors import UserError, check_choice
from hop.laws import NODES, SUBTRACT, Field, Law, as_places, assemble, blocks, in_double, places_of

ENDS = ("zero", "free", "periodic")
MODES = (64, 16, 6)  # along each axis in 1, 2, 3 dimensions, where nothing else decides
_LOST = 0.01  # of a function's largest value, that its mean is where the law has no constant


@dataclasses.dataclass(frozen=True)
class Basis:
    """The first eigenfunctions of −Δ on a box: K products of functions of its axes.

    Their order is that of an array with one axis for each coordinate, the last running fastest; on
    a periodic axis all cosines come before the sines.

    Attributes:
      domain: the box.
      ends: "zero", "free" or "periodic", of each axis.
      modes: the highest wave number k, of each axis.
      constant: whether the constant is kept where every axis is periodic; it is where one is not.
    """

    domain: Box
    ends: tuple[str, ...]
    modes: tuple[int, ...]
    constant: bool = False

    @property
    def dim(self) -> int:
        return len(self.ends)

    @property
    def lengths(self) -> tuple[float, ...]:
        return tuple(np.subtract(self.domain.upper, self.domain.lower).tolist())

    @property
    def _skips(self) -> int:
        """1 where the first product, of constants, is left out; one periodic axis may have none."""
        return int(self.dim > 1 and set(self.ends) == {"periodic"} and not self.constant)

    @property
    def _constants(self) -> int:
        """How many constants a periodic axis has among its functions."""
        return int(self.dim > 1 or self.constant)

    def wave_numbers(self, axis: int) -> Float[np.ndarray, " K"]:
        """k of each function of an axis."""
        k = np.arange(1, self.modes[axis] + 1, dtype=float)
        if self.ends[axis] == "zero":
            return k
        if self.ends[axis] == "free":
            return np.concatenate([[0.0], k])
        return np.concatenate([[0.0] * self._constants, k, k])

    def _unit(self, axis: int) -> float:
        """κ of k = 1."""
        return (2 if self.ends[axis] == "periodic" else 1) * math.pi / self.lengths[axis]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many functions the axes have."""
        return tuple(len(self.wave_numbers(axis)) for axis in range(self.dim))

    def per_axis(self, of: Callable[[int], np.ndarray], combine: np.ufunc) -> np.ndarray:
        """A number for each eigenfunction, (K,), from those of the functions of its axes."""
        whole = functools.reduce(combine.outer, [of(axis) for axis in range(self.dim)])
        return self.flat(whole.ravel())

    @property
    def eigenvalues(self) -> Float[np.ndarray, " K"]:
        """κ_j²."""
        return self.per_axis(lambda i: (self.wave_numbers(i) * self._unit(i)) ** 2, np.add)

    def flat(self, whole: Any) -> Any:
        """Of all products of the axes' functions (…, ΠK) those of the basis, (…, K)."""
        return whole[..., self._skips :]

    def tensor(self, coefficients: Any) -> Array:
        """Coefficients (n, K) by the functions of each axis, (n, K₁, …)."""
        coefficients = jnp.asarray(coefficients)
        if self._skips:
            coefficients = jnp.pad(coefficients, ((0, 0), (self._skips, 0)))
        return jnp.reshape(coefficients, (-1, *self.shape))

    @functools.partial(jax.jit, static_argnums=(0, 1, 3))  # else a program for each operation
    def along(self, axis: int, x: Float[Array, " q"], order: int = 0) -> Float[Array, "q K"]:
        """The derivative of the given order of the functions of one axis at its places x."""
        end, length, count = self.ends[axis], self.lengths[axis], self.modes[axis]
        # d^j sin = (sin, cos, −sin, −cos)[j mod 4], exact where sin(· + jπ/2) would round.
        waves = (jnp.sin, jnp.cos, lambda a: -jnp.sin(a), lambda a: -jnp.cos(a))
        k = np.arange(1, count + 1) * self._unit(axis)
        angle = (x - self.domain.lower[axis])[:, None] * jnp.asarray(k, x.dtype)[None, :]
        factor = jnp.asarray(math.sqrt(2 / length) * k**order, x.dtype)[None, :]
        level = 0.0 if order else 1 / math.sqrt(length)
        constant = jnp.asarray(np.full((len(x), 1), level), x.dtype)
        parts = {
            "zero": lambda: [factor * waves[order % 4](angle)],
            "free": lambda: [constant, factor * waves[(order + 1) % 4](angle)],
            "periodic": lambda: [
                constant[:, : self._constants],
                factor * waves[(order + 1) % 4](angle),
                factor * waves[order % 4](angle),
            ],
        }[end]()
        return jnp.concatenate(parts, axis=1)

    @functools.partial(jax.jit, static_argnums=(0, 3))  # else a program for each operation
    def sum(
        self, coefficients: Any, places: Float[Array, "q e"], orders: tuple[int, ...]
    ) -> Float[Array, "n q"]:
        """Σ_j c_j e_j at the places, or its derivative of the given order along each axis."""
        waves = [self.along(i, places[:, i], order) for i, order in enumerate(orders)]
        return self._combined(coefficients, waves)

    def diffused(
        self,
        coefficients: Any,
        places: Float[Array, "q e"],
        time: Float[Array, " q"],
        orders: tuple[int, ...],
    ) -> Float[Array, "n q"]:
        """e^{tΔ} Σ_j c_j e_j = Σ_j c_j e^{−κ_j² t} e_j at the places, each with its own t.

        Or its derivative of the given order along each axis.
        """
        waves = []
        for axis, order in enumerate(orders):
            squares = jnp.asarray((self.wave_numbers(axis) * self._unit(axis)) ** 2, time.dtype)
            decay = jnp.exp(-time[:, None] * squares[None, :])
            waves.append(self.along(axis, places[:, axis], order) * decay)
        return self._combined(coefficients, waves)

    def _combined(self, coefficients: Any, waves: list[Array]) -> Float[Array, "n q"]:
        """The sum from the functions of each axis at some places, (q, K) each."""
        if self.dim == 1:
            return jnp.matmul(coefficients, waves[0].T, precision="highest")
        axes = "abc"[: self.dim]
        terms = f"n{axes}," + ",".join(f"q{axis}" for axis in axes) + "->nq"
        return _einsum(terms, self.tensor(coefficients), *map(kept, waves))

    def on_grid(self, coefficients: Any, axes: list[Array]) -> Float[Array, "n m"]:
        """Σ_j c_j e_j on the tensor grid of places of each axis, the first running fastest."""
        waves = [self.along(i, places) for i, places in enumerate(axes)]
        functions, places = "abc"[: self.dim], "ijk"[: self.dim]
        terms = f"n{functions}," + ",".join(map("".join, zip(places, functions, strict=True)))
        found = _einsum(f"{terms}->n{places[::-1]}", self.tensor(coefficients), *waves)
        return jax.lax.collapse(found, 1)

    def matrix(self, places: np.ndarray) -> Float[np.ndarray, "m K"]:
        """Every eigenfunction at every place, in float64."""
        whole = np.ones((len(places), 1))
        for waves in self._exactly(list(places.T)):
            whole = (whole[:, :, None] * waves[:, None, :]).reshape(len(places), -1)
        return self.flat(whole)

    def variances(
        self, spectrum: Float[np.ndarray, " K"], places: Float[np.ndarray, "m e"]
    ) -> Float[np.ndarray, " m"]:
        """Σ_j λ_j e_j² at the places, in float64."""
        axes, functions = grid_axes(places), "abc"[: self.dim]
        at = "i" * self.dim if axes is None else "ijk"[: self.dim]
        squares = [w**2 for w in self._exactly(list(places.T) if axes is None else axes)]
        with in_double():
            whole = np.asarray(self.tensor(jnp.asarray(spectrum)[None, :]))[0]
        terms = f"{functions}," + ",".join(map("".join, zip(at, functions, strict=True)))
        to = "i" if axes is None else at[::-1]
        return np.einsum(f"{terms}->{to}", whole, *squares, optimize=True).ravel()

    def _exactly(self, axes: list[np.ndarray]) -> list[np.ndarray]:
        """The functions of each axis at places of it, in float64."""
        with in_double():
            return [np.asarray(self.along(i, jnp.asarray(x))) for i, x in enumerate(axes)]


def kept(table: Float[Array, "q K"]) -> Float[Array, "q K"]:
    """The same table as the result of a matrix product.

    Such a result is stored. A table of sines that is a factor of others would, in a loop on a CPU,
    be computed anew for each entry of the product, and that was most of a step's cost.
    """
    return jnp.matmul(table, jnp.eye(table.shape[1], dtype=table.dtype), precision="highest")


def _einsum(terms: str, *arrays: Any) -> Array:
    return jnp.einsum(terms, *arrays, precision="highest", optimize="optimal")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Series(Field):
    """n functions mean + Σ_j c_j e_j.

    Attributes:
      coefficients: c, shape (n, K).
      basis: the functions e_j.
      axes: the letters of their coordinates.
      mean: a number.
    """

    coefficients: Any
    basis: Basis = dataclasses.field(metadata={"static": True})
    axes: str = dataclasses.field(metadata={"static": True})
    mean: float = dataclasses.field(default=0.0, metadata={"static": True})

    def jet(self, x: Any, labels: tuple[str, ...]) -> Jet:
        places = places_of(x, self.axes)

        def along(letters: str) -> Array:
            return self._at(places, tuple(letters.count(letter) for letter in self.axes))

        return assemble(along, self.count, x, self.axes, labels)

    def __call__(self, x: Any, order: int = 0) -> Float[Array, "n q"]:
        if order and self.basis.dim > 1:
            raise UserError("a derivative by its order is for fields of one coordinate; use jet")
        return self._at(places_of(x, self.axes), (order,) + (0,) * (self.basis.dim - 1))

    def diffused(self, rate: Any) -> "Diffused":
        """e^{rate·tΔ} of the functions, with t the last coordinate of the points."""
        return Diffused(self.coefficients, rate, self)

    def _at(self, places: Array, orders: tuple[int, ...]) -> Array:
        values = self.basis.sum(self.coefficients, places, orders)
        return values if any(orders) or not self.mean else values + self.mean


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Diffused(Field):
    """n functions e^{rate·tΔ} a of places and the time t, or a partial derivative of each.

    Attributes:
      coefficients: those of a.
      rate: of the diffusion; a number, or one for each point.
      start: the functions a.
      letters: which derivative along the axes; "" for none.
    """

    coefficients: Any
    rate: Any
    start: Series
    letters: str = dataclasses.field(default="", metadata={"static": True})

    def along(self, letters: str) -> "Diffused":
        """The partial derivative along axes of the functions."""
        return dataclasses.replace(self, letters=self.letters + letters)

    def jet(self, x: Any, labels: tuple[str, ...]) -> Jet:
        x, axes = jnp.asarray(x), self.start.axes + "t"
        return assemble(lambda letters: self._at(x, letters), self.count, x, axes, labels)

    def __call__(self, x: Any, order: int = 0) -> Float[Array, "n q"]:
        if order:
            raise UserError("a derivative by its order is for fields of one coordinate; use jet")
        return self._at(jnp.asarray(x), "")

    def _at(self, x: Array, letters: str) -> Array:
        start, steps = self.start, letters.count("t")
        if steps:  # u_t = rate Δu
            rest = letters.replace("t", "", 1)
            return self._rate * sum(self._at(x, rest + 2 * axis) for axis in start.axes)
        time = x[:, -1] * self._rate[0]
        orders = tuple((self.letters + letters).count(axis) for axis in start.axes)
        places = places_of(x, start.axes)
        values = start.basis.diffused(self.coefficients, places, time, orders)
        return values if any(orders) or not start.mean else values + start.mean

    @property
    def _rate(self) -> Array:
        return jnp.reshape(jnp.asarray(self.rate), (1, -1))


def as_series(field: Field) -> Series:
    """A field that is given by its modes.

    Raises:
      TypeError: it is not, as a map of such a field.
    """
    if not isinstance(field, Series):
        raise TypeError(f"a {type(field).__name__} is not given by its modes")
    return field


class Spectral(Law):
    """The law of random functions mean + Σ_j c_j e_j.

    Attributes:
      mean: a number, the value at ends "zero".
    """

    domain: Box

    @property
    @abc.abstractmethod
    def mean(self) -> float: ...

    @property
    @abc.abstractmethod
    def basis(self) -> Basis:
        """The functions e_j."""

    @property
    @abc.abstractmethod
    def spectrum(self) -> Float[np.ndarray, " K"]:
        """λ_j, the second moment of each coefficient."""

    @property
    @abc.abstractmethod
    def limits(self) -> tuple[float, float | None]:
        """What the values of the law's functions at its sensors, about the mean, and their second
        differences keep to; None where the sensors are not equally spaced on an interval.

        The same for all sensors, so that the rounding of coarser floats is no roughness.
        """

    @property
    def size(self) -> int:
        return len(self.basis.eigenvalues)

    def of_any_mean(self) -> "Spectral":
        """The same law with a place for the constant among its functions, the first of them."""
        return self

    @property
    def nodes(self) -> Float[np.ndarray, "m e"]:
        """Equally spaced places, hardly more than the values there need to tell every function."""
        ends = zip(self.basis.modes, self.basis.ends, strict=True)
        return self.domain.grid(*(2 * k + 2 if end == "periodic" else k + 2 for k, end in ends))

    @property
    def _volume(self) -> float:
        return math.prod(self.basis.lengths)

    @property
    def deviation(self) -> float:
        """The root mean square of a sample about its mean."""
        return float(np.sqrt(self.spectrum.sum() / self._volume))

    @property
    def scale(self) -> float:
        return math.hypot(self.deviation, self.mean) if self.mean else self.deviation

    def field(self, coefficients: Any) -> Series:
        return Series(coefficients, self.basis, self.letters, self.mean)

    def values(self, field: Any) -> Float[Array, "n m"]:
        kind = jax.dtypes.canonicalize_dtype(field.coefficients.dtype)
        axes = grid_axes(self.sensors)
        if axes is None or len(axes) == 1:
            values = self.basis.sum(
                field.coefficients, jnp.asarray(self.sensors, kind), (0,) * self.domain.dim
            )
        else:
            on_axes = [jnp.asarray(places, kind) for places in axes]
            values = self.basis.on_grid(field.coefficients, on_axes)
        return values + self.mean if self.mean else values

    def fit(self, values: Any, sensors: Any = None) -> Series:
        """As of every law; the modes that are too many for the sensors are left out.

        Where places in more than one dimension form no tensor grid, and do not determine a
        function, it is the likeliest of those that fit.
        """
        places = self.sensors if sensors is None else as_places(sensors, self.domain.dim)
        values = jnp.asarray(values)
        if values.ndim != 2 or values.shape[1] != len(places):
            raise UserError(
                f"values of shape {values.shape} must be (n, {len(places)}), one for each sensor"
            )
        return self.field(self._fitted(values - self.mean if self.mean else values, places))

    def _fitted(self, values: Float[Array, "n m"], places: np.ndarray) -> Float[Array, "n K"]:
        """The coefficients of the functions whose values about the mean fit best."""
        axes = grid_axes(places)
        if axes is None:
            inverses = [_likeliest(self, places.tobytes())]
        else:
            each = enumerate(axes)
            inverses = [_fit_matrix(self.basis, axis, x.tobytes()) for axis, x in each]
        if len(inverses) == 1:
            return jnp.matmul(values, jnp.asarray(inverses[0].T, values.dtype))
        matrices = [jnp.asarray(inverse, values.dtype) for inverse in inverses]
        functions, at = "abc"[: len(matrices)], "ijk"[: len(matrices)]
        terms = f"n{at[::-1]}," + ",".join(map("".join, zip(functions, at, strict=True)))
        on_grid = values.reshape(-1, *(matrix.shape[1] for matrix in reversed(matrices)))
        whole = _einsum(f"{terms}->n{functions}", on_grid, *matrices)
        return self.basis.flat(jax.lax.collapse(whole, 1))

    def normalise(self, values: Any) -> Any:
        return ((values - self.mean) if self.mean else values) / self.deviation

    def unresolved(self, points: Any) -> float:
        """As of every law.

        A wave of wave number k needs a sensor in every half of its length: of gaps, the largest
        counts. Of places that form no tensor grid, it is what a fit to them misses.
        """
        places = as_places(points, self.domain.dim)
        axes, spectrum = grid_axes(places), self.spectrum
        if axes is None:
            found = _likeliest(self, places.tobytes()) @ self.basis.matrix(places)
            missed = ((np.eye(len(found)) - found) ** 2 @ spectrum).sum()
            return math.sqrt(missed / spectrum.sum())

        def is_told(axis: int) -> np.ndarray:
            return self.basis.wave_numbers(axis) <= told(self.basis, axis, axes[axis])

        untold = ~self.basis.per_axis(is_told, np.logical_and)
        return float(np.sqrt(spectrum[untold].sum()) / np.sqrt(spectrum.sum()))

    def outside(self, values: np.ndarray) -> str:
        size, bend = self.limits
        weights = _mean_weights(self, self.sensors.tobytes())
        for part in blocks(values):
            off = part - self.mean if self.mean else part
            if weights is not None:
                lost = np.abs(off @ weights) > _LOST * np.abs(off).max(axis=1, initial=0)
                if lost.any():
                    return f"its functions have mean {self.mean:g}; any other mean is {SUBTRACT}"
            inside = largest(off) <= size  # which no NaN is
            if inside and bend is not None:
                inside = largest(second_differences(off, self)) <= bend
            if not inside:
                clause = f"its functions stay within ±{size:.2g}"
                clause += f" of mean {self.mean:g}" if self.mean else ""
                if bend is None:
                    return clause
                return f"{clause}, their second differences between sensors within ±{bend:.2g}"
        return ""

    def spread(self, places: Any) -> tuple[np.ndarray, np.ndarray]:
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        deviations = np.sqrt(self.basis.variances(self.spectrum, places))
        return self.mean + deviations[:, None] * nodes[None, :], weights / weights.sum()


def grid_axes(places: Float[np.ndarray, "m e"]) -> list[np.ndarray] | None:
    """The places along each axis whose tensor grid these are, the first running fastest; or None.

    Of one axis all are.
    """
    if places.shape[1] == 1:
        return [places[:, 0]]
    axes = [np.unique(column) for column in places.T]
    if math.prod(map(len, axes)) != len(places):
        return None
    return axes if np.array_equal(tensor(axes), places) else None


def each_axis(given: Any, dim: int) -> tuple[Any, ...]:
    """One for each axis, from that or from one for all."""
    return given if isinstance(given, tuple) else (given,) * dim


def check_box(domain: Box, axes: str, **each: Any) -> None:
    """Refuses a box of other than 1 to 3 dimensions, and what is not one for each axis of it."""
    dim = domain.dim
    if dim > TENSOR_DIM:
        raise UserError(f"a law of functions lives on boxes of 1 to 3 dimensions, not {dim}")
    for name, value in each.items():
        if isinstance(value, tuple) and len(value) != dim:
            raise UserError(f"{name}={value!r} must be one for all {dim} axes, or one for each")
    for end in each_axis(each["ends"], dim):
        check_choice("ends", end, ENDS)
    known = set(axes) <= set("xyzt") and len(set(axes)) == len(axes)
    if axes and not (known and len(axes) == dim):
        raise UserError(
            f"axes={axes!r} must be {dim} different letters of 'xyzt', one for each axis of the "
            "law's box"
        )


def are_equal_steps(places: Float[np.ndarray, "m e"]) -> bool:
    """Whether places are three or more, equally spaced on an interval."""
    gaps = np.diff(places[:, 0])
    return places.shape[1] == 1 and len(gaps) > 1 and bool(np.ptp(gaps) <= 1e-9 * gaps.max())


def _on_unit(basis: Basis, axis: int, x: np.ndarray) -> np.ndarray:
    return (x - basis.domain.lower[axis]) / basis.lengths[axis]


def determined(basis: Basis, axis: int, x: Float[np.ndarray, " m"]) -> int:
    """The highest wave number of an axis of which sensors at x are enough, 1 or more."""
    unit, end = _on_unit(basis, axis, x), basis.ends[axis]
    # Ends where every sine vanishes, and the second end of a period, carry no information.
    distinct = len(np.unique(unit if end == "free" else unit % 1.0))
    found = (distinct - 1) // 2 if end == "periodic" else distinct - 1
    if found < 1:
        raise UserError(f"{len(x)} sensors cannot determine a field; give more")
    return found


@functools.lru_cache(maxsize=64)
def _fit_matrix(basis: Basis, axis: int, places: bytes) -> Float[np.ndarray, "K m"]:
    """The pseudo-inverse of the functions of one axis at its places, in float64."""
    x = np.frombuffer(places)
    kept = min(basis.modes[axis], determined(basis, axis, x))
    modes = (*basis.modes[:axis], kept, *basis.modes[axis + 1 :])
    with in_double():
        matrix = dataclasses.replace(basis, modes=modes).along(axis, jnp.asarray(x))
    inverse = np.linalg.pinv(np.asarray(matrix), rcond=1e-10)
    found = np.zeros((basis.shape[axis], len(x)))
    found[basis.wave_numbers(axis) <= kept] = inverse
    return found


@functools.lru_cache(maxsize=16)
def _mean_weights(law: Spectral, places: bytes) -> Float[np.ndarray, " m"] | None:
    """What values at places give the mean by; None of a law whose functions keep any mean."""
    whole, at = law.of_any_mean(), np.frombuffer(places).reshape(-1, law.domain.dim)
    if whole.size == law.size:
        return None
    if (axes := grid_axes(at)) is None:
        likely = np.sqrt(law.spectrum / law.spectrum.max())
        matrix = np.hstack([np.ones((len(at), 1)), law.basis.matrix(at) * likely])
        return np.linalg.pinv(matrix, rcond=1e-10)[0]
    each = [_fit_matrix(whole.basis, axis, x.tobytes())[0] for axis, x in enumerate(axes)]
    return functools.reduce(np.multiply.outer, each[::-1]).ravel() / math.sqrt(law._volume)


@functools.lru_cache(maxsize=16)
def _likeliest(law: Spectral, places: bytes) -> Float[np.ndarray, "K m"]:
    """The matrix from values to the coefficients of least Σ c_j²/λ_j among those that fit best."""
    at = np.frombuffer(places).reshape(-1, law.domain.dim)
    std = np.sqrt(law.spectrum / law.spectrum.max())
    matrix = law.basis.matrix(at) * std
    if np.linalg.matrix_rank(matrix) < 2:
        raise UserError(f"{len(at)} sensors cannot determine a field; give more")
    return std[:, None] * np.linalg.pinv(matrix, rcond=1e-10)


def told(basis: Basis, axis: int, x: np.ndarray) -> int:
    """The highest wave number of an axis that sensors at x tell."""
    inner, end = np.unique(_on_unit(basis, axis, x)), basis.ends[axis]
    ends = {
        "zero": [0.0, *inner, 1.0],
        "periodic": [*inner, inner[0] + 1],
        "free": [-inner[0], *inner, 2 - inner[-1]],  # a free end mirrors the function
    }[end]
    half_waves = 1 / max(np.diff(ends).max(), 1e-12)
    if end == "free":
        return min(int(half_waves + 1e-6), len(inner) - 1)
    return int(half_waves + 1e-6) if end == "zero" else int(half_waves / 2 + 1e-6)


def second_differences(values: np.ndarray, law: Spectral) -> np.ndarray:
    """Those of (n, m) values at sensors; where the last is the first again, around the end too."""
    x, (length, *_) = law.sensors[:, 0], law.basis.lengths
    if law.basis.ends == ("periodic",) and math.isclose(x[-1] - x[0], length):
        values = np.concatenate([values, values[:, 1:2]], axis=1)
    return values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]


def largest(values: np.ndarray) -> Any:
    """The largest size of the values; NaN where one is."""
    return float(max(values.max(initial=0), -values.min(initial=0)))
