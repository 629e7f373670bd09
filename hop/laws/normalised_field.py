"""Gaussian random fields whose samples are scaled to one size.

A sample is mean + σ g/‖g‖ with g a Gaussian field of mean 0 and ‖g‖ its root mean square over the
box: every sample has the standard deviation σ, not only their mean. So the law is not quite
Gaussian.
"""

import dataclasses

import jax.numpy as jnp
from jax import Array

from hop.laws.gaussian_field import GaussianField
from hop.laws.spectral import Series

__all__ = ["NormalisedField"]


@dataclasses.dataclass(frozen=True)
class NormalisedField(GaussianField):
    """Gaussian fields, each scaled to one standard deviation σ over the box.

    It has the fields of `GaussianField`; σ is `std`, or of a power law its deviation.

    `spectrum` is that of σ g/E[‖g‖²]^½, nearly the law's own where many modes matter.
    """

    def sample(self, key: Array, n: int) -> Series:
        drawn = super().sample(key, n).coefficients
        size = jnp.linalg.norm(drawn, axis=1, keepdims=True) / self._volume**0.5
        return self.field(drawn * (self.deviation / size))
