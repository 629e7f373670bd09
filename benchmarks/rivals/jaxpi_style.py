"""The step as the JAX codes of jaxpi's kind write it.

The network is a function of one point, and of one input function; `jax.grad`, nested,
differentiates it at the point; `jax.vmap` takes it over points and functions (Wang et al., arXiv
2308.08468, whose code is jaxpi). Written here for a DeepONet, Burgers in time, and a perceptron.
"""

import argparse
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

Params = Any  # as `hop.networks.deeponet` has them


def init(key: Array, branch: list[int], trunk: list[int]) -> Params:
    def perceptron(key: Array, widths: list[int]) -> Params:
        keys, xavier = jax.random.split(key, len(widths)), jax.nn.initializers.xavier_normal()
        return {
            f"Dense_{i}": {"kernel": xavier(keys[i], (a, b)), "bias": jnp.zeros(b)}
            for i, (a, b) in enumerate(itertools.pairwise(widths))
        }

    one, other = jax.random.split(key)
    return {
        "branch": perceptron(one, branch),
        "trunk": perceptron(other, trunk),
        "bias": jnp.zeros(()),
    }


def perceptron(params: Params, x: Array) -> Array:
    for i in range(len(params)):
        layer = params[f"Dense_{i}"]
        x = x @ layer["kernel"] + layer["bias"]
        x = jnp.tanh(x) if i < len(params) - 1 else x
    return x


def u_net(params: Params, u0: Array, x: Array, t: Array) -> Array:
    """u at a point (x, t) of [−1, 1]², for the sensor values u0 (m,)."""
    b = perceptron(params["branch"], u0)
    return jnp.sum(b * perceptron(params["trunk"], jnp.stack([x, t]))) + params["bias"]


def loss(params: Params, u0: Array, initial: Array, x: Array, eps: float | Array) -> Array:
    """½ mean of the squared residual, plus that of the errors on the boundary.

    Args:
      u0: sensor values (n, m).
      initial: u₀ (n, 20) at 20 equal distances.
      x: points (q, 2) on [0, 1]².
    """

    def u(u0: Array, x: Array, t: Array) -> Array:
        return u_net(params, u0, 2 * x - 1, 2 * t - 1)

    def residual(u0: Array, x: Array, t: Array) -> Array:
        u_x, u_t = jax.grad(u, 1)(u0, x, t), jax.grad(u, 2)(u0, x, t)
        u_xx = jax.grad(jax.grad(u, 1), 1)(u0, x, t)
        return u_t + u(u0, x, t) * u_x - eps * u_xx

    def everywhere(f: Callable[..., Array], x: Array, t: Array) -> Array:
        return jax.vmap(jax.vmap(f, (None, 0, 0)), (0, None, None))(u0, x, t)

    along, late = jnp.linspace(0, 1, 20), jnp.tile(jnp.linspace(0, 1, 10), 2)
    error = everywhere(u, along, jnp.zeros(20)) - initial
    walls = everywhere(u, jnp.repeat(jnp.arange(2.0), 10), late)
    boundary = jnp.concatenate([error, walls], axis=1)
    return 0.5 * (jnp.mean(everywhere(residual, *x.T) ** 2) + jnp.mean(boundary**2))


def loss_of_one(case: Any, params: Params, x: Array, eps: float) -> Array:
    """½ mean of the squared residual of one function at the points x (q, d) of [−1, 1]^d."""

    def u(*x: Array) -> Array:
        network = perceptron(params, jnp.stack(x))[0]
        return (1 - x[0] ** 2) * (1 - x[1] ** 2) * network if case.equation == "plane" else network

    def residual(x: Array) -> Array:
        curved = sum(jax.grad(jax.grad(u, k), k)(*x) for k in range(case.dim))
        value = u(*x)
        return (
            value**3 - value if case.equation == "plane" else -value / case.dim
        ) - eps**2 * curved

    return 0.5 * jnp.mean(jax.vmap(residual)(x) ** 2)


def prepare(case: Any, _: argparse.Namespace) -> Callable[[int], None]:
    from worker import EPS

    key = jax.random.key(0)
    if case.functions:
        values = jnp.asarray(case.values(), jnp.float32)
        at, grid = np.linspace(0, 1, 20), np.linspace(0, 1, case.sensors)
        initial = jnp.asarray(np.stack([np.interp(at, grid, v) for v in np.asarray(values)]))
        params = init(key, case.branch, case.trunk)
    else:
        params = init(key, [1, 1], case.perceptron)["trunk"]
    adam = optax.adam(1e-3)

    def objective(params: Params, key: Array) -> Array:
        here, there = jax.random.split(key)
        x = jax.random.uniform(here, (case.points, case.dim))
        if not case.functions:
            return loss_of_one(case, params, 2 * x - 1, EPS)
        drawn = jax.random.choice(there, len(values), (case.functions,))
        return loss(params, values[drawn], initial[drawn], x, EPS)

    @jax.jit
    def step(params: Params, state: Any, key: Array) -> Any:
        updates, state = adam.update(jax.grad(objective)(params, key), state, params)
        return optax.apply_updates(params, updates), state

    carry, keys = (params, adam.init(params)), iter(range(10**9))

    def steps(count: int) -> None:
        nonlocal carry
        for _ in range(count):
            carry = step(*carry, jax.random.key(next(keys)))
        jax.block_until_ready(carry)

    return steps


if __name__ == "__main__":
    from worker import serve

    serve(prepare)
