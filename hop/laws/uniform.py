"""A number of uniform law."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.laws import NODES, Constant, Number


@dataclasses.dataclass(frozen=True)
class Uniform(Number):
    """A number v, uniform in [low, high]."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        return math.sqrt((self.low**2 + self.low * self.high + self.high**2) / 3)

    def sample(self, key: Array, n: int) -> Constant:
        return Constant(jax.random.uniform(key, (n, 1), minval=self.low, maxval=self.high))

    def normalise(self, values: Any) -> Array:
        """(v − middle) / standard deviation."""
        middle, deviation = (self.low + self.high) / 2, (self.high - self.low) / math.sqrt(12)
        return (jnp.asarray(values) - middle) / deviation

    def spread(self, places: Any) -> tuple[np.ndarray, np.ndarray]:
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        return (self.low + (self.high - self.low) * (nodes + 1) / 2)[None, :], weights / 2
