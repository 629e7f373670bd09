"""Collocation points where the residual is large.

From a pool of even random candidates, points are drawn without replacement by the density

    p ∝ |H|^k / mean |H|^k + c,

H the residual of the network as it is and |H|^k its mean over the input functions. The loss remains
the plain mean over the points drawn, so it weighs the residual by p. A solver that keeps its points
for a stage, as Levenberg–Marquardt, takes H of the network that the stage starts from.
Source: Wu, Zhu, Tan, Kartha, Lu, *Comput. Methods Appl. Mech. Engrg.* 403 (2023) 115671,
arXiv 2207.10289 (residual-based adaptive distribution, RAD).
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from hop.domain import Box
from hop.errors import UserError
from hop.samplers import Last, Layers, Points, Rows, Sampler
from hop.samplers.stratified import Stratified

__all__ = ["ByResidual"]

_EVEN = Stratified()


def log_density(
    residual: Float[Array, "*n m"], power: float = 1.0, floor: float = 1.0
) -> Float[Array, " m"]:
    """ln p up to a constant, from H or any other rows at m points."""
    size = jnp.mean(jnp.abs(residual) ** power, axis=tuple(range(residual.ndim - 1)))
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


@dataclasses.dataclass(frozen=True)
class ByResidual(Sampler):
    """Points where the residual is large.

    Attributes:
    candidates: what draws the pool.
    ratio: candidates for each point drawn.
    power: k.
    floor: c.
    """

    candidates: Sampler = _EVEN
    ratio: int = 20
    power: float = 1.0
    floor: float = 1.0

    at_one_eps: ClassVar[bool] = True

    def points(self, key: Array, count: int, domain: Box) -> Array:
        return self.candidates.points(key, count, domain)

    def pool(self, key: Array, count: int, domain: Box, residual: Rows) -> Candidates:
        x = self.points(jax.random.fold_in(key, 1), self.ratio * count, domain)
        return Candidates(x, log_density(residual(x), self.power, self.floor))

    def draw(
        self,
        key: Array,
        count: int,
        domain: Box,
        last: Last,
        pool: Candidates | None,
        layers: Layers = (),
    ) -> Points:
        if pool is None:  # as for a predictor
            return super().draw(key, count, domain, last, pool)
        return Points(pool.x[draw(key, pool.log_density, count)], jnp.ones(count))

    def check(self, experiment: Any) -> None:
        config = experiment.config
        if not self.candidates.even:
            raise UserError(
                "points by the residual are drawn from random ones, not from those of "
                f"config.train.sampler={config.train.sampler!r}; use uniform or stratified"
            )
        if not experiment.plan.pointwise:
            raise UserError(
                "points by the residual lie unevenly, and strategy.slow, strategy.pin and "
                "config.train.tests weigh all points together; leave these out, or use "
                "config.train.sampler=stratified"
            )
