"""Latin hypercube sampling: along every axis exactly one point in each of `count` equal slabs.

In one dimension that is a jittered grid.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from hop.domain import Box
from hop.samplers import Sampler

__all__ = ["Stratified"]


@dataclasses.dataclass(frozen=True)
class Stratified(Sampler):
    """Points by Latin hypercube sampling."""

    even: ClassVar[bool] = True

    def points(self, key: Array, count: int, domain: Box) -> Array:
        unit = jax.random.uniform(key, (count, domain.dim), float)
        slabs = jnp.arange(count, dtype=float)[:, None]
        if domain.dim > 1:
            keys = jax.random.split(jax.random.fold_in(key, 1), domain.dim)
            slabs = jax.vmap(lambda k: jax.random.permutation(k, count), out_axes=1)(keys)
        return domain.from_unit((slabs.astype(unit.dtype) + unit) / count)
