"""Each point drawn independently."""

import dataclasses
from typing import ClassVar

import jax
from jax import Array

from hop.domain import Box
from hop.samplers import Sampler

__all__ = ["Uniform"]


@dataclasses.dataclass(frozen=True)
class Uniform(Sampler):
    """Independent uniform points."""

    even: ClassVar[bool] = True

    def points(self, key: Array, count: int, domain: Box) -> Array:
        return domain.from_unit(jax.random.uniform(key, (count, domain.dim), float))
