"""The same tensor grid at every step, ends included."""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jax import Array

from hop.domain import Box
from hop.errors import UserError
from hop.samplers import Sampler

__all__ = ["Grid"]


@dataclasses.dataclass(frozen=True)
class Grid(Sampler):
    """The points of a tensor grid."""

    def points(self, key: Array, count: int, domain: Box) -> Array:
        along = round(count ** (1 / domain.dim))
        return jnp.asarray(domain.grid(along), float)

    def check(self, experiment: Any) -> None:
        count, dim = experiment.config.train.points, experiment.ansatz.problem.domain.dim
        if round(count ** (1 / dim)) ** dim != count:
            raise UserError(
                f"config.train.points={count} is no grid in {dim} dimensions; use a "
                f"{dim}-th power or another config.train.sampler"
            )
