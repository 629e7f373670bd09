"""Collocation points where the solution is steep.

On an interval, even points t in [0, 1] are moved to x(t) with

    dx/dt ∝ 1/w,   w = 1 + |u_x|^½ / mean |u_x|^½,

u the network of the last stage and the mean of |u_x|^½ also over the input functions: half of the
points lie evenly, half where u is steep. The square root spreads them over the flanks of a layer
too, where u_xx is large. (Equidistribution of a monitor function: Huang, Russell, *Adaptive Moving
Mesh Methods*, Springer 2011, chapter 2.)
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from hop.domain import Box
from hop.errors import UserError
from hop.samplers import Last, Layers, Points
from hop.samplers.stratified import Stratified

__all__ = ["Adaptive"]

_GRID = 4001  # where w is evaluated; four points per ε at ε = 0.001


@dataclasses.dataclass(frozen=True)
class Adaptive(Stratified):
    """Points where the solution is steep."""

    even: ClassVar[bool] = False
    at_one_eps: ClassVar[bool] = True

    def draw(
        self, key: Array, count: int, domain: Box, last: Last, pool: Any, layers: Layers = ()
    ) -> Points:
        x = self.points(key, count, domain)
        low, width = domain.lower[0], domain.upper[0] - domain.lower[0]
        grid = jnp.asarray(domain.grid(_GRID), x.dtype)
        slope = last(grid, ("x",))["x"]
        steep = jnp.sqrt(jnp.abs(jax.lax.stop_gradient(slope))).reshape(-1, _GRID)
        floor = jnp.finfo(x.dtype).tiny
        steep = jnp.mean(steep, axis=0)
        weight = 1 + steep / jnp.maximum(jnp.mean(steep), floor)
        total = jnp.cumsum((weight[1:] + weight[:-1]) / 2)
        total = jnp.concatenate([jnp.zeros_like(total[:1]), total]) / total[-1]
        moved = jnp.interp((x[:, 0] - low) / width, total, grid[:, 0])
        spacing = 1 / jnp.interp(moved, grid[:, 0], weight / jnp.mean(weight))
        return Points(moved[:, None], spacing)

    def check(self, experiment: Any) -> None:
        dim = experiment.ansatz.problem.domain.dim
        if dim > 1:
            raise UserError(
                f"config.train.sampler='adaptive' needs an interval, and this domain has {dim} "
                "dimensions; use 'stratified'"
            )
