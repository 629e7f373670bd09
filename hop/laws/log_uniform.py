"""A positive number whose logarithm is of uniform law."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.errors import UserError
from hop.laws import NODES, Constant, Number


@dataclasses.dataclass(frozen=True)
class LogUniform(Number):
    """A number v > 0, log v uniform in [log low, log high]."""

    low: float
    high: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low > 0:
            raise UserError(f"a number of log-uniform law has low > 0, not {self.low}")

    @property
    def scale(self) -> float:
        return math.sqrt((self.high**2 - self.low**2) / (2 * math.log(self.high / self.low)))

    def sample(self, key: Array, n: int) -> Constant:
        low, high = math.log(self.low), math.log(self.high)
        drawn = jnp.exp(jax.random.uniform(key, (n, 1), minval=low, maxval=high))
        return Constant(jnp.clip(drawn, self.low, self.high))

    def normalise(self, values: Any) -> Array:
        """(log v − middle) / standard deviation, of log v."""
        low, high = math.log(self.low), math.log(self.high)
        return (jnp.log(jnp.asarray(values)) - (low + high) / 2) / ((high - low) / math.sqrt(12))

    def spread(self, places: Any) -> tuple[np.ndarray, np.ndarray]:
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        return self.low * (self.high / self.low) ** ((nodes + 1) / 2)[None, :], weights / 2
