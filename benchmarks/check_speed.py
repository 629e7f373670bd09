"""A guard: hop's training step beside a naive one in the same process.

    make bench-check

Burgers in time by a DeepONet, 20 functions × 200 points: the program of `hop train` and the nested
`jax.grad` of `benchmarks/rivals/jaxpi_style.py` take turns on the same network. Fails if their
losses differ, or if hop is less than `AT_LEAST` times as fast. The ratio hardly depends on the
machine or on its load, so a change that makes hop's step slower shows.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import train_step

from hop.homotopy.loss import Loss
from hop.homotopy.terms import Stage
from hop.homotopy.terms.condition import Condition
from hop.homotopy.terms.residual import Residual
from hop.problem import Lam
from hop.samplers import Points

sys.path.append(str(Path(__file__).parent / "rivals"))
import jaxpi_style

FUNCTIONS, POINTS = 20, 200
AT_LEAST = 15.0
ROUNDS, STEPS = 7, {"hop": 10, "naive": 1}


def steps() -> tuple[Callable[[Any], Any], Callable[[Any], Any], Any]:
    """Loss and gradient by hop and by the naive code, and the parameters of both."""
    program = train_step.program(FUNCTIONS, POINTS)
    ansatz, given = program.ansatz, train_step.resident(program.ansatz.problem)
    inputs = jax.tree.map(lambda a: jnp.asarray(a[:FUNCTIONS]), given)
    x = jax.random.uniform(jax.random.key(2), (POINTS, 2))
    lam = Lam(jnp.float32(0), jnp.float32(train_step.EPS))
    stage = Stage(jnp.int32(0), lam, lam, jnp.float32(0))
    params = ansatz.init(jax.random.key(0))
    first = jnp.stack([jnp.linspace(0, 1, 20), jnp.zeros(20)], axis=1)
    initial = ansatz.input_jet(inputs, first, lam, ("",))["u0"][""]

    def ours(params: Any) -> Any:
        points = Points(x, jnp.ones(POINTS))
        made = Loss((Residual(), Condition()), ansatz, params, inputs, points, stage)
        return made.loss(params)[0]

    def naive(params: Any) -> Any:
        values = ansatz.problem.inputs["u0"].normalise(inputs["u0"].values)
        return jaxpi_style.loss(params, values, initial, x, train_step.EPS)

    return jax.jit(jax.value_and_grad(ours)), jax.jit(jax.value_and_grad(naive)), params


def main() -> None:
    ours, naive, params = steps()
    (a, gradient), (b, other) = ours(params), naive(params)
    np.testing.assert_allclose(a, b, rtol=1e-4)
    jax.tree.map(
        lambda f, g: np.testing.assert_allclose(f, g, rtol=1e-2, atol=1e-4), gradient, other
    )
    ratios = []
    for _ in range(ROUNDS):
        taken = []
        for step, count in ((ours, STEPS["hop"]), (naive, STEPS["naive"])):
            began = time.perf_counter()
            for _ in range(count):
                jax.block_until_ready(step(params))
            taken.append(1e3 * (time.perf_counter() - began) / count)
        ratios.append(taken[1] / taken[0])
        print(f"hop {taken[0]:.2f} ms, naive {taken[1]:.1f} ms: {ratios[-1]:.1f} times", flush=True)
    ratio = statistics.median(ratios)
    if ratio < AT_LEAST:
        raise SystemExit(f"hop's step is {ratio:.1f} times as fast, and should be {AT_LEAST:g}")
    print(f"hop's step is {ratio:.1f} times as fast; at least {AT_LEAST:g} are asked for")


if __name__ == "__main__":
    main()
