"""Points in the layers of the solution as well as between them.

Along every coordinate that has layers (`hop.problem.Layered`) a share of the points lies at the
distance Exp(2δ) from a layer's wall, δ its width: half of the points for one layer, a third for
each of two, and so on. The loss remains the plain mean over the points drawn.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from hop.domain import Box
from hop.errors import UserError
from hop.problem import Layered as HasLayers
from hop.samplers import Last, Layers, Points
from hop.samplers.stratified import Stratified

__all__ = ["Layered"]


@dataclasses.dataclass(frozen=True)
class Layered(Stratified):
    """Points in the layers of the solution and between them."""

    even: ClassVar[bool] = False

    def draw(
        self, key: Array, count: int, domain: Box, last: Last, pool: Any, layers: Layers = ()
    ) -> Points:
        x = self.points(key, count, domain)
        low, high = jnp.asarray(domain.lower, x.dtype), jnp.asarray(domain.upper, x.dtype)
        for axis in range(domain.dim):
            here = [(end, width) for column, end, width in layers if column == axis]
            key = jax.random.fold_in(key, axis)
            which = jax.random.randint(key, (count,), 0, len(here) + 1)
            for k, (end, width) in enumerate(here):
                way = jnp.sign((low + high)[axis] / 2 - end)
                far = jax.random.exponential(jax.random.fold_in(key, k), (count,), x.dtype)
                far = (2 * far * width) % (high - low)[axis]
                x = x.at[:, axis].set(jnp.where(which == k, end + way * far, x[:, axis]))
        return Points(x, jnp.ones(count))

    def check(self, experiment: Any) -> None:
        problem = experiment.ansatz.problem
        if not isinstance(problem, HasLayers):
            raise UserError(
                f"config.train.sampler='layered' needs a problem that says where its layers are, "
                f"and {type(problem).__name__} has no 'layers'; use 'stratified'"
            )
