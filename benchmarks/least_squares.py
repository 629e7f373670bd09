"""Nonlinear least squares for a small network: solvers side by side in one run.

    python benchmarks/least_squares.py [--steps=20] [--output=docs/results]

Steady Allen–Cahn at ε = 0.2 by a 3×30 tanh network from a Xavier start, 1,951 parameters, float64,
fixed points, fewer or more than parameters. The solvers:

* hop: `levenberg_marquardt`, one reverse pass a row;
* hop, by QR alone: the same without squares of the Jacobian (`hop.least_squares`);
* hop, Kaczmarz: `kaczmarz` on 200 of the rows a step;
* optimistix: its LevenbergMarquardt with the QR of lineax and the Jacobian by reverse mode, if the
  packages are installed;
* optax: L-BFGS with a zoom line search.

Then a QR factorisation beside processes that only compute, by one thread of OpenBLAS, as hop has
it, and by two. Compilation is not timed. Writes least_squares.md into the folder of --output, or
prints it alone.
"""

import argparse
import importlib.util
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from hop import files, least_squares
from hop.ansatz import Ansatz
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

SIZES = 400, 2_400  # rows
ABOUT = """Steady Allen–Cahn at ε = 0.2, a 3×30 tanh network of 1,951 parameters from a Xavier
start, float64. *hop* is `levenberg_marquardt`, which squares the Jacobian where that keeps the
digits (`hop.least_squares`), or never, *by QR alone*; optimistix takes lineax's QR and reverse
mode."""

BUSY = 0, 4, 11  # processes beside it
LIMIT = 120  # seconds for four factorisations
FACTORISED = 2_400, 1_921
BESIDE = """A QR factorisation of {0:,} × {1:,} in float64, alone and beside processes that only
compute: seconds, and those of the process's own threads, median of three. hop sets one thread of
OpenBLAS where `OPENBLAS_NUM_THREADS` says nothing else."""

Run = Callable[[Any, int], Any]  # θ at the start and a number of steps → θ


class ByQR(LevenbergMarquardt):
    """The same, whose damping is always taken to be too small for squares."""

    def step(self, *args: Any) -> Any:
        with mock.patch.object(least_squares, "_ROUNDINGS", math.inf):
            return super().step(*args)


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


def measure(rows: int, steps: int, others: bool) -> list[list[str]]:
    """Of each solver, milliseconds a step and the loss after so many."""
    ansatz = Ansatz(AllenCahn1D(), MLP())
    theta, unravel = ravel_pytree(ansatz.init(jax.random.key(0)))
    x = jnp.asarray(ansatz.problem.domain.grid(rows))
    lam = Lam(jnp.float64(0), jnp.float64(0.2))
    stage = Stage(jnp.int32(0), lam, lam, jnp.float64(0))
    goal = Loss((Residual(),), ansatz, unravel(theta), {}, Points(x, jnp.ones(rows)), stage)
    runs = {
        "hop": by_hop(LevenbergMarquardt(), goal, unravel),
        "hop, by QR alone": by_hop(ByQR(), goal, unravel),
    }
    if others:
        runs["hop, Kaczmarz"] = by_hop(Kaczmarz(rows=200), goal, unravel)
        runs["optax, L-BFGS"] = by_hop(LBFGS(), goal, unravel)
        if importlib.util.find_spec("optimistix"):
            runs["optimistix, reverse"] = by_optimistix("bwd", goal, unravel)
    loss, found = jax.jit(lambda t: goal.loss(unravel(t))[0]), []
    for name, run in runs.items():
        jax.block_until_ready(run(theta, steps))
        began = time.perf_counter()
        end = jax.block_until_ready(run(theta, steps))
        spent = time.perf_counter() - began
        found.append([name, f"{1e3 * spent / steps:.1f}", f"{float(loss(end)):.1e}"])
        print(*found[-1], sep="  ", flush=True)
    return found


def factorise() -> None:
    """Prints seconds, and processor seconds, of a factorisation."""
    a = jax.random.normal(jax.random.key(0), FACTORISED)
    factor, took = jax.jit(lambda a: jnp.linalg.qr(a, mode="r")), []
    for _ in range(4):
        began = time.perf_counter(), time.process_time()
        jax.block_until_ready(factor(a))
        took.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    print(*map(statistics.median, zip(*took[1:], strict=True)))  # the first one compiles


def beside(others: int, threads: int) -> str:
    """What `factorise` prints, in words, beside other processes."""
    command, env = [sys.executable, __file__, "--factorise"], {"OPENBLAS_NUM_THREADS": str(threads)}
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(others)]
    try:
        made = subprocess.run(
            command, env=os.environ | env, timeout=LIMIT, check=True, capture_output=True
        )
    except subprocess.TimeoutExpired:
        return f"four not done in {LIMIT} s"
    finally:
        for process in busy:
            process.kill()
            process.wait()
    whole, own = map(float, made.stdout.split())
    return f"{whole:.2f}, {own:.2f} of its own"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--factorise", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    if args.factorise:
        factorise()
        return
    head = ["", "ms a step", f"loss after {args.steps} steps"]
    page = f"# Least squares, side by side\n\n{ABOUT}"
    for rows in SIZES:
        found = measure(rows, args.steps, others=rows == SIZES[0])
        page += f"\n\n## {rows:,} rows\n\n{files.table(head, found)}"
    rows_of = [[f"{busy}", *(beside(busy, threads) for threads in (2, 1))] for busy in BUSY]
    table = files.table(["processes beside it", "two threads", "one thread"], rows_of)
    page += f"\n\n## Beside other processes\n\n{BESIDE.format(*FACTORISED)}\n\n{table}"
    page += f"\n\n{credit('python benchmarks/least_squares.py')}.\n"
    print(page)
    if args.output:
        files.write(args.output / "least_squares.md", page)


if __name__ == "__main__":
    main()
