"""Gaussian random fields on [0, 1] and the functions drawn from them.

A field with covariance σ²(−Δ + τ²)^(−γ) is u₀ = Σ_j c_j e_j with independent c_j ~ N(0, λ_j),
where e_j are the L²-orthonormal eigenfunctions of −Δ with eigenvalues κ_j² and
λ_j = σ²(κ_j² + τ²)^(−γ):

* `sine` (u₀ = 0 at both ends): e_k = √2 sin(kπx), κ = kπ, k = 1 … modes;
* `periodic` (zero mean): e = √2 cos(2πkx), √2 sin(2πkx), κ = 2πk, k = 1 … modes.

The coefficients give u₀ and its derivatives at any point exactly (Lord, Powell, Shardlow, *An
Introduction to Computational Stochastic PDEs*, 2014, ch. 7).
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop import ambient
from hop.derivatives import Jet
from hop.errors import UserError, check_choice

BASES = ("sine", "periodic")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Field:
    """n functions u₀ = Σ_j c_j e_j, given by their coefficients.

    Attributes:
      coefficients: c, shape (n, K); K = modes for the sine basis, 2·modes for the periodic one
        (all cosines first).
      basis: "sine" or "periodic".
    """

    coefficients: Float[Array | np.ndarray, "n K"]
    basis: str = dataclasses.field(metadata={"static": True})

    def __call__(self, x: Array, order: int = 0) -> Float[Array, "n q"]:
        """The derivative of the given order at the points x (q,)."""
        modes = eigenfunctions(self.basis, x, self.coefficients.shape[-1], order)
        return jnp.matmul(self.coefficients, modes.T, precision="highest")

    def jet(self, x: Float[Array, "q d"], labels: tuple[str, ...]) -> Jet:
        """Value and x-derivatives at points whose first column is x; t-derivatives are zero."""
        zero = jnp.zeros((self.coefficients.shape[0], x.shape[0]), x.dtype)
        return {
            label: zero if set(label) - {"x"} else self(x[:, 0], len(label)) for label in labels
        }

    @staticmethod
    def fit(values: Array, sensors: np.ndarray, basis: str, modes: int = 64) -> "Field":
        """The field whose values at the sensors fit best, by least squares.

        Args:
          values: (n, m) values of n functions.
          sensors: their m points in [0, 1].
          basis: "sine" or "periodic".
          modes: the highest wave number sought; lowered where m sensors cannot resolve it.
        """
        pseudo_inverse = _fit_matrix(tuple(map(float, sensors)), basis, modes)
        return Field(jnp.matmul(values, jnp.asarray(pseudo_inverse, values.dtype).T), basis)


def how_many(fields: Mapping[str, Field]) -> int:
    """n, of a problem's input functions by name; 1 without any, for its one solution."""
    return next((len(field.coefficients) for field in fields.values()), 1)


def eigenfunctions(basis: str, x: Array, count: int, order: int = 0) -> Float[Array, "q K"]:
    """The derivative of the given order of the first `count` eigenfunctions at x (q,)."""
    check_choice("basis", basis, BASES)
    # d^j sin = (sin, cos, −sin, −cos)[j mod 4], exact where sin(· + jπ/2) would round.
    waves = (jnp.sin, jnp.cos, lambda a: -jnp.sin(a), lambda a: -jnp.cos(a))
    if basis == "sine":
        k = jnp.arange(1, count + 1, dtype=x.dtype) * math.pi
        return math.sqrt(2) * k[None, :] ** order * waves[order % 4](x[:, None] * k[None, :])
    k = jnp.arange(1, count // 2 + 1, dtype=x.dtype) * (2 * math.pi)
    angle, factor = x[:, None] * k[None, :], math.sqrt(2) * k[None, :] ** order
    cosines, sines = waves[(order + 1) % 4](angle), waves[order % 4](angle)
    return jnp.concatenate([factor * cosines, factor * sines], axis=1)


@functools.lru_cache(maxsize=16)
def _fit_matrix(sensors: tuple[float, ...], basis: str, modes: int) -> np.ndarray:
    """The pseudo-inverse (K, m) of the eigenfunctions at the sensors, in float64."""
    points = np.asarray(sensors)
    # Ends where every sine vanishes, and the second end of a period, carry no information.
    distinct = len(np.unique(points % 1.0))
    resolved = distinct - 1 if basis == "sine" else (distinct - 1) // 2
    if resolved < 1:
        raise UserError(f"{len(sensors)} sensors cannot determine a field; give more")
    kept = min(modes, resolved)
    with jax.ensure_compile_time_eval(), ambient.numerics(np.float64):
        columns = kept if basis == "sine" else 2 * kept
        matrix = np.asarray(eigenfunctions(basis, jnp.asarray(points), columns))
    inverse = np.linalg.pinv(matrix, rcond=1e-10)
    if kept == modes:
        return inverse
    if basis == "sine":
        return np.pad(inverse, ((0, modes - kept), (0, 0)))
    return np.concatenate(
        [np.pad(half, ((0, modes - kept), (0, 0))) for half in np.split(inverse, 2)]
    )


@dataclasses.dataclass(frozen=True)
class RandomField:
    """The law N(0, σ²(−Δ + τ²)^(−γ)) and the sensors at which its samples are read.

    Attributes:
      name: of its dataset, `grf_burgers/NAME`, for the laws in `RANDOM_FIELDS`; any other name
        stands for a law of your own, whose samples are drawn when they are needed.
      basis: "sine" or "periodic".
      variance: σ².
      shift: τ².
      smoothness: γ.
      sensor_count: number of sensors, equally spaced on [0, 1], both ends included.
      modes: highest wave number kept.
    """

    name: str
    basis: str
    variance: float
    shift: float
    smoothness: float
    sensor_count: int
    modes: int = 64

    def __post_init__(self):
        check_choice("basis", self.basis, BASES)
        if self.sensor_count < 2 or self.modes < 1:
            raise UserError(
                f"a random field has 2 sensors and 1 mode at least, not {self.sensor_count} and "
                f"{self.modes}"
            )
        if not (self.variance > 0 and self.shift >= 0 and math.isfinite(self.smoothness)):
            raise UserError(
                f"a random field needs variance > 0, shift ≥ 0 and a finite smoothness, not "
                f"{self.variance}, {self.shift} and {self.smoothness}"
            )

    @property
    def sensors(self) -> Float[np.ndarray, " m"]:
        return np.linspace(0, 1, self.sensor_count)

    @property
    def spectrum(self) -> Float[np.ndarray, " K"]:
        """λ_j, the variance of each coefficient."""
        k = np.arange(1, self.modes + 1) * (np.pi if self.basis == "sine" else 2 * np.pi)
        variances = self.variance * (k**2 + self.shift) ** -self.smoothness
        return variances if self.basis == "sine" else np.concatenate([variances, variances])

    @property
    def rms(self) -> float:
        """(∫ E[u₀²] dx)^½, the size of a typical sample."""
        return float(np.sqrt(self.spectrum.sum()))

    def unresolved(self, points: np.ndarray) -> float:
        """The share, in rms, of a typical sample that sensors at these points do not tell.

        A wave of wave number k needs one in every half of its length: of gaps, the largest counts.
        """
        inner = np.unique(points)
        ends = [0.0, *inner, 1.0] if self.basis == "sine" else [*inner, inner[0] + 1]
        half_waves = 1 / max(np.diff(ends).max(), 1e-12)
        told = int(half_waves + 1e-6) if self.basis == "sine" else int(half_waves / 2 + 1e-6)
        k = np.arange(1, self.modes + 1)
        k = k if self.basis == "sine" else np.concatenate([k, k])
        return float(np.sqrt(self.spectrum[k > told].sum()) / self.rms)

    def sample(self, key: Array, count: int | None = None) -> Float[Array, "*n K"]:
        """Coefficients of one sample (K,), or of `count` (count, K), in the default dtype."""
        std = jnp.sqrt(jnp.asarray(self.spectrum))
        if count is None:
            return std * jax.random.normal(key, std.shape)
        return std[None, :] * jax.random.normal(key, (count, *std.shape))


def _named() -> dict[str, RandomField]:
    paper = RandomField("paper", "sine", 49.0**2, 49.0, 4.0, 128)
    unit = dataclasses.replace(paper, name="unit", variance=paper.variance / paper.rms**2)
    periodic = RandomField("periodic", "periodic", 25.0**4, 25.0, 4.0, 101)
    return {law.name: law for law in (paper, unit, periodic)}


RANDOM_FIELDS = _named()  # described in data/grf_burgers/README.md
