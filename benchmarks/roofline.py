"""Where the time of a training step goes: operations needed, the machine's rate, and the rest.

    python benchmarks/roofline.py [--output=docs/results]

Burgers in time at 100 functions × 2,500 points, as in `benchmarks/train_step.py`. Beside the step
it times, in turn with it, parts of it and a large matrix product in float32, whose rate is taken as
the machine's. A trace of the compiled step then says what share of the time is matrix products.

Writes roofline.md and roofline.json into the folder of --output, or prints the page without one.
"""

import argparse
import glob
import gzip
import itertools
import json
import os
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import report
import train_step

from hop import files
from hop.homotopy.terms import Stage
from hop.problem import Lam
from hop.provenance import credit, made
from hop.training import Window

FUNCTIONS, POINTS, SIDE, ROUNDS, CALLS = 100, 2_500, 2_048, 11, 5
JETS = 3  # u, u_x, and u_xx with u_t (`hop.curves`)

Found = dict[str, Any]
Compiled = tuple[Any, tuple[Any, ...]]


def products(*widths: int) -> int:
    """Products in a pass of one row through a perceptron."""
    return sum(a * b for a, b in itertools.pairwise(widths))


def flops(functions: int = FUNCTIONS, points: int = POINTS) -> dict[str, float]:
    """Of the matrix products, forward and backward; formulas as in docs/scaling.md."""
    rows, width = JETS * points, 128
    return {
        "branch": 6.0 * functions * products(101, *[width] * 5),  # the trunk's last layer too
        "trunk": 6.0 * rows * products(2, *[width] * 3),
        "contraction": 6.0 * rows * functions * width,
    }


def programs(functions: int = FUNCTIONS, points: int = POINTS, *only: str) -> dict[str, Compiled]:
    """name → a compiled program and its arguments: the step and parts of it, or some of them."""
    program = train_step.program(functions, points)
    ansatz, given = program.ansatz, train_step.resident(program.ansatz.problem)
    inputs = jax.tree.map(lambda a: jnp.asarray(a[:functions]), given)
    lam = Lam(np.float32(0), np.float32(train_step.EPS))
    stage, window = Stage(np.int32(0), lam, lam, np.float32(0)), Window(np.int32(1), np.float32(9))
    state = program.init()

    def values(state: Any) -> Any:
        x = program.points(state, stage, inputs, None).x
        return ansatz.jet(state.params, inputs, x, lam, ())[""]

    def loss(state: Any) -> Any:
        return program._objective(state, stage, inputs, None).loss(state.params)[0]

    def gradient(state: Any) -> Any:
        return jax.grad(program._objective(state, stage, inputs, None).loss, has_aux=True)(
            state.params
        )

    def step(state: Any) -> Any:
        return program._step(state, stage, window, inputs, None)

    square = jax.random.normal(jax.random.key(0), (SIDE, SIDE))
    parts: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "u alone": (values, (state,)),
        "loss": (loss, (state,)),
        "gradient": (gradient, (state,)),
        "step": (step, (state,)),
        "product": (jnp.matmul, (square, square)),
    }
    names = only or parts
    return {name: (jax.jit(f).lower(*a).compile(), a) for name in names for f, a in [parts[name]]}


def shares(program: Any, arguments: tuple[Any, ...], steps: int = 10) -> Counter[str]:
    """kind of operation → its share of the threads' busy time, by a trace."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(steps):
                jax.block_until_ready(program(*arguments))
        (path,) = glob.glob(f"{folder}/**/*.trace.json.gz", recursive=True)
        with gzip.open(path) as trace:
            events = json.load(trace)["traceEvents"]
    text, found = program.as_text(), Counter[str]()
    for event in events:
        if event.get("ph") == "X" and "hlo_op" in event.get("args", {}):
            found[kind(event["name"], text)] += event["dur"]
    total = sum(found.values())
    return Counter({name: taken / total for name, taken in found.items()})


def kind(name: str, text: str) -> str:
    """Of an instruction of an HLO module: a matrix product, or another thing."""
    line = re.search(rf"%?{re.escape(name)} = .*", text)
    body = line[0] if line else ""
    if called := re.search(r"calls=%?([\w.\-]+)", body):
        inner = re.search(rf"^%?{re.escape(called[1])} .*?^}}", text, re.MULTILINE | re.DOTALL)
        body = inner[0] if inner else body
    if " dot(" in body:
        return "matrix products"
    if " tanh(" in body:
        return "tanh"
    if " reduce(" in body:
        return "sums"
    if re.search(r" (copy|transpose|concatenate)\(", body):
        return "copies and transposes"
    return "other pointwise operations"


def measure() -> Found:
    of, times = programs(), dict[str, list[float]]()
    steps = train_step.stepper(train_step.program(FUNCTIONS, POINTS))  # a loop in one program

    def repeat(program: Any, arguments: tuple[Any, ...]) -> None:
        for _ in range(CALLS):
            jax.block_until_ready(program(*arguments))

    for k in range(ROUNDS + 1):
        for name, case in of.items():
            began = time.perf_counter()
            if name == "step":
                steps(CALLS)
            else:
                repeat(*case)
            if k:
                times.setdefault(name, []).append((time.perf_counter() - began) / CALLS)
    seconds = {name: statistics.median(taken) for name, taken in times.items()}
    formula, counted = flops(), of["step"][0].cost_analysis()["flops"]
    rate = 2 * SIDE**3 / seconds["product"]
    return {
        "flops": formula,
        "flops_by_xla": counted,
        "rate": rate,
        "ms": {name: 1e3 * taken for name, taken in seconds.items()},
        "reached": sum(formula.values()) / seconds["step"] / rate,
        "shares": dict(shares(*of["step"]).most_common()),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
    }


def page(found: Found, by: dict[str, str]) -> str:
    total = sum(found["flops"].values())
    ms, floor = found["ms"], 1e3 * total / found["rate"]
    rows = [
        *([f"operations, {name}", f"{value / 1e9:.2f} GFLOP"] for name, value in
          found["flops"].items()),
        ["operations, all products of the formula", f"{total / 1e9:.2f} GFLOP"],
        ["operations by XLA's count, pointwise ones included",
         f"{found['flops_by_xla'] / 1e9:.2f} GFLOP"],
        [f"rate of a float32 product of {SIDE:,} × {SIDE:,} matrices",
         f"{found['rate'] / 1e9:.0f} GFLOP/s"],
        ["the products of the formula at that rate", f"{floor:.1f} ms"],
        ["u alone, forward", f"{ms['u alone']:.1f} ms"],
        ["loss, forward", f"{ms['loss']:.1f} ms"],
        ["loss and gradient", f"{ms['gradient']:.1f} ms"],
        ["step", f"{ms['step']:.1f} ms"],
        ["share of that rate reached", f"{100 * found['reached']:.0f} %"],
    ]  # fmt: skip
    kinds = [[name, f"{100 * share:.1f} %"] for name, share in found["shares"].items()]
    return (
        "\n\n".join(
            [
                "# Roofline of a step",
                f"Burgers in time, {FUNCTIONS} functions × {POINTS:,} points, branch "
                "101-128-128-128-128, trunk 2-128-128-128-128, float32, Adam; what it means is in "
                "[Performance](../performance.md).",
                files.table(["", "measured or counted"], rows),
                "What the threads are busy with in the compiled step, by a trace of it:",
                files.table(["", "share"], kinds),
                f"Medians of {ROUNDS}, on {found['cores']} cores, load {found['load']:.1f} at the "
                f"end. {credit(by['command'], by)}",
            ]
        )
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    found, by = measure(), made("python benchmarks/roofline.py --output=docs/results")
    report.keep(args.output, "roofline", page(found, by), found | by)


if __name__ == "__main__":
    main()
