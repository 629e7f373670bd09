"""Nonlinear least squares for a small network: solvers side by side in one run.

    python benchmarks/least_squares.py [--steps=100]

Steady Allen–Cahn at ε = 0.2 by a 3×30 tanh network from a Xavier start: 400 residual rows, 1,921
parameters, float64, fixed points. The solvers:

* hop: `levenberg_marquardt`, one reverse pass a row, one QR whose core serves every damping;
* hop, Kaczmarz: `kaczmarz` on 200 of the rows a step;
* optimistix: its LevenbergMarquardt with the QR of lineax, if the packages are installed, the
  Jacobian of the whole vector by reverse or by forward mode;
* optax: L-BFGS with a zoom line search.

It prints a table: milliseconds a step, and the loss after so many steps. Compilation is not timed.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from hop.ansatz import Ansatz
from hop.files import table
from hop.homotopy.loss import Loss
from hop.homotopy.terms import Stage
from hop.homotopy.terms.residual import Residual
from hop.networks.mlp import MLP
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.provenance import credit
from hop.samplers import Points
from hop.solvers import Moment
from hop.solvers.kaczmarz import Kaczmarz
from hop.solvers.lbfgs import LBFGS
from hop.solvers.levenberg_marquardt import LevenbergMarquardt

Run = Callable[[Any, int], Any]  # θ at the start and a number of steps → θ


def by_hop(solver: Any, goal: Loss, unravel: Callable[[Any], Any]) -> Run:
    def step(i: Any, carry: Any) -> Any:
        params, state = carry
        return solver.step(goal, params, state, Moment(i, jnp.float64(jnp.inf), 1_000_000))[:2]

    @jax.jit
    def run(theta: Any, steps: Any) -> Any:
        params = unravel(theta)
        params, _ = jax.lax.fori_loop(0, steps, step, (params, solver.init(params)))
        return ravel_pytree(params)[0]

    return run


def by_optimistix(mode: str, goal: Loss, unravel: Callable[[Any], Any]) -> Run:
    import lineax
    import optimistix

    solver = optimistix.LevenbergMarquardt(rtol=0.0, atol=0.0, linear_solver=lineax.QR())

    def rows(theta: Any, _: Any) -> Any:
        return goal.vector(unravel(theta))

    def run(theta: Any, steps: int) -> Any:
        found = optimistix.least_squares(
            rows, solver, theta, options={"jac": mode}, max_steps=steps, throw=False
        )
        return found.value

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    ansatz = Ansatz(AllenCahn1D(), MLP())
    theta, unravel = ravel_pytree(ansatz.init(jax.random.key(0)))
    x = jnp.asarray(ansatz.problem.domain.grid(400))
    lam = Lam(jnp.float64(0), jnp.float64(0.2))
    stage = Stage(jnp.int32(0), lam, lam, jnp.float64(0))
    points = Points(x, jnp.ones(400))
    goal = Loss((Residual(),), ansatz, unravel(theta), {}, points, stage)
    runs = {
        "hop": by_hop(LevenbergMarquardt(), goal, unravel),
        "hop, Kaczmarz": by_hop(Kaczmarz(rows=200), goal, unravel),
        "optax, L-BFGS": by_hop(LBFGS(), goal, unravel),
    }
    if importlib.util.find_spec("optimistix"):
        runs["optimistix, reverse"] = by_optimistix("bwd", goal, unravel)
        runs["optimistix, forward"] = by_optimistix("fwd", goal, unravel)
    loss = jax.jit(lambda t: goal.loss(unravel(t))[0])
    print(table(["", "ms a step", f"loss after {args.steps} steps"], []), flush=True)
    for name, run in runs.items():
        jax.block_until_ready(run(theta, args.steps))
        began = time.perf_counter()
        end = jax.block_until_ready(run(theta, args.steps))
        spent = time.perf_counter() - began
        cells = [name, f"{1e3 * spent / args.steps:.1f}", f"{float(loss(end)):.1e}"]
        print("| " + " | ".join(cells) + " |", flush=True)
    print(f"\n{credit('python benchmarks/least_squares.py')}.")


if __name__ == "__main__":
    main()
