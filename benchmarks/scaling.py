"""The cost of a training step on paper, beside what the compiled program says.

    python benchmarks/scaling.py [--output=docs/scaling.md]

Counts the floating-point operations of compiled steps of three plain DeepONets (XLA's cost
analysis), and what their collectives sum on eight simulated devices (the optimised HLO), beside the
formulas of `flops` and `summed`; then predicts from the formulas how far the function axis scales.
Nothing is run but the compiler.
"""

import argparse
import itertools
import math
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import numpy as np

from hop import config as config_lib
from hop import files
from hop.ansatz import Functions
from hop.homotopy.terms import Stage
from hop.problem import Lam
from hop.provenance import credit, made
from hop.sharding import FUNCTION, Layout
from hop.training import Program, Window


class Model(NamedTuple):
    """A plain DeepONet for steady Burgers: n functions × q points, L hidden layers of one width."""

    name: str
    functions: int
    points: int
    width: int
    layers: int
    rank: int


MODELS = [
    Model("small", 128, 1_024, 128, 3, 128),
    Model("medium", 256, 4_096, 512, 4, 256),
    Model("large", 512, 16_384, 2_048, 5, 512),
]
SENSORS, JETS = 128, 3  # u, u_x, u_xx
CHIPS = (1, 8, 64, 512, 4_096)
PARTS = (1, 2, 4)
# A chip of the size of a TPU v5e in float32: what matrix products sustain, and an all-reduce.
RATE, BANDWIDTH, LATENCY = 1e13, 4.5e10, 1e-6  # FLOP/s, bytes/s, s a hop


def layers(model: Model, first: int) -> list[int]:
    return [first, *[model.width] * model.layers, model.rank]


def products(widths: list[int]) -> int:
    return sum(a * b for a, b in itertools.pairwise(widths))


def folded(model: Model) -> bool:
    """Whether the trunk's last layer, which is linear, acts on the branch (`DeepONet`)."""
    return model.width <= model.rank and model.functions < JETS * model.points


def flops(model: Model) -> dict[str, float]:
    """Of the matrix products of a step, forward and backward (three times forward)."""
    n, rows = model.functions, JETS * model.points
    last = model.width * model.rank if folded(model) else 0
    return {
        "branch": 6.0 * n * (products(layers(model, SENSORS)) + last),
        "trunk": 6.0 * rows * (products(layers(model, 1)) - last),
        "contraction": 6.0 * rows * n * (model.width if last else model.rank),
    }


def summed(model: Model) -> int:
    """Numbers that a step sums over the function axis.

    The gradients of what acts on functions, and the cotangents of the trunk's features: from there
    on every device does the trunk's backward pass itself.
    """
    widths = layers(model, SENSORS)
    last = (model.width + 1) * model.rank if folded(model) else 0
    features = model.width if folded(model) else model.rank
    return products(widths) + sum(widths[1:]) + last + JETS * model.points * features


def compiled(model: Model, devices: int, parts: int = 1) -> Any:
    config = config_lib.experiment(problem="burgers_steady", network="deeponet")
    config.problem.field = "unit"
    width = (model.width,) * model.layers
    config.network.update(branch=width, trunk=width, rank=model.rank)
    config.path.eps = (0.1,)
    config.strategy.tangent = 0.0
    config.solver.optimizer = "adam"
    config.train.update(functions=model.functions, points=model.points, accumulate=parts)
    experiment = config_lib.build(config_lib.parse(config.to_dict()))
    program = Program(experiment, Layout.create(devices, 1, jax.devices()[:devices]))
    laws, split = experiment.problem.inputs.items(), program.layout.sharding(FUNCTION)

    def given(size: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((model.functions, size), np.float32, sharding=split)

    lam = Lam(np.float32(0), np.float32(0.1))
    stage, window = Stage(np.int32(0), lam, lam, np.float32(0)), Window(np.int32(1), np.float32(9))
    whole = program.layout.replicated
    state = jax.eval_shape(program.init)
    state = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=whole), state)
    inputs = {k: Functions(given(v.width), given(v.size)) for k, v in laws}
    step = jax.jit(lambda s, i: program._step(s, stage, window, i, None))
    return step.lower(state, inputs).compile()


def all_reduced(text: str) -> int:
    """The numbers that the all-reduces of an HLO module sum."""
    found = re.findall(r"= (.*?) all-reduce(?:-start)?\(", text)
    shapes = [dims for shapes in found for dims in re.findall(r"f32\[([\d,]*)\]", shapes)]
    return sum(math.prod(int(n) for n in dims.split(",") if n) for dims in shapes)


def efficiency(model: Model, chips: int, weak: bool) -> float:
    """The predicted rate of functions × points, of that of as many chips alone.

    Nothing overlaps: seconds = FLOPs / RATE + 2 (1 − 1/D) bytes / BANDWIDTH + 2 (D − 1) LATENCY
    of a ring. `weak` keeps the functions of a chip as they are; else all chips share them.
    """
    parts = flops(model)
    share = 1.0 if weak else 1.0 / chips
    compute = (parts["trunk"] + share * (parts["branch"] + parts["contraction"])) / RATE
    ring = 2 * (1 - 1 / chips) * 4 * summed(model) / BANDWIDTH + 2 * (chips - 1) * LATENCY
    alone = sum(parts.values()) / RATE
    return alone * share / (compute + ring)


def memory(model: Model) -> list[list[str]]:
    """What a step on one device needs beside its arguments, by the parts that it is done in."""
    rows = []
    for parts in PARTS:
        needed = compiled(model, 1, parts).memory_analysis().temp_size_in_bytes
        branch = flops(model)["branch"] / sum(flops(model).values())
        share = 1 + (parts - 1) * branch
        rows.append([f"{parts}", f"{needed / 2**20:,.0f}", f"{share:.2f}"])
    return rows


def page() -> str:
    rows = []
    for model in MODELS[:2]:
        paper = sum(flops(model).values())
        one = compiled(model, 1).cost_analysis()["flops"]
        eight = all_reduced(compiled(model, 8).as_text())
        rows.append(
            [model.name, f"{paper / 1e9:.3g}", f"{one / 1e9:.3g}", f"{one / paper:.2f}",
             f"{summed(model):,}", f"{eight:,}"]
        )  # fmt: skip
    sizes = [
        [m.name, f"{m.functions:,} × {m.points:,}", f"{m.layers} × {m.width:,}", f"{m.rank}",
         *(f"{v / 1e12:.2g}" for v in flops(m).values()), f"{4 * summed(m) / 2**20:.3g}"]
        for m in MODELS
    ]  # fmt: skip
    tables = {
        weak: [
            [m.name, *(f"{100 * efficiency(m, chips, weak):.0f} %" for chips in CHIPS)]
            for m in MODELS
        ]
        for weak in (True, False)
    }
    head = ["", "1 chip", *(f"{chips:,} chips" for chips in CHIPS[1:])]
    command = "python benchmarks/scaling.py --output=docs/scaling.md"
    return "\n\n".join(
        [
            "# What a step costs, and how far it scales",
            "A plain DeepONet with L hidden layers, n functions, q points, rank p, J jets of the "
            "residual (u, u_x, u_xx: 3), P_b and P_t products in a pass through branch and trunk. "
            "The points are shared by the functions, so the trunk is evaluated once for all of "
            "them:",
            "    FLOPs = 6 n P_b + 6 J q P_t + 6 J n q p        (forward 2, backward 4)\n"
            "    bytes summed over the function axis = 4 (parameters of the branch + J q p)",
            "Where the trunk's last hidden width w is at most p, its last layer, which is linear, "
            "is applied to the branch's output instead: 6 (J q − n) w p fewer FLOPs, and J q w "
            "in place of J q p, with the layer's parameters, in the sum. Of these models the "
            "small one is such.",
            "Batches are split over the function axis, and parameters are replicated. In the "
            "forward pass nothing is exchanged. In the backward pass there is one all-reduce: the "
            "gradients of the branch and the cotangents of the trunk's features; the trunk's "
            "backward pass is then the same on every device, which costs time and no exchange.",
            files.table(
                [
                    "model",
                    "functions × points",
                    "layers",
                    "p",
                    "branch, TFLOP",
                    "trunk, TFLOP",
                    "contraction, TFLOP",
                    "summed, MiB",
                ],
                sizes,
            ),
            "## Beside the compiled program",
            "XLA's own count on one device holds the pointwise operations too; the all-reduces "
            "are read from the optimised HLO for eight devices. The collectives are also a test, "
            "`tests/system/test_processes.py`.",
            files.table(
                [
                    "model",
                    "GFLOP, formula",
                    "XLA's count",
                    "ratio",
                    "numbers summed, formula",
                    "in the HLO",
                ],
                rows,
            ),
            "## Memory",
            "`config.train.accumulate` works a step through in so many parts: of its points, and "
            "the branch is evaluated again for each. Every part has its own sum over the devices, "
            "of the gradients and of the cotangents of its own points. What the medium model needs "
            "on one device beside its arguments, by XLA's own count, and the FLOPs by the formula:",
            files.table(["accumulate", "MiB", "FLOPs, of those of one part"], memory(MODELS[1])),
            "Where the loss weighs the points of a function together (`strategy.slow`), the parts "
            "are of the functions; the trunk, which they share, is then evaluated again for each. "
            "Recomputing the residual in the backward pass (`jax.checkpoint`) was tried for "
            "`configs/burgers_time.py` and saved less than two parts do, so there is no option for "
            "it.",
            "## Predicted",
            f"For chips that sustain {RATE:.0e} FLOP/s in float32, an all-reduce as a ring at "
            f"{BANDWIDTH:.1e} bytes/s with {LATENCY:.0e} s a hop, nothing overlapped. Not "
            "measured: no such machine was at hand. The rate of functions × points, of that of "
            "as many chips alone, with as many functions on each chip however many there are:",
            files.table(head, tables[True]),
            "and with the same functions shared by all of them (where fewer than one is left to "
            "a chip, the point axis must take its part):",
            files.table(head, tables[False]),
            "What limits it: with few functions on a chip, the trunk, which every chip of the "
            "function axis evaluates for all points. `config.mesh.point` splits that. A ring's "
            "latency decides beyond a thousand chips; trees and tori do better.",
            credit(command, made(command)),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    text = page() + "\n"
    print(text)
    if args.output:
        files.write(args.output, text)


if __name__ == "__main__":
    main()
