"""Ways to the Laplacian of a perceptron in many dimensions, alternating in one run.

    python benchmarks/laplacian.py [--dim=20] [--points=4000] [--repeats=9]

* in turn: one nested `jvp` per axis, one after the other (`hop.derivatives.laplacian`);
* side by side: the same for all axes at once, by `vmap`;
* propagated: value, gradient and Laplacian pass each layer together (the forward Laplacian: Li et
  al., *Nature Machine Intelligence* 6 (2024), 209–219), as `hop.networks.hidden` does it;
* by hand: the same, written out for this network;
* folx: the forward Laplacian of any JAX function, if the package is installed.

Each is timed forward, with the gradient of ½ mean (Δu)² in the parameters, and with the rows of
the Jacobian in the parameters, one reverse pass a point. It prints a table.
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from hop import derivatives
from hop.files import table
from hop.networks import Params
from hop.networks.mlp import MLP
from hop.provenance import credit

Way = Callable[[Params, Array], Array]  # parameters and points (q, d) → (q,)


def ways(network: MLP) -> dict[str, Way]:
    def value(params: Params, x: Array) -> Array:
        return network.features(params, {}, x, ())[""][0, 0]

    def side_by_side(params: Params, x: Array) -> Array:
        def second(axis: Array) -> Array:
            along = jnp.broadcast_to(axis, x.shape)

            def slope(y: Array) -> Array:
                return jax.jvp(lambda z: value(params, z), (y,), (along,))[1]

            return jax.jvp(slope, (x,), (along,))[1]

        return jnp.sum(jax.vmap(second)(jnp.eye(x.shape[1])), axis=0)

    def layer_by_layer(params: Params, x: Array) -> Array:
        jets = network.features(params, {}, x, (derivatives.LAPLACIAN,))
        return jets[derivatives.LAPLACIAN][0, 0]

    found: dict[str, Way] = {
        "in turn": lambda params, x: derivatives.laplacian(lambda y: value(params, y), x),
        "side by side": side_by_side,
        "propagated": layer_by_layer,
        "by hand": jax.vmap(by_hand, (None, 0)),
    }
    if importlib.util.find_spec("folx"):
        import folx

        def by_folx(params: Params, point: Array) -> Array:
            return folx.forward_laplacian(lambda y: value(params, y[None])[0])(point).laplacian

        found["folx"] = jax.vmap(by_folx, (None, 0))
    return found


def by_hand(params: Params, x: Array) -> Array:
    """Δ of the tanh perceptron at a point (d,): σ′ = 1 − σ², σ″ = −2 σ σ′."""
    slope, curve = jnp.eye(len(x)), jnp.zeros_like(x)
    for i in range(len(params)):
        kernel = params[f"Dense_{i}"]["kernel"]
        x, slope, curve = x @ kernel + params[f"Dense_{i}"]["bias"], slope @ kernel, curve @ kernel
        if i < len(params) - 1:
            x = jnp.tanh(x)
            first = 1 - x**2
            curve = first * (curve - 2 * x * jnp.sum(slope**2, axis=0))
            slope = first * slope
    return curve[0]


def tasks(way: Way) -> dict[str, Way]:
    return {
        "forward": jax.jit(way),
        "gradient": jax.jit(jax.grad(lambda params, x: 0.5 * jnp.mean(way(params, x) ** 2))),
        "rows": jax.jit(
            jax.vmap(jax.grad(lambda params, point: way(params, point[None])[0]), (None, 0))
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dim", type=int, default=20)
    parser.add_argument("--points", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    network = MLP((30, 30, 30))
    params = network.init(jax.random.key(0), args.dim, {})
    x = jax.random.uniform(jax.random.key(1), (args.points, args.dim), minval=-1.0)
    programs = {name: tasks(way) for name, way in ways(network).items()}
    times: dict[tuple[str, str], list[float]] = {}
    for repeat in range(args.repeats + 1):  # the first compiles
        for name, of in programs.items():
            for task, program in of.items():
                began = time.perf_counter()
                jax.block_until_ready(program(params, x))
                if repeat:
                    times.setdefault((name, task), []).append(time.perf_counter() - began)
    exact = programs["side by side"]["forward"](params, x)
    rows = []
    for name, of in programs.items():
        difference = jnp.max(jnp.abs(of["forward"](params, x) - exact))
        cells = [
            f"{1e3 * statistics.median(times[name, task]):.0f} ({1e3 * min(times[name, task]):.0f})"
            for task in of
        ]
        rows.append([name, *cells, f"{difference:.0e}"])
    print(table(["Laplacian", "forward, ms", "gradient, ms", "rows, ms", "difference"], rows))
    print(
        f"\nMedian (least) of {args.repeats}; d = {args.dim}, {args.points:,} points, 3×30 tanh, "
        f"float64. {credit('python benchmarks/laplacian.py')}."
    )


if __name__ == "__main__":
    main()
