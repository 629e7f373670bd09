"""Functions of one's own, given by their values at sensors.

The values are fitted once, in float64, by the eigenfunctions of `hop.laws.spectral`, so that what a
network sees and what an equation sees are one function with exact derivatives. A fixed permutation
splits the functions into those of training, validation and test; only those of training are
measured: their mean, and the second moment λ_j of each coefficient about it.

A checkpoint keeps what was measured (`Measured`), and not the functions.
"""

import dataclasses
import functools
import hashlib
import io
import itertools
import json
import math
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop import files
from hop.domain import Box
from hop.errors import RunError, UserError
from hop.laws import Law, Mapped, Times, as_places, blocks, in_double
from hop.laws.spectral import (
    MODES,
    Basis,
    Series,
    Spectral,
    are_equal_steps,
    check_box,
    determined,
    each_axis,
    grid_axes,
    largest,
    second_differences,
    told,
)

SPLITS = ("train", "validation", "test")
_FEWEST = 10  # functions
_SHOWN = 32  # training functions that a checkpoint keeps, for pictures and the sizes of maps
_ROOM = 1.5  # times the largest size, that a law's functions keep to
_ROUNDING = 1e-6  # of the size of functions or boxes, that float32 may add to them
_DOUBTFUL = 0.01  # in rms, of what is missed
_UPPER = 0.75  # of the wave numbers that sensors resolve, from where on they should be empty
_MOST = 2**20  # coefficients


class Numbers(NamedTuple):
    """What is measured of functions: float64, as of every spectral law."""

    mean: float
    spectrum: Float[np.ndarray, " K"]
    limits: tuple[float, float | None]
    shown: Float[np.ndarray, "e K"]  # the coefficients of some training functions


class Empirical(Spectral):
    """What `Samples` and `Measured` share.

    Attributes:
      ends: of each axis.
      modes: the highest wave number kept, of each axis.
      digest: SHA-256 of the values, the sensors and what else decides on the functions.
      counts: how many functions there are to train, to validate and to test.
      numbers: what was measured of them.
    """

    ends: Any
    modes: Any
    digest: str
    counts: tuple[int, ...]
    numbers: Numbers

    @property
    def basis(self) -> Basis:
        return Basis(self.domain, self.ends, self.modes, constant=True)

    @property
    def mean(self) -> float:
        return self.numbers.mean

    @property
    def spectrum(self) -> Float[np.ndarray, " K"]:
        return self.numbers.spectrum

    @property
    def limits(self) -> tuple[float, float | None]:
        return self.numbers.limits

    def sample(self, key: Array, n: int) -> Series:
        """n of the training functions, or of those that are kept for looks, with replacement."""
        at = jax.random.randint(key, (n,), 0, len(self._pool))
        return self.field(jnp.asarray(self._pool)[at])

    @property
    def _pool(self) -> np.ndarray:
        return self.numbers.shown

    def spread(self, places: Any) -> tuple[np.ndarray, np.ndarray]:
        """As of every law, by the functions that a checkpoint keeps.

        So its values are in the range of a map whose samples these are.
        """
        with in_double():
            shown, at = jnp.asarray(self.numbers.shown), jnp.asarray(places)
            values = np.asarray(self.basis.sum(shown, at, (0,) * self.domain.dim)).T + self.mean
        return values, np.full(len(shown), 1 / len(shown))

    @property
    def measured(self) -> "Measured":
        """The law without the functions themselves."""
        same = [field.name for field in dataclasses.fields(Measured)]
        return Measured(**{name: getattr(self, name) for name in same})


@dataclasses.dataclass(frozen=True)
class Measured(Empirical):
    """The law of samples without the samples, which a checkpoint keeps as a checked `.npz`."""

    domain: Box
    ends: tuple[str, ...]
    modes: tuple[int, ...]
    axes: str
    name: str
    digest: str
    counts: tuple[int, ...]
    sensors: Any = dataclasses.field(repr=False, compare=False)
    numbers: Numbers = dataclasses.field(repr=False, compare=False)

    def __post_init__(self) -> None:
        """Checks what a file says."""
        check_box(self.domain, self.axes, ends=self.ends, modes=self.modes)
        mean, spectrum, limits, shown = self.numbers
        low, high, dim = self.domain.lower, self.domain.upper, self.domain.dim
        whole = {"modes": (self.modes, dim), "counts": (self.counts, len(SPLITS))}
        for name, (given, length) in whole.items():
            if len(given) != length or not all(type(k) is int and k > 0 for k in given):
                raise ValueError(f"its {name} are no positive whole numbers, {length} of them")
        if math.prod(self.modes) > _MOST or len(self.ends) != dim:
            raise ValueError("its modes or ends do not fit its box")
        arrays = {
            "sensors": (self.sensors, (len(self.sensors), dim)),
            "spectrum": (spectrum, (self.size,)),
            "shown": (shown, (len(shown), self.size)),
        }
        for name, (array, shape) in arrays.items():
            if array.dtype != np.float64 or array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f"its {name} are no finite float64 numbers of shape {shape}")
        sizes = [limit for limit in limits if limit is not None]
        known = re.fullmatch("[0-9a-f]{64}", self.digest) and (not self.name or _is_name(self.name))
        sane = np.all((self.sensors >= low) & (self.sensors <= high)) and len(shown)
        sane = sane and spectrum.min() >= 0 and spectrum.sum() > 0 and math.isfinite(mean)
        if not (known and sane and np.all(np.isfinite(sizes))):
            raise ValueError("its numbers are out of range")

    def write(self, path: Path) -> None:
        """Writes it as an `.npz`, at once."""
        own = {name: getattr(self, name) for name in ("ends", "modes", "axes", "name", "digest")}
        own |= {"counts": self.counts, "mean": self.mean, "limits": self.limits}
        arrays = {"sensors": self.sensors, "spectrum": self.spectrum, "shown": self.numbers.shown}
        files.write(path, _packed(self.domain, own, arrays))

    @classmethod
    def read(cls, path: Path) -> "Measured":
        """The law that `write` wrote.

        Raises:
          RunError: the file is missing or damaged.
        """
        try:
            domain, own, arrays = _unpacked(path)
            size, bend = own.pop("limits")
            limits = (float(size), None if bend is None else float(bend))
            numbers = Numbers(float(own.pop("mean")), arrays["spectrum"], limits, arrays["shown"])
            plain: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in own.items()}
            return cls(domain, sensors=arrays["sensors"], numbers=numbers, **plain)
        except Exception as error:  # NumPy, zipfile and json raise many kinds for a broken file
            raise RunError(
                f"{path} is missing or damaged ({_first_line(error)}); restore it from a copy, or "
                "train again"
            ) from error


@dataclasses.dataclass(frozen=True)
class Samples(Empirical):
    """Functions of one's own.

    They come in the order of the file, so that row i of one file belongs to row i of another. A
    tenth of them is for validation and a tenth for tests, in a fixed random order.

    Attributes:
      given: values (n, m) of n functions at m sensors, or the path of such a `.npy` file.
      sensors: their places, (m,), or (m, d′) on a tensor grid whose first coordinate runs fastest,
        or the path of such a file. By default m equally spaced ones on an interval, both ends
        included.
      ends: what holds at the ends of the box: "free", "zero" or "periodic", for all axes or for
        each. Functions that vanish at ends "zero" have the `mean` 0.
      domain: the box on which they live; by default the smallest that holds the sensors, [0, 1]
        without such.
      modes: the highest wave number kept, of all axes or of each; by default as many as the
        sensors resolve, up to 64, 16 or 6 in 1, 2 or 3 dimensions.
      axes: the letters of the problem's coordinates that the box has; "" for the first ones.
      name: of the file in the folder of datasets that they were imported to; "" for others.

    Raises:
      UserError: values or places that are no finite numbers, do not fit each other, are fewer than
        10 functions, or are all the same.
    """

    given: Any = dataclasses.field(repr=False, compare=False)
    sensors: Any = dataclasses.field(default=None, repr=False, compare=False)
    ends: Any = "free"
    domain: Any = dataclasses.field(default=None, kw_only=True)
    modes: Any = dataclasses.field(default=None, kw_only=True)
    axes: str = dataclasses.field(default="", kw_only=True)
    name: str = dataclasses.field(default="", kw_only=True)
    digest: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        values = _array(self.given, "the values of samples")
        if values.ndim != 2 or len(values) < _FEWEST or values.shape[1] < 2:
            raise UserError(
                f"the values of samples have shape {values.shape} and must be (n, m): a row for "
                f"each of n ≥ {_FEWEST} functions, a column for each of m ≥ 2 sensors"
            )
        if np.ptp(values) == 0:
            raise UserError("the values of samples are all the same; there is nothing to learn")
        domain, places = self._placed(values.shape[1])
        ends, modes = (tuple(v) if isinstance(v, list) else v for v in (self.ends, self.modes))
        check_box(domain, self.axes, ends=ends, modes=modes)
        ends = each_axis(ends, domain.dim)
        axes = grid_axes(places)
        if axes is None:
            remedy = "interpolate the functions to one"
            if grid_axes(places[np.lexsort(places.T)]) is not None:
                remedy = "reorder them, at = np.lexsort(x.T): x[at], and u0[:, at] of the values"
            raise UserError(
                "the sensors of samples in more than one dimension must form a tensor grid whose "
                f"first coordinate runs fastest; {remedy}"
            )
        least = Basis(domain, ends, (1,) * domain.dim)
        if modes is None:
            most = MODES[domain.dim - 1]
            enough = [min(determined(least, i, x), told(least, i, x)) for i, x in enumerate(axes)]
            modes = tuple(max(1, min(most, k)) for k in enough)
        modes = each_axis(modes, domain.dim)
        if not all(type(k) is int and k > 0 for k in modes) or math.prod(modes) > _MOST:
            raise UserError(f"modes={modes} must be 1 or more along each axis, and {_MOST} in all")
        for array in (values, places):
            array.flags.writeable = False
        made = {"given": values, "sensors": places, "domain": domain, "ends": ends, "modes": modes}
        box = np.array([domain.lower, domain.upper], np.float64)
        made["digest"] = _digest([values, places, box, np.array(modes, np.int64)], ends)
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def _placed(self, m: int) -> tuple[Box, np.ndarray]:
        """The box and the places of the sensors, (m, d′)."""
        if self.sensors is None:
            domain = self._box if self.domain else Box((0.0,), (1.0,))
            if domain.dim > 1:
                raise UserError(
                    "samples on a box of several dimensions need their sensors, --sensors=x.npy "
                    "(in Python sensors=)"
                )
            return domain, domain.grid(m)
        given = _array(self.sensors, "the sensors of samples")
        dim = given.shape[-1] if given.ndim > 1 else 1
        places = as_places(given, self.domain.dim if self.domain else dim)
        if len(places) != m:
            raise UserError(
                f"the values of samples have {m} columns, and the sensors are {len(places)}; give "
                "a place for each column"
            )
        low, high = places.min(axis=0), places.max(axis=0)
        domain = self._box if self.domain else Box(tuple(low.tolist()), tuple(high.tolist()))
        inside = np.clip(places, domain.lower, domain.upper)
        if np.any(np.abs(inside - places) > _ROUNDING * np.subtract(domain.upper, domain.lower)):
            raise UserError(
                f"sensors lie in the law's box, from {domain.lower} to {domain.upper}, and these "
                "do not; give domain="
            )
        return domain, inside

    @property
    def _box(self) -> Box:
        """The box asked for, without what its problem says of it."""
        lower, upper = (tuple(map(float, end)) for end in (self.domain.lower, self.domain.upper))
        return Box(lower, upper)

    @property
    def counts(self) -> tuple[int, ...]:  # type: ignore[override]
        tenth = max(1, len(self.given) // 10)
        return len(self.given) - 2 * tenth, tenth, tenth

    def rows(self, split: str) -> Float[np.ndarray, "n K"]:
        """The coefficients of the functions of a split."""
        return self._coefficients[self._at(split)]

    def _at(self, split: str) -> np.ndarray:
        ends = [0, *itertools.accumulate(self.counts)]
        k = SPLITS.index(split)
        return np.random.default_rng(0).permutation(len(self.given))[ends[k] : ends[k + 1]]

    @property
    def _pool(self) -> np.ndarray:
        return self.rows("train")

    @functools.cached_property
    def _fit(self) -> tuple[np.ndarray, float]:
        """The coefficients (n, K) about the mean, and the mean."""
        with in_double():
            parts = (jnp.asarray(values) for values in blocks(self.given))
            coefficients = np.concatenate([self._fitted(part, self.sensors) for part in parts])
        if "zero" in self.ends:
            return coefficients, 0.0
        whole = math.sqrt(self._volume)
        mean = float(coefficients[self._at("train"), 0].mean()) / whole
        if abs(mean) < _ROUNDING * self.given.std():
            return coefficients, 0.0
        coefficients[:, 0] -= mean * whole
        return coefficients, mean

    @property
    def _coefficients(self) -> np.ndarray:
        return self._fit[0]

    @property
    def mean(self) -> float:
        return self._fit[1]

    @functools.cached_property
    def numbers(self) -> Numbers:  # type: ignore[override]
        train = self.rows("train")
        spectrum = np.mean(train**2, axis=0)
        if not spectrum.sum() > 0:
            raise UserError("the training functions of these samples are all the same; give others")
        values = np.concatenate([self._read(c) for c in blocks(self._coefficients)]) - self.mean
        bend = None
        if are_equal_steps(self.sensors):
            bend = _ROOM * largest(second_differences(values, self))
        limits = (_ROOM * largest(values), bend)
        return Numbers(self.mean, spectrum, limits, train[:_SHOWN])

    def _read(self, coefficients: np.ndarray) -> np.ndarray:
        with in_double():
            return np.asarray(self.values(self.field(jnp.asarray(coefficients))))

    def holds(self, share: float) -> tuple[int, ...]:
        """The wave numbers of each axis up to which lies this share of the variance."""
        found = []
        for axis in range(self.domain.dim):
            k = self._waves(axis)
            by_wave = np.bincount(k.astype(int), self.spectrum)
            enough = np.cumsum(by_wave) >= share * by_wave.sum() * (1 - 1e-12)
            found.append(int(np.argmax(enough)))
        return tuple(found)

    def _waves(self, axis: int) -> np.ndarray:
        """The wave number along an axis of each coefficient, (K,)."""
        ones = [np.ones(length) for length in self.basis.shape]
        ones[axis] = self.basis.wave_numbers(axis)
        return self.basis.per_axis(lambda i: ones[i], np.multiply)

    def doubts(self) -> list[str]:
        """What speaks against the values, the sensors or the ends, as sentences."""
        found = []
        if flat := int(np.sum(np.ptp(self.given, axis=1) == 0)):
            whole = len(self.given)
            some = "every function is" if flat == whole else f"{flat:,} of {whole:,} functions are"
            found.append(f"{some} constant; a number as an input is hop.Uniform(low, high)")
        missed = self._missed()
        if missed > _DOUBTFUL:
            why = (
                f"they are rougher than {self._words(self.modes)} wave numbers; smooth them, or "
                "transpose the file if its columns are the functions"
                + ", or name the sensors if they lie in a plane, --sensors=x.npy"
                * (self.domain.dim == 1)
            )
            open_ended = dataclasses.replace(self, ends="free")
            if set(self.ends) != {"free"} and open_ended._missed() < missed / 2:
                why = f"ends={self._words(self.ends)!r} does not hold of these functions"
            return [*found, f"a fit misses {100 * missed:.2g} % (rms) of the values: {why}"]
        for axis, x in enumerate(grid_axes(self.sensors) or []):
            most = min(told(self.basis, axis, x), determined(self.basis, axis, x))
            high = self._waves(axis) > _UPPER * most
            share = math.sqrt(self.spectrum[high].sum() / self.spectrum.sum())
            if share > _DOUBTFUL:
                found.append(
                    f"{len(x)} sensors along {self.letters[axis]} are too few: {100 * share:.2g} % "
                    f"(rms) of the functions lies in the highest quarter of the {most} wave "
                    "numbers that they tell; give values at more places"
                )
        return found

    def _missed(self) -> float:
        """The root mean square of what the fit misses, of the values about their mean."""
        pairs = zip(blocks(self.given), blocks(self._coefficients), strict=True)
        lost = sum(np.sum((values - self._read(c)) ** 2) for values, c in pairs)
        return math.sqrt(lost / self.given.size) / max(self.given.std(), 1e-300)

    def _words(self, each: tuple[Any, ...]) -> str:
        return ",".join(map(str, each[:1] if len(set(each)) == 1 else each))

    def write(self, path: Path) -> None:
        """Writes the values, and what decides on the fit, as an `.npz`, at once."""
        own = {"ends": self.ends, "modes": self.modes}
        files.write(
            path, _packed(self.domain, own, {"values": self.given, "sensors": self.sensors})
        )

    @classmethod
    def read(cls, path: Path, name: str) -> "Samples":
        """The law of this name that `write` wrote.

        Raises:
          RunError: the file is damaged.
        """
        try:
            domain, own, arrays = _unpacked(path)
            ends, modes = tuple(own["ends"]), tuple(own["modes"])
            return cls(
                arrays["values"], arrays["sensors"], ends, domain=domain, modes=modes, name=name
            )
        except Exception as error:  # NumPy, zipfile and json raise many kinds for a broken file
            raise RunError(
                f"{path} is damaged ({_first_line(error)}); delete it, and import the functions "
                "again by hop data import"
            ) from error


def behind(law: Law) -> Empirical | None:
    """The samples that a law is of, or a map of which it is; None of a law that is drawn from."""
    while isinstance(law, Mapped | Times):
        law = law.base
    return law if isinstance(law, Empirical) else None


def check_name(name: str) -> None:
    """Refuses what is no name of samples in the folder of datasets."""
    if not _is_name(name):
        raise UserError(
            f"{name!r} is no name for samples; use lower-case letters, digits, '-' and '_', as in "
            "mine"
        )


def _is_name(name: str) -> bool:
    return bool(re.fullmatch("[a-z0-9][a-z0-9_-]*", name))


def _array(given: Any, what: str) -> np.ndarray:
    """A float64 copy of an array of finite numbers, or of that in a `.npy` file."""
    if isinstance(given, str | os.PathLike):
        path = files.path(given)
        try:
            given = np.load(path, allow_pickle=False)
        except FileNotFoundError as error:
            raise UserError(f"{what}: there is no file {path}") from error
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{what}: {path} is no .npy file of numbers") from error
        if not isinstance(given, np.ndarray):
            raise UserError(f"{what}: {path} is an .npz file; write its array with numpy.save")
        what = f"{what}, {path},"
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise UserError(f"{what} are no array of numbers; its rows differ in length") from error
    if array.dtype.kind not in "iuf":
        raise UserError(f"{what} are real numbers, and these are of dtype {array.dtype}")
    if not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array.reshape(len(array), -1)).all(axis=1)))
        raise UserError(f"{what} hold NaN or infinity (first in row {row}); remove it")
    return np.array(array, np.float64, order="C")


def _digest(arrays: list[np.ndarray], ends: tuple[str, ...]) -> str:
    whole = hashlib.sha256(",".join(ends).encode())
    for array in arrays:
        whole.update(f"{array.dtype.str}{array.shape}".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()


def _packed(domain: Box, own: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an `.npz` file of arrays, and of plain values as one of text."""
    plain = json.dumps({"lower": domain.lower, "upper": domain.upper, **own})
    packed = io.BytesIO()
    np.savez(packed, law=np.array(plain), **arrays)  # type: ignore[arg-type]
    return packed.getvalue()


def _unpacked(path: Path) -> tuple[Box, dict[str, Any], dict[str, np.ndarray]]:
    """What `_packed` packed; any exception where the file is not such."""
    with zipfile.ZipFile(path) as archive:
        # So what it unpacks to is no larger than the file.
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("it is compressed")
    with np.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)
    own = json.loads(str(arrays.pop("law")[()]))
    lower, upper = (tuple(map(float, own.pop(name))) for name in ("lower", "upper"))
    return Box(lower, upper), own, arrays


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
