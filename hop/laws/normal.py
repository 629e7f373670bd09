"""Independent numbers of standard normal law, one or several at once."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jax import Array

from hop.errors import check_range
from hop.laws import FAR, NODES, Constant, Numbers


@dataclasses.dataclass(frozen=True)
class Normal(Numbers):
    """m independent standard normal numbers, which one branch of a network sees together.

    An operator takes them as (n, m), and (n,) for m = 1; a problem gets (m, n, 1), the same at
    every point, and (n, q) for m = 1.

    Attributes:
      count: m.
    """

    count: int = 1

    def __post_init__(self) -> None:
        check_range("hop.Normal", "be at least 1", count=self.count)

    @property
    def size(self) -> int:
        return self.count

    @property
    def scale(self) -> float:
        return 1.0

    def sample(self, key: Array, n: int) -> Constant:
        return Constant(jax.random.normal(key, (n, self.count)))

    def normalise(self, values: Any) -> Any:
        return values

    def outside(self, values: np.ndarray) -> str:
        inside = np.all(np.abs(values) <= FAR)  # which no NaN is
        return "" if inside else f"its numbers lie in [{-FAR}, {FAR}]"

    def spread(self, places: Any) -> tuple[np.ndarray, np.ndarray]:
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        return np.tile(nodes, (self.count, 1)), weights / weights.sum()
