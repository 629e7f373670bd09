"""Collocation points where the residual is large.

From a pool of even random candidates, points are drawn without replacement by the density

    p ∝ |H|^k / mean |H|^k + c,

H the residual of the network as it is and |H|^k its mean over the input functions. The loss remains
the plain mean over the points drawn, so it weighs the residual by p.
Source: Wu, Zhu, Tan, Kartha, Lu, *Comput. Methods Appl. Mech. Engrg.* 403 (2023) 115671,
arXiv 2207.10289 (residual-based adaptive distribution, RAD).
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float


def log_density(
    residual: Float[Array, "n m"], power: float = 1.0, floor: float = 1.0
) -> Float[Array, " m"]:
    """ln p up to a constant, from H or any other rows at m points."""
    size = jnp.mean(jnp.abs(residual) ** power, axis=0)
    tiny = jnp.finfo(size.dtype).tiny
    return jnp.log(size / jnp.maximum(jnp.mean(size), tiny) + floor)


def draw(key: Array, log_density: Float[Array, " m"], count: int) -> Array:
    """Which points (count,) are drawn, one after the other, each by p among those left.

    Their order is that of ln p + independent Gumbel variables (Vieira 2014; Kool, van Hoof,
    Welling, arXiv 1903.06059).
    """
    noise = jax.random.gumbel(key, log_density.shape, log_density.dtype)
    return jax.lax.top_k(log_density + noise, count)[1]


class Candidates(NamedTuple):
    """The pool (m, d), and ln p (m,) up to a constant."""

    x: Array
    log_density: Array

    def draw(self, key: Array, count: int) -> Float[Array, "count d"]:
        return self.x[draw(key, self.log_density, count)]


@dataclasses.dataclass(frozen=True)
class ByResidual:
    """Attributes:
    pool: candidates for each point drawn.
    power: k.
    floor: c.
    """

    pool: int
    power: float
    floor: float

    def candidates(self, x: Float[Array, "m d"], residual: Float[Array, "n m"]) -> Candidates:
        """The pool x with the density that the residual at its points gives."""
        return Candidates(x, log_density(residual, self.power, self.floor))
