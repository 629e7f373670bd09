"""Collocation points where the solution is steep.

On an interval, even points t in [0, 1] are moved to x(t) with

    dx/dt ∝ 1/w,   w = 1 + |u_x|^½ / mean |u_x|^½,

u the network of the last stage and the mean of |u_x|^½ also over the input functions: half of the
points lie evenly, half where u is steep. The square root spreads them over the flanks of a layer
too, where u_xx is large. (Equidistribution of a monitor function: Huang, Russell, *Adaptive Moving
Mesh Methods*, Springer 2011, chapter 2.)
"""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from hop.ansatz import Ansatz, Inputs
from hop.networks import Params

_GRID = 4001  # where w is evaluated; four points per ε at ε = 0.001


def equidistribute(
    ansatz: Ansatz, params: Params, inputs: Inputs | None, x: Float[Array, "q 1"]
) -> tuple[Float[Array, "q 1"], Float[Array, " q"]]:
    """The points moved, and their density's inverse dx/dt, 1 on average over the interval.

    Args:
      ansatz: the network inside a problem on an interval.
      params: θ_{k−1}.
      inputs: n input functions, or None.
      x: points of even density.
    """
    domain = ansatz.problem.domain
    low, width = domain.lower[0], domain.upper[0] - domain.lower[0]
    grid = jnp.asarray(domain.grid(_GRID), x.dtype)
    slope = ansatz.jet(params, inputs, grid, ("x",))["x"]
    steep = jax.lax.stop_gradient(jnp.mean(jnp.sqrt(jnp.abs(slope)), axis=0))
    floor = jnp.finfo(x.dtype).tiny
    weight = 1 + steep / jnp.maximum(jnp.mean(steep), floor)
    total = jnp.cumsum((weight[1:] + weight[:-1]) / 2)
    total = jnp.concatenate([jnp.zeros_like(total[:1]), total]) / total[-1]
    moved = jnp.interp((x[:, 0] - low) / width, total, grid[:, 0])
    spacing = 1 / jnp.interp(moved, grid[:, 0], weight / jnp.mean(weight))
    return moved[:, None], spacing
