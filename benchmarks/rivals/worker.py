"""A contestant's side of `benchmarks/rivals.py`; the standard library and NumPy alone.

A contestant is a script in a process of its own. It is told a case on its command line, makes the
training step, takes some steps, says "ready", and from then on answers a line with a number of
steps by the seconds that they took. When its input ends it says how much memory it took at most.
"""

import argparse
import dataclasses
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Steps = Callable[[int], None]  # takes as many training steps, and waits for them

EPS = 0.01
HARMONICS, CHANNELS = 4, 8
DIMS = {"time": 2, "steady": 1, "front": 1, "plane": 2, "helmholtz": 20}


@dataclasses.dataclass(frozen=True)
class Case:
    """A network, an equation and a batch: a DeepONet where there are functions, else a perceptron.

    Attributes:
      equation: of operators "time", u_t + u u_x − ε u_xx = 0 with soft data on the boundary, or
        "steady", u u_x − ε u_xx = (π/2) sin 2πx, where x(1 − x) times the network vanishes on it;
        of functions "plane", −ε² Δu + u³ − u = 0 with u = (1 − x²)(1 − y²) times the network, and
        "helmholtz", −ε² Δu − u/d = 0 without boundary, both on [−1, 1]^d, and "front", the former
        on [0, 1] with u = 2x − 1 + x(1 − x) times the network.
      points: where the residual is taken, the same for all functions.
      width: of all hidden layers; of branch and trunk the last layer's too.
      functions: in a batch, drawn at every step from all of `values`.
      sensors: values of an input function that the branch sees.
      table: a file of `values` (N, sensors), the input functions at equal distances on [0, 1].
      parts: that hop works the points of a step through in.
      periodic: in time, whether the trunk sees x on the circle, by `HARMONICS` of it, and nothing
        but the initial values is asked for.
      nonlinear: in time, whether u = u₀ + t·D(F, u₀, t), with `CHANNELS` features F that the
        products of branch and trunk sum to, and a perceptron D; then too the trunk sees x on the
        circle, and there is nothing but the residual.
      inference: instead of a training step, u of all `functions` at the points, NumPy in and out.
    """

    equation: str
    points: int
    width: int
    functions: int = 0
    sensors: int = 0
    table: str = ""
    parts: int = 1
    periodic: bool = False
    nonlinear: bool = False
    inference: bool = False

    @property
    def dim(self) -> int:
        return DIMS[self.equation]

    @property
    def branch(self) -> list[int]:
        return [self.sensors, *[self.width] * 3, self.products]

    @property
    def trunk(self) -> list[int]:
        first = 2 * HARMONICS + 1 if self.periodic or self.nonlinear else self.dim
        return [first, *[self.width] * 3, self.products]

    @property
    def products(self) -> int:
        """Of branch and trunk, over all features."""
        return CHANNELS * self.width // 4 if self.nonlinear else self.width

    @property
    def decoder(self) -> list[int]:
        return [CHANNELS + 2, 32, 32, 1]

    @property
    def perceptron(self) -> list[int]:
        return [self.dim, *[self.width] * 3, 1]

    def values(self) -> np.ndarray:
        return np.load(self.table)

    def request(self) -> tuple[np.ndarray, np.ndarray]:
        """Functions (n, m) and points (q, 1) of inference."""
        table = self.values()
        x = np.linspace(0, 1, self.points, dtype=table.dtype)[:, None]
        return np.resize(table, (self.functions, self.sensors)), x


def waves_of(sensors: int) -> np.ndarray:
    """The matrix (m, 2k) from sensor values to their trigonometric interpolant, cosines first.

    The sensors are at equal distances on [0, 1], both ends included; the second repeats the first.
    """
    count, at = (sensors - 2) // 2, np.arange(sensors - 1) / (sensors - 1)
    angle = 2 * np.pi * at[:, None] * np.arange(1, count + 1)
    matrix = np.concatenate([np.cos(angle), np.sin(angle)], axis=1) * 2 / (sensors - 1)
    return np.pad(matrix, ((0, 1), (0, 0))).astype(np.float32)


def serve(prepare: Callable[[Case, argparse.Namespace], Steps], *flags: str) -> None:
    """Runs a contestant: `flags` are the switches that it knows beside its case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", help="a Case, as JSON")
    parser.add_argument("--memory", type=float, help="GiB that this process may take")
    for flag in flags:
        parser.add_argument(f"--{flag}", action="store_true")
    args = parser.parse_args()
    if args.memory:
        limit = int(args.memory * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    steps = prepare(Case(**json.loads(args.case)), args)
    steps(2)  # compiles, and warms up
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        steps(int(line))
        print(time.perf_counter() - began, flush=True)
    print(peak_mib(), flush=True)


def peak_mib() -> float:
    """The most memory that this process has held.

    `ru_maxrss` would not do: Linux hands a parent's down to the child that it forks.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
