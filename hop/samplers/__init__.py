"""Samplers: where the collocation points of a step are, one file each.

A sampler is a frozen dataclass, found by the name of its module: `config.train.sampler`.
A strategy may put another in its place. Shapes: n functions, q points, d coordinates.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jax import Array

from hop.derivatives import Jet
from hop.domain import Box

Rows = Callable[[Array], Array]  # points (m, d) → H there (n, m), of the network as it is
Last = Callable[[Array, Sequence[str]], Jet]  # points, labels → the jet of the last stage's network


class Points(NamedTuple):
    """Points (q, d), and for each its inverse density (q,), 1 on average over the domain.

    A term of the loss that owns its points keeps what it likes for each, (q, …), in its place.
    """

    x: Array
    beside: Any


@runtime_checkable
class Sampler(Protocol):
    """Draws the points of a step, the same for all functions.

    Attributes:
      even: whether the points are random and of even density.
    """

    even: ClassVar[bool] = False

    def points(self, key: Array, count: int, domain: Box) -> Array:
        """Points (count, d), in the default float type."""

    def pool(self, key: Array, count: int, domain: Box, residual: Rows) -> Any:
        """What all steps of one dispatch draw from, made at its start; None for most."""
        return None

    def draw(self, key: Array, count: int, domain: Box, last: Last, pool: Any) -> Points:
        """The points of one step."""
        return Points(self.points(key, count, domain), jnp.ones(count))

    def check(self, experiment: Any) -> None:
        """Refuses, with a UserError, an experiment that the sampler does not serve."""
        return
