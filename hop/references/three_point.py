"""Newton's method for a system of equations that couple each node of an interval to its neighbours.

    E(w_{i−1}, w_i, w_{i+1}; data_i) = 0,  i = 1 … N − 1,

for c unknowns w_i at each of N + 1 equally spaced nodes, given at both ends. The Jacobian is block
tridiagonal; its blocks (c, c) are made by forward mode and eliminated from left to right.
Source: Golub, Van Loan, *Matrix Computations*, 4th ed., 4.5.1.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop import ambient
from hop.references.newton import iterate

_BATCH = 64

# (3, c) at a node and its neighbours, a pytree of the node's data, anything shared → (c,)
Equations = Callable[[Array, Any, Any], Array]


def newton(
    equations: Equations,
    start: Float[np.ndarray, "n k c"],
    data: Any,
    shared: Any,
    small: Float[np.ndarray, " n"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Solves for n functions.

    Args:
      equations: E, a function of a module.
      start: w, with the values that the ends keep, k = N + 1.
      data: arrays (n, N + 1, …), of which E sees those of its node.
      shared: numbers that it is given at every node.
      small: ends the iteration of each, once no unknown changes by more.

    Returns:
      As `iterate` of each: w (n, N + 1, c), the last change, the number of steps, the largest E.
    """
    made = []
    with ambient.on_cpu():
        for first in range(0, len(start), _BATCH):
            some = jax.tree.map(lambda v: jnp.asarray(v[first : first + _BATCH]), (start, data))  # noqa: B023
            enough = jnp.asarray(small[first : first + _BATCH])
            made.append(jax.tree.map(np.asarray, _newton(equations, *some, shared, enough)))
    return tuple(map(np.concatenate, zip(*made, strict=True)))  # type: ignore[return-value]


@functools.partial(jax.jit, static_argnums=0)
def _newton(equations: Equations, start: Array, data: Any, shared: Any, small: Array) -> Any:
    def one(w: Array, data: Any, small: Array) -> Any:
        inner, ends = w[1:-1], (w[:1], w[-1:])
        inside = jax.tree.map(lambda v: v[1:-1], data)

        def at(near: Array, of_node: Any) -> Array:
            return equations(near, of_node, shared)

        def step(flat: Array) -> tuple[Array, Array]:
            whole = jnp.concatenate([ends[0], flat.reshape(inner.shape), ends[1]])
            near = jnp.stack([whole[:-2], whole[1:-1], whole[2:]], axis=1)  # (N − 1, 3, c)
            rows = jax.vmap(at)(near, inside)
            blocks = jax.vmap(jax.jacfwd(at))(near, inside)  # (N − 1, c, 3, c)
            return rows.ravel(), eliminate(blocks, rows).ravel()

        found, *rest = iterate(step, inner.ravel(), small)
        return jnp.concatenate([ends[0], found.reshape(inner.shape), ends[1]]), *rest

    return jax.vmap(one)(start, data, small)


def eliminate(blocks: Float[Array, "k c 3 c"], rows: Float[Array, "k c"]) -> Float[Array, "k c"]:
    """z with blocks[i, :, 0] z_{i−1} + blocks[i, :, 1] z_i + blocks[i, :, 2] z_{i+1} = rows_i.

    The block beside the matrix, at either end, is not read.
    """
    c = rows.shape[1]

    def forward(carry: tuple[Array, Array], here: tuple[Array, Array]) -> Any:
        """z_i = g − G z_{i+1}."""
        (G, g), (block, row) = carry, here
        below = block[:, 0]
        right = jnp.concatenate([block[:, 2], (row - below @ g)[:, None]], axis=1)
        solved = _solve(block[:, 1] - below @ G, right)
        return (solved[:, :c], solved[:, c]), (solved[:, :c], solved[:, c])

    def backward(after: Array, here: tuple[Array, Array]) -> tuple[Array, Array]:
        z = here[1] - here[0] @ after
        return z, z

    zero = jnp.zeros((c, c), rows.dtype), jnp.zeros(c, rows.dtype)
    _, kept = jax.lax.scan(forward, zero, (blocks, rows))
    return jax.lax.scan(backward, zero[1], kept, reverse=True)[1]


def _solve(A: Float[Array, "c c"], B: Float[Array, "c k"]) -> Float[Array, "c k"]:
    """A⁻¹ B by elimination, written out: for many small matrices at once it is quick."""
    rows = [jnp.concatenate([a, b]) for a, b in zip(A, B, strict=True)]
    for k in range(len(rows)):
        pivot = rows[k] / rows[k][k]
        rows = [pivot if i == k else row - row[k] * pivot for i, row in enumerate(rows)]
    return jnp.stack(rows)[:, len(rows) :]
