"""Bases of functions on an interval: products of them test a weak residual, and solve it.

    polynomials  φ_i in (1 − y²)^m P_n, n < N, on the reference interval: they vanish at both ends
                 with m − 1 derivatives
    waves        1, cos kx, sin kx, … on a circle

Both are orthonormal, and so are their derivatives of order m up to a factor each,

    ∫ φ_i φ_j = δ_ij,   ∫ φ_i^(m) φ_j^(m) = μ_i δ_ij,

so that a norm Σ w_D |Dφ|² of products of them is a diagonal matrix.

The polynomials (1 − y²)^m P_n^(2m,2m)(y) are orthonormal, P^(2m,2m) being Jacobi's; the φ_i are
their combinations that diagonalise ∫ φ^(m) φ^(m). All in float64.
"""

import abc
import dataclasses
import functools
import math

import numpy as np
import scipy  # whose parts are imported on first use
from jaxtyping import Float

_MORE = 10  # nodes of the quadrature beyond the number of functions


@dataclasses.dataclass(frozen=True)
class Basis(abc.ABC):
    """N functions on an interval, and a quadrature for their products.

    Attributes:
      low, high: the interval.
      count: N.
      m: the order of the derivatives that are orthogonal too.
    """

    low: float
    high: float
    count: int
    m: int

    @property
    @abc.abstractmethod
    def nodes(self) -> Float[np.ndarray, " Q"]:
        """The places of the quadrature."""

    @property
    @abc.abstractmethod
    def weights(self) -> Float[np.ndarray, " Q"]:
        """Its weights."""

    @property
    @abc.abstractmethod
    def mu(self) -> Float[np.ndarray, " N"]:
        """μ, rising; of m = 0 ones."""

    @abc.abstractmethod
    def at(self, x: Float[np.ndarray, " q"], order: int = 0) -> Float[np.ndarray, "N q"]:
        """A derivative of the functions at places."""


class Polynomials(Basis):
    """The polynomials of degree below N + 2m that vanish at both ends with m − 1 derivatives.

    The nodes are Gauss's.
    """

    @property
    def nodes(self) -> Float[np.ndarray, " Q"]:
        return self.low + self._half * (1 + _gauss(self.count + _MORE)[0])

    @property
    def weights(self) -> Float[np.ndarray, " Q"]:
        return self._half * _gauss(self.count + _MORE)[1]

    @property
    def mu(self) -> Float[np.ndarray, " N"]:
        return _modes(self.count, self.m)[0] / self._half ** (2 * self.m)

    def at(self, x: Float[np.ndarray, " q"], order: int = 0) -> Float[np.ndarray, "N q"]:
        raw = _raw(self.count, self.m, order, (x - self.low) / self._half - 1)
        return _modes(self.count, self.m)[1].T @ raw * self._half ** -(0.5 + order)

    @property
    def _half(self) -> float:
        return (self.high - self.low) / 2


class Waves(Basis):
    """The first N waves of a circle; an odd N takes both of every wave number. Even nodes."""

    @property
    def nodes(self) -> Float[np.ndarray, " Q"]:
        count = 2 * self.count + _MORE
        return self.low + (self.high - self.low) * np.arange(count) / count

    @property
    def weights(self) -> Float[np.ndarray, " Q"]:
        count = 2 * self.count + _MORE
        return np.full(count, (self.high - self.low) / count)

    @property
    def mu(self) -> Float[np.ndarray, " N"]:
        return self._k ** (2 * self.m)

    def at(self, x: Float[np.ndarray, " q"], order: int = 0) -> Float[np.ndarray, "N q"]:
        length, k = self.high - self.low, self._k[:, None]
        sines = (np.arange(self.count) % 2 == 0)[:, None] & (k > 0)
        turns = order - np.where(sines, 1, 0)  # sin is cos a quarter turn before
        size = np.where(k > 0, math.sqrt(2 / length), math.sqrt(1 / length))
        return size * k**order * np.cos(k * (x - self.low) + turns * np.pi / 2)

    @property
    def _k(self) -> Float[np.ndarray, " N"]:
        return 2 * np.pi / (self.high - self.low) * ((np.arange(self.count) + 1) // 2)


@functools.lru_cache(maxsize=32)
def _gauss(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(count)


@functools.lru_cache(maxsize=32)
def _modes(count: int, m: int) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N N"]]:
    """μ on [−1, 1], and the combinations of `_raw` that are the φ_i, in columns."""
    if not m:
        return np.ones(count), np.eye(count)
    y, weights = _gauss(count + _MORE)
    raw = _raw(count, m, m, y)
    mu, columns = np.linalg.eigh((raw * weights) @ raw.T)
    return mu, columns


def _raw(count: int, m: int, order: int, y: np.ndarray) -> Float[np.ndarray, "N q"]:
    """A derivative of (1 − y²)^m P_n^(2m,2m), scaled to be orthonormal on [−1, 1]."""
    n, a = np.arange(count)[:, None], 2 * m
    factor = np.polynomial.Polynomial([1, 0, -1]) ** m
    total = np.zeros((count, len(y)))
    for i in range(order + 1):  # Leibniz's rule
        # P_n^(a,a)′ = ½ (n + 2a + 1) P_{n−1}^(a+1,a+1)
        risen = scipy.special.poch(n + 2 * a + 1, i) / 2**i
        poly = np.where(
            n >= i, scipy.special.eval_jacobi(np.maximum(n - i, 0), a + i, a + i, y), 0.0
        )
        total += math.comb(order, i) * factor.deriv(order - i)(y) * risen * poly
    log = scipy.special.gammaln
    square = (2 * a + 1) * math.log(2) - np.log(2 * n + 2 * a + 1)
    square = square + 2 * log(n + a + 1) - log(n + 1) - log(n + 2 * a + 1)
    return total * np.exp(-square / 2)
