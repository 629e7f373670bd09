"""Gaussian random fields on boxes of one, two or three dimensions.

A field is mean + Σ_j c_j e_j as in `hop.laws.spectral`, with independent c_j ~ N(0, λ_j). Where
every axis is periodic the constant has λ = 0, or is left out, so that every sample has the mean
`mean`. The covariances, as functions of −Δ:

* "squared_exponential": λ ∝ exp(−ℓ²κ²/2), of mean variance std² over the box. It is, but for a
  factor, the sum of exp(−r²/2ℓ²) over the mirror images in the walls, r the distance to each; the
  images in zero ends count with the opposite sign;
* "power": σ²(−Δ + τ²)^(−γ), so λ = σ²(κ² + τ²)^(−γ).
"""

import dataclasses
import functools
import math
from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop.domain import Box
from hop.errors import UserError, check_choice
from hop.laws import FAR, as_places
from hop.laws.spectral import (
    MODES,
    Basis,
    Series,
    Spectral,
    are_equal_steps,
    check_box,
    each_axis,
    second_differences,
)

KERNELS = ("squared_exponential", "power")
_SMALLEST = 1e-10  # of the largest variance of a squared exponential's modes, which are kept
_MOST = 2**20  # coefficients


@dataclasses.dataclass(frozen=True)
class GaussianField(Spectral):
    """The law of a Gaussian random field, and the sensors at which its samples are read.

    `GaussianField.power` is short for the one with covariance σ²(−Δ + τ²)^(−γ).

    Attributes:
      domain: the box on which it lives, of 1, 2 or 3 dimensions.
      ends: "zero", "free" or "periodic": one for all axes, or one for each.
      length: ℓ of the squared exponential.
      std: its root mean variance over the box.
      kernel: "squared_exponential" or "power".
      mean: a number.
      sensors: how many along every axis, or along each, equally spaced with both ends, the first
        coordinate running fastest; or their places (m, d′), or (m,) of one axis. By default
        2·modes + 1 along each axis, and one more along a periodic one, whose ends are one. The
        attribute holds the places.
      modes: the highest wave number kept, of every axis, or of each. By default those whose
        variance is 1e-10 of the largest or more; 64, 16 or 6 of a power law in 1, 2 or 3
        dimensions.
      constant: keeps a place for the constant where every axis is periodic. Samples have none of
        it, but a function of another mean is then fitted with its mean.
      axes: the letters of the problem's coordinates that the box has; "" for the first ones.
      name: of its dataset, for the laws in `hop.laws.named`; "" for others.
      variance, shift, smoothness: σ², τ² and γ of the power law.
      asked: what `sensors` were asked for, so that `dataclasses.replace` asks for them again.
    """

    domain: Box
    ends: str | tuple[str, ...] = "free"
    length: float | None = None
    std: float = 1.0
    kernel: str = "squared_exponential"
    mean: float = 0.0
    sensors: Any = dataclasses.field(default=None, repr=False, compare=False)
    modes: int | tuple[int, ...] | None = None
    axes: str = ""
    name: str = ""
    variance: float | None = dataclasses.field(default=None, kw_only=True)
    shift: float | None = dataclasses.field(default=None, kw_only=True)
    smoothness: float | None = dataclasses.field(default=None, kw_only=True)
    constant: bool = dataclasses.field(default=False, kw_only=True)
    asked: Hashable = dataclasses.field(default=None, kw_only=True)
    _placed: Any = dataclasses.field(default=None, kw_only=True, repr=False, compare=False)

    @classmethod
    def power(
        cls,
        domain: Box,
        ends: str | tuple[str, ...],
        variance: float,
        shift: float,
        smoothness: float,
        *,
        mean: float = 0.0,
        sensors: Any = None,
        modes: int | tuple[int, ...] | None = None,
        axes: str = "",
        name: str = "",
    ) -> "GaussianField":
        """The law of covariance variance·(−Δ + shift)^(−smoothness)."""
        return cls(
            domain, ends, None, 1.0, "power", mean, sensors, modes, axes, name,
            variance=variance, shift=shift, smoothness=smoothness,
        )  # fmt: skip

    def __post_init__(self) -> None:
        self._check_box()
        self._check_covariance()
        # As `replace` gives them, the sensors of another law are those that it was asked for.
        asked = self.asked if self.sensors is self._placed else _hashable(self.sensors)
        places = self._places(asked)
        places.flags.writeable = False
        for name, value in {"sensors": places, "asked": asked, "_placed": places}.items():
            object.__setattr__(self, name, value)

    def _check_box(self) -> None:
        for name in ("ends", "modes"):
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))
        check_box(self.domain, self.axes, ends=self.ends, modes=self.modes)

    def _check_covariance(self) -> None:
        check_choice("kernel", self.kernel, KERNELS)
        numbers = (self.variance, self.shift, self.smoothness)
        if not math.isfinite(self.mean):
            raise UserError(f"mean={self.mean} must be finite")
        if self.kernel == "power":
            if self.length is not None or None in numbers:
                raise UserError(
                    "a power law has variance, shift and smoothness, and no length; make it by "
                    "GaussianField.power"
                )
            variance, shift, smoothness = map(float, numbers)  # type: ignore[arg-type]
            finite = all(map(math.isfinite, (variance, shift, smoothness)))
            if not (finite and variance > 0 and shift >= 0):
                raise UserError(
                    f"a random field needs variance > 0, shift ≥ 0 and a finite smoothness, not "
                    f"{variance}, {shift} and {smoothness}"
                )
        elif numbers != (None, None, None):
            raise UserError(
                "variance, shift and smoothness are those of a power law; make it by "
                "GaussianField.power, or give length and std"
            )
        elif self.length is None:
            raise UserError(
                "a Gaussian field needs its correlation length, as length=0.3; a tenth to a half "
                "of the domain's own is usual, and a shorter one makes rougher functions"
            )
        elif not (0 < self.length < math.inf and 0 < self.std < math.inf):
            raise UserError(
                f"a squared exponential needs length > 0 and std > 0, not {self.length} and "
                f"{self.std}"
            )
        if min(self.basis.modes) < 1 or math.prod(self.basis.modes) > _MOST:
            raise UserError(
                f"modes={self.basis.modes} must be 1 or more along each axis, and no more than "
                f"{_MOST} in all; give modes=, or a greater length"
            )
        if self.shift == 0 and self.basis.eigenvalues[self._undrawn :].min() == 0:
            raise UserError("shift=0 leaves the constant of free ends no variance; give shift > 0")

    @property
    def basis(self) -> Basis:
        """The functions e_j."""
        dim = self.domain.dim
        ends = each_axis(self.ends, dim)
        lengths = np.subtract(self.domain.upper, self.domain.lower).tolist()
        if self.modes is not None:
            modes = each_axis(self.modes, dim)
        elif self.length is None:
            modes = each_axis(MODES[dim - 1], dim)
        else:
            most = math.sqrt(-2 * math.log(_SMALLEST)) / (self.length * math.pi)
            halves = [2 if end == "periodic" else 1 for end in ends]
            waves = np.divide(lengths, halves) * most
            modes = tuple(max(1, int(each)) for each in waves)
        return Basis(self.domain, ends, modes, self.constant)

    def _places(self, asked: Any) -> Float[np.ndarray, "m e"]:
        dim, low, high = self.domain.dim, self.domain.lower, self.domain.upper
        if asked is None:
            least = zip(self.basis.modes, self.basis.ends, strict=True)
            return self.domain.grid(*(2 * k + (2 if end == "periodic" else 1) for k, end in least))
        counts = each_axis(asked, dim)
        if len(counts) == dim and all(isinstance(count, int) for count in counts):
            if min(counts) < 2:
                raise UserError(f"sensors={asked!r} must be 2 or more along each axis")
            return self.domain.grid(*counts)
        places = as_places(asked, dim)
        if not np.all((places >= low) & (places <= high)):
            raise UserError(f"sensors lie in the law's box, from {low} to {high}; these do not")
        return places

    @property
    def spectrum(self) -> Float[np.ndarray, " K"]:
        """λ_j, the variance of each coefficient."""
        squares = self.basis.eigenvalues[self._undrawn :]
        if self.kernel == "power":
            assert self.variance is not None
            assert self.shift is not None
            assert self.smoothness is not None
            drawn = self.variance * (squares + self.shift) ** -self.smoothness
        else:
            assert self.length is not None
            shares = np.exp(-(self.length**2) * (squares - squares.min()) / 2)
            drawn = self.std**2 * self._volume * shares / shares.sum()
        return np.pad(drawn, (self._undrawn, 0))

    @property
    def _undrawn(self) -> int:
        """1 where the first function is the constant of a box that is periodic all round."""
        return int(self.constant and set(self.basis.ends) == {"periodic"})

    def sample(self, key: Array, n: int) -> Series:
        std = jnp.sqrt(jnp.asarray(self.spectrum))
        return self.field(std[None, :] * jax.random.normal(key, (n, *std.shape)))

    def principal(self, n: int) -> Series:
        """n functions over which the mean of any quadratic form is that over the law, exactly.

        They are √(n λ_j) e_j, and 0 beyond the K of these.

        Raises:
          UserError: n is less than K, or the law has a mean.
        """
        if self.mean or n < self.size:
            raise UserError(
                f"the {self.size} modes of a law of mean 0 are {self.size} functions or more, not "
                f"{n} of mean {self.mean:g}"
            )
        std = jnp.sqrt(n * jnp.asarray(self.spectrum))
        return self.field(jnp.pad(jnp.diag(std), ((0, n - self.size), (0, 0))))

    def of_any_mean(self) -> "GaussianField":
        return dataclasses.replace(self, constant=True)

    @property
    def limits(self) -> tuple[float, float | None]:
        return _limits(self)


def _hashable(sensors: Any) -> Hashable:
    """Sensors as they are asked for: None, counts as ints, or places as nested tuples of floats."""
    if sensors is None:
        return None
    try:
        array = np.asarray(sensors)
    except ValueError as error:
        raise UserError("sensors are no array of places; their lengths differ") from error
    if array.dtype.kind not in "iuf":
        raise UserError(f"sensors={sensors!r} must be counts or places, real numbers")
    if array.ndim < 2:
        plain = array.tolist()
        return tuple(plain) if isinstance(plain, list) else plain
    return tuple(map(tuple, array.astype(float).tolist()))


@functools.lru_cache(maxsize=16)
def _limits(law: GaussianField) -> tuple[float, float | None]:
    basis, spectrum = law.basis, law.spectrum
    size = FAR * math.sqrt(basis.variances(spectrum, law.sensors).max())
    if not are_equal_steps(law.sensors):
        return size, None
    bends = second_differences(basis.matrix(law.sensors).T, law)
    return size, FAR * math.sqrt((spectrum @ bends**2).max())
