"""The step as the JAX codes of jaxpi's kind write it.

The network is a function of one point, and of one input function; `jax.grad`, nested,
differentiates it at the point; `jax.vmap` takes it over points and functions (Wang et al., arXiv
2308.08468, whose code is jaxpi). Written here for a DeepONet, Burgers in time, and a perceptron.
"""

import argparse
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from worker import CHANNELS, EPS, HARMONICS, serve, waves_of

Params = Any  # as `hop.networks.deeponet` has them


def init(key: Array, widths: list[int]) -> Params:
    """A perceptron of these widths."""
    keys, xavier = jax.random.split(key, len(widths)), jax.nn.initializers.xavier_normal()
    return {
        f"Dense_{i}": {"kernel": xavier(keys[i], (a, b)), "bias": jnp.zeros(b)}
        for i, (a, b) in enumerate(itertools.pairwise(widths))
    }


def init_operator(key: Array, *networks: tuple[str, list[int]]) -> Params:
    keys = jax.random.split(key, len(networks))
    made = {name: init(k, widths) for k, (name, widths) in zip(keys, networks, strict=True)}
    return made | {"bias": jnp.zeros(())}


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


def u_nonlinear(params: Params, u0: Array, waves: Array, x: Array, t: Array) -> Array:
    """u = u₀ + t·D(features, u₀, t) at a point (x, t) of [0, 1]², x on the circle.

    Args:
      u0: sensor values (m,).
      waves: of its trigonometric interpolant, cosines first, (2k,).
    """

    def circle(count: int) -> Array:
        angle = 2 * math.pi * x * jnp.arange(1, count + 1)
        return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)])

    at = jnp.append(circle(HARMONICS), t)
    b = perceptron(params["branch"], u0).reshape(CHANNELS, -1)
    features = jnp.sum(b * perceptron(params["trunk"], at).reshape(CHANNELS, -1), axis=1)
    a = waves @ circle(len(waves) // 2)
    seen = jnp.concatenate([features, jnp.stack([a, t])])
    return a + t * (perceptron(params["decoder"], seen)[0] + params["bias"])


def burgers(u: Callable[..., Array], eps: float | Array) -> Callable[..., Array]:
    """u_t + u u_x − ε u_xx of a function's u(function, x, t), at a point."""

    def residual(function: Any, x: Array, t: Array) -> Array:
        u_x, u_t = jax.grad(u, 1)(function, x, t), jax.grad(u, 2)(function, x, t)
        u_xx = jax.grad(jax.grad(u, 1), 1)(function, x, t)
        return u_t + u(function, x, t) * u_x - eps * u_xx

    return residual


def everywhere(f: Callable[..., Array], functions: Any, x: Array, t: Array) -> Array:
    """f(function, x, t) of every function (n, …) at every point (q,): (n, q)."""
    return jax.vmap(jax.vmap(f, (None, 0, 0)), (0, None, None))(functions, x, t)


def loss(params: Params, u0: Array, initial: Array, x: Array, eps: float | Array) -> Array:
    """½ mean of the squared residual, plus that of the errors on the boundary.

    Args:
      u0: sensor values (n, m).
      initial: u₀ (n, 20) at 20 equal distances.
      x: points (q, 2) on [0, 1]².
    """

    def u(u0: Array, x: Array, t: Array) -> Array:
        return u_net(params, u0, 2 * x - 1, 2 * t - 1)

    along, late = jnp.linspace(0, 1, 20), jnp.tile(jnp.linspace(0, 1, 10), 2)
    error = everywhere(u, u0, along, jnp.zeros(20)) - initial
    walls = everywhere(u, u0, jnp.repeat(jnp.arange(2.0), 10), late)
    boundary = jnp.concatenate([error, walls], axis=1)
    residual = everywhere(burgers(u, eps), u0, *x.T)
    return 0.5 * (jnp.mean(residual**2) + jnp.mean(boundary**2))


def loss_of_nonlinear(params: Params, u0: Array, waves: Array, x: Array, eps: float) -> Array:
    """½ mean of the squared residual at the points x (q, 2) of [0, 1]²."""

    def u(function: tuple[Array, Array], x: Array, t: Array) -> Array:
        return u_nonlinear(params, *function, x, t)

    return 0.5 * jnp.mean(everywhere(burgers(u, eps), (u0, waves), *x.T) ** 2)


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
    key = jax.random.key(0)
    if case.functions:
        table = case.values()
        values, grid = jnp.asarray(table, jnp.float32), np.linspace(0, 1, case.sensors)
        networks = [("branch", case.branch), ("trunk", case.trunk)]
        if case.nonlinear:
            networks.append(("decoder", case.decoder))
            beside, loss_of = jnp.asarray(table @ waves_of(case.sensors)), loss_of_nonlinear
        else:
            at = np.linspace(0, 1, 20)
            beside, loss_of = jnp.asarray(np.stack([np.interp(at, grid, v) for v in table])), loss
        params = init_operator(key, *networks)
    else:
        params = init(key, case.perceptron)
    adam = optax.adam(1e-3)

    def objective(params: Params, key: Array) -> Array:
        here, there = jax.random.split(key)
        x = jax.random.uniform(here, (case.points, case.dim))
        if not case.functions:
            return loss_of_one(case, params, 2 * x - 1, EPS)
        drawn = jax.random.choice(there, len(values), (case.functions,))
        return loss_of(params, values[drawn], beside[drawn], x, EPS)

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
    serve(prepare)
