"""Samplers: where the collocation points of a step are, one file each.

A sampler is a frozen dataclass, found by the name of its module: `config.train.sampler`.
A strategy may put another in its place. Shapes: n functions, q points, d coordinates.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array

from hop.derivatives import Jet
from hop.domain import Box

Rows = Callable[[Array], Array]  # points (m, d) → H there (n, m), of the network as it is
Layers = Sequence[tuple[int, float, Any]]  # of each: the column across it, its wall, its width
Last = Callable[[Array, Sequence[str]], Jet]  # points, labels → the jet of the last stage's network


class Points(NamedTuple):
    """Points (q, d), and for each its inverse density (q,), 1 on average over the domain.

    A term of the loss that owns its points keeps what it likes for each, (q, …), in its place.
    Where ε is an input, every point has its own, `eps` (q,).
    """

    x: Array
    beside: Any
    eps: Any = None


def of_each(key: Array, count: int, low: Any, high: float) -> Array:
    """An ε for each of `count` points, (count,): log ε is even and stratified over [low, high].

    It goes 4 % beyond either end, where a network is otherwise worst.
    """
    order, jitter = jax.random.split(key)
    slabs = jax.random.permutation(order, count).astype(float)
    unit = (slabs + jax.random.uniform(jitter, (count,), float)) / count
    below, above = jnp.log(low), jnp.log(high)
    return jnp.exp(below + (above - below) * (1.08 * unit - 0.04))


@runtime_checkable
class Sampler(Protocol):
    """Draws the points of a step, the same for all functions.

    Attributes:
      even: whether the points are random and of even density.
      at_one_eps: whether they make no sense where ε is an input.
    """

    even: ClassVar[bool] = False
    at_one_eps: ClassVar[bool] = False

    def points(self, key: Array, count: int, domain: Box) -> Array:
        """Points (count, d), in the default float type."""

    def pool(self, key: Array, count: int, domain: Box, residual: Rows) -> Any:
        """What all steps of one dispatch draw from, made at its start; None for most."""
        return None

    def draw(
        self, key: Array, count: int, domain: Box, last: Last, pool: Any, layers: Layers = ()
    ) -> Points:
        """The points of one step."""
        return Points(self.points(key, count, domain), jnp.ones(count))

    def check(self, experiment: Any) -> None:
        """Refuses, with a UserError, an experiment that the sampler does not serve."""
        return
