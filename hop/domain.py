"""Boxes in space (and time): their grids, quadratures and maps."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop import ambient
from hop.errors import UserError

TENSOR_DIM = 3  # a tensor grid serves up to here
_FAR = 6  # standard deviations, which no point drawn in space reaches


def said(lower: Iterable[float], upper: Iterable[float]) -> str:
    """A box in words, as [0, 1] × [−1, 1]."""
    return " × ".join(f"[{a:g}, {b:g}]" for a, b in zip(lower, upper, strict=True))


@dataclasses.dataclass(frozen=True)
class Box:
    """The box Π [lower_i, upper_i]; a problem in time has t as its last coordinate.

    Attributes:
      lower, upper: its corners.
      periodic: the coordinates, by their letters, whose ends are one, as ("x",) or ("x", "y").
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    periodic: tuple[str, ...] = ()

    def __post_init__(self):
        if len(self.lower) != len(self.upper) or not self.lower:
            raise UserError(
                f"a Box has as many lower as upper ends, one or more; these are {self.lower} and "
                f"{self.upper}"
            )
        for low, high in zip(self.lower, self.upper, strict=True):
            if not (np.isfinite([low, high]).all() and low < high):
                raise UserError(f"a Box goes from a lower to a higher end, not {low} to {high}")
        if not set(self.periodic) <= set("xyz"[: self.dim]):
            raise UserError(
                f"a Box of {self.dim} dimensions can be periodic in "
                f"{', '.join('xyz'[: self.dim])}, by letter, not in {self.periodic!r}"
            )

    @property
    def dim(self) -> int:
        return len(self.lower)

    @property
    def circles(self) -> tuple[int, ...]:
        """The numbers of the periodic coordinates."""
        return tuple("xyz".index(letter) for letter in sorted(self.periodic))

    @property
    def scale(self) -> np.ndarray:
        """dy/dx (d,) of the affine map onto the reference cube [−1, 1]^d, where networks live."""
        return 2 / (np.asarray(self.upper) - np.asarray(self.lower))

    def to_reference(self, x: Array) -> Array:
        """Points (q, d) of the box on the reference cube [−1, 1]^d."""
        scale = jnp.asarray(self.scale, x.dtype)
        return (x - jnp.asarray(self.lower, x.dtype)[None, :]) * scale[None, :] - 1

    def grid(self, *counts: int) -> Float[np.ndarray, "q d"]:
        """The tensor grid with `counts` points along each axis, ends included, x fastest.

        A single count serves all axes.
        """
        counts = counts * self.dim if len(counts) == 1 else counts
        axes = [
            np.linspace(low, high, count)
            for low, high, count in zip(self.lower, self.upper, counts, strict=True)
        ]
        return tensor(axes)

    def quadrature(self, *counts: int) -> tuple[Float[np.ndarray, "q d"], Float[np.ndarray, " q"]]:
        """Points and weights: the trapezoidal rule with `counts` points along each axis.

        A single count serves all axes; in more than `TENSOR_DIM` dimensions it is that of fixed
        quasi-random points of equal weight.
        """
        if self.dim > TENSOR_DIM:
            (count,) = counts
            with ambient.numerics(np.float64):
                points = np.asarray(self.from_unit(jnp.asarray(sobol(self.dim, count))))
            width = np.subtract(self.upper, self.lower)
            return points, np.full(count, np.prod(width) / count)
        counts = counts * self.dim if len(counts) == 1 else counts
        weights = np.ones(1)
        for count in counts:
            ends = np.ones(count)
            ends[[0, -1]] = 0.5
            weights = np.multiply.outer(ends, weights).ravel()  # the first axis runs fastest
        volume = np.prod(np.asarray(self.upper) - np.asarray(self.lower))
        return self.grid(*counts), weights * volume / weights.sum()

    def quadrature_on(
        self, axes: Sequence[Float[np.ndarray, " _"]]
    ) -> tuple[Float[np.ndarray, "q d"], Float[np.ndarray, " q"]]:
        """The same with the places along each axis, in rising order and with both ends."""
        weights = np.ones(1)
        for places in axes:
            gaps = np.diff(places)
            along = (np.append(gaps, 0.0) + np.insert(gaps, 0, 0.0)) / 2
            weights = np.multiply.outer(along, weights).ravel()
        return tensor(axes), weights

    def reflect(self, x: Array, signs: np.ndarray) -> Array:
        """Points (q, d) mirrored about the middle of the box along the axes where `signs` is −1."""
        if np.all(signs > 0):
            return x
        signs_, total = jnp.asarray(signs, x.dtype), np.add(self.lower, self.upper)
        return signs_[None, :] * x + jnp.asarray((1 - signs) / 2 * total, x.dtype)[None, :]

    def from_unit(self, unit: Array) -> Float[Array, "q d"]:
        """Points (q, d) of the unit cube [0, 1]^d in the box.

        A box whose points follow a law of their own says so here, by the inverse of its
        distribution function. It is then trained at such points and, in more than `TENSOR_DIM`
        dimensions, scored at such.
        """
        low = jnp.asarray(self.lower, unit.dtype)[None, :]
        return low + (jnp.asarray(self.upper, unit.dtype)[None, :] - low) * unit


@dataclasses.dataclass(frozen=True)
class WholeSpace(Box):
    """All of space, and a time from 0 to T after it.

    Points of space follow the normal law of mean 0 and standard deviation σ, independently along
    every axis; t is even. An operator takes points up to 6σ away. Networks see x/σ, and t on
    [−1, 1].

    Attributes:
      space: the number of coordinates in space.
      deviation: σ.
      until: T; 0 where there is no time.
    """

    lower: tuple[float, ...] = dataclasses.field(init=False, repr=False)
    upper: tuple[float, ...] = dataclasses.field(init=False, repr=False)
    periodic: tuple[str, ...] = dataclasses.field(init=False, repr=False, default=())
    space: int
    deviation: float = 1.0
    until: float = 0.0

    def __post_init__(self) -> None:
        whole = isinstance(self.space, int) and self.space >= 1
        if not (whole and self.deviation > 0 and self.until >= 0):
            raise UserError(
                f"{self!r} must have a whole number of coordinates, a positive deviation and no "
                "negative time"
            )
        ends, time = (_FAR * self.deviation,) * self.space, (self.until,) * (self.until > 0)
        object.__setattr__(self, "lower", (*(-end for end in ends), *(0.0 for _ in time)))
        object.__setattr__(self, "upper", ends + time)
        super().__post_init__()

    def quadrature(self, *counts: int) -> tuple[Float[np.ndarray, "q d"], Float[np.ndarray, " q"]]:
        """As of a box, for means over the law: its weights sum to 1."""
        points, weights = super().quadrature(*counts)
        if self.dim <= TENSOR_DIM:  # where the points are even
            squares = np.sum(points[:, : self.space] ** 2, axis=1)
            weights = weights * np.exp(-squares / (2 * self.deviation**2))
        return points, weights / weights.sum()

    def to_reference(self, x: Array) -> Array:
        y = super().to_reference(x)
        return jnp.concatenate([_FAR * y[:, : self.space], y[:, self.space :]], axis=1)

    def from_unit(self, unit: Array) -> Float[Array, "q d"]:
        least = max(
            1e-9, float(jnp.finfo(unit.dtype).eps)
        )  # the quantile is finite, and in the box
        x = jax.scipy.special.ndtri(jnp.clip(unit[:, : self.space], least, 1 - least))
        return jnp.concatenate([self.deviation * x, self.until * unit[:, self.space :]], axis=1)


def tensor(axes: Sequence[Float[np.ndarray, " _"]]) -> Float[np.ndarray, "q d"]:
    """The points of a tensor grid, from the places along each axis; the first runs fastest."""
    mesh = np.meshgrid(*reversed(axes), indexing="ij")
    return np.stack([m.ravel() for m in reversed(mesh)], axis=-1)


@functools.lru_cache(maxsize=16)
def sobol(dim: int, count: int) -> Float[np.ndarray, "count dim"]:
    """The first `count` points of Sobol's sequence in [0, 1)^dim under one fixed random shift.

    The shift moves the sequence's start off the corner (Cranley, Patterson, *SIAM J. Numer. Anal.*
    13 (1976), 904–914). Powers of two are the well-balanced counts.
    """
    from scipy.stats import qmc  # half a second to import, and few domains need it

    points = qmc.Sobol(dim, scramble=False).random_base2(max(0, (count - 1).bit_length()))[:count]
    return (points + np.random.default_rng(0).random(dim)) % 1.0
