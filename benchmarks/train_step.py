"""The training step alone: Burgers in time by a plain DeepONet.

    python benchmarks/train_step.py [--functions=100] [--points=2500] [--parts=1] [--steps=50]
        [--json]

Branch 101-128-128-128-128, trunk 2-128-128-128-128 on raw (x, t), tanh, float32, Adam. The loss is
the residual on fresh random points plus u = u₀ and u = 0 on 40 points of the boundary, weight 1.
Every step draws its functions from 1,000 that stay on the device. Prints milliseconds a step, the
median of several dispatches of so many steps; with --json, as {"ms_per_step": …} on the last line.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

import jax
import numpy as np

from hop import config as config_lib
from hop.ansatz import Functions, Inputs
from hop.domain import Box
from hop.homotopy.terms import Stage
from hop.problem import Condition, Lam, Problem
from hop.problems.burgers_time import BurgersTime
from hop.problems.helmholtz import Helmholtz
from hop.sharding import FUNCTION, Layout
from hop.training import Program, Window

EPS = 0.01
_RESIDENT = 1000
_WINDOW = 50  # steps in a dispatch, at most


@dataclasses.dataclass(frozen=True)
class Bounded(BurgersTime):
    """Burgers in time with soft values on the boundary: 20 points at t = 0, 10 on each wall."""

    conditions_by: str = "loss"

    domain: ClassVar[Box] = Box((0.0, 0.0), (1.0, 1.0))  # not periodic: the trunk sees x itself

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        x, t = np.linspace(0, 1, 20), np.linspace(0, 1, 10)
        walls = [np.stack([np.full_like(t, wall), t], axis=1) for wall in (0.0, 1.0)]
        at_first = np.stack([x, np.zeros_like(x)], axis=1)
        return (
            Condition((at_first,), ("",), lambda u, a, lam: u[0][""] - a["u0"][""]),
            Condition((np.concatenate(walls),), ("",), lambda u, a, lam: u[0][""]),
        )


def program(
    functions: int, points: int, equation: str = "time", parts: int = 1, nonlinear: bool = False
) -> Program:
    """The program of a batch; "steady" is `configs/burgers_steady.py` with the residual alone.

    A step is worked through in `parts` of its points, `config.train.accumulate`. With `nonlinear`,
    the network and the loss of `configs/burgers_time.py`, but for tanh.
    """
    network = "nonlinear_deeponet" if nonlinear else "deeponet"
    config = config_lib.experiment(problem=f"burgers_{equation}", network=network)
    if equation == "time":
        config.network.update(branch=(128,) * 3, trunk=(128,) * 3, rank=128)
        if nonlinear:
            config.network.rank = 32
    else:
        config.problem.field = "paper"
    config.path.eps = (EPS,)
    config.strategy.tangent = 0.0
    config.solver.update(optimizer="adam", learning_rate=1e-3)
    config.train.update(functions=functions, points=points, accumulate=parts, dispatch=_WINDOW)
    config.train.sampler = "uniform"
    parsed, problem = config_lib.parse(config.to_dict()), None
    if equation == "time" and not nonlinear:
        parsed, problem = dataclasses.replace(parsed, problem={}), Bounded()
    made = config_lib.build(parsed, problem)
    return Program(made, Layout.create(1, -1, jax.devices()[:1]))


@dataclasses.dataclass(frozen=True)
class Inside(Helmholtz):
    """The Helmholtz equation without its boundary."""

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        return ()


def of_one_function(equation: str, points: int, widths: Sequence[int], parts: int = 1) -> Program:
    """The program without input functions: "plane", Allen–Cahn, or "helmholtz", d = 20."""
    problem = {"plane": "allen_cahn_2d", "helmholtz": "helmholtz"}[equation]
    config = config_lib.experiment(problem=problem, network="mlp")
    if equation == "plane":
        config.problem.symmetry = "none"
    config.network.widths = tuple(widths)
    config.path.eps = (EPS,)
    config.strategy.tangent = 0.0
    config.solver.update(optimizer="adam", learning_rate=1e-3)
    config.train.update(points=points, accumulate=parts, dispatch=_WINDOW, sampler="uniform")
    parsed, inside = config_lib.parse(config.to_dict()), None
    if equation == "helmholtz":
        parsed, inside = dataclasses.replace(parsed, problem={}), Inside()
    made = config_lib.build(parsed, inside)
    return Program(made, Layout.create(1, 1, jax.devices()[:1]))


def resident(problem: Problem) -> Inputs:
    """The functions that batches are drawn from."""
    given = {}
    for name, law in problem.inputs.items():
        field = law.sample(jax.random.key(1), _RESIDENT)
        given[name] = Functions(np.asarray(law.values(field)), np.asarray(field.coefficients))
    return given


def stepper(program: Program) -> Callable[[int], None]:
    """Takes as many steps, in dispatches of at most `_WINDOW`, and waits for them."""
    problem, layout = program.ansatz.problem, program.layout
    pool, functions = layout.put(resident(problem)), program.train.functions
    lam = Lam(np.float32(0), np.float32(EPS))
    stage = Stage(np.int32(0), lam, lam, np.float32(0))
    rng, state = np.random.default_rng(0), program.init()

    def steps(count: int) -> None:
        nonlocal state
        for first in range(0, count, _WINDOW):
            window, draws = Window(np.int32(min(_WINDOW, count - first)), np.float32(np.inf)), None
            if pool:
                drawn = [rng.choice(_RESIDENT, functions, replace=False) for _ in range(_WINDOW)]
                draws = layout.put(np.stack(drawn).astype(np.int32), None, FUNCTION)
            state, losses, _ = program.dispatch(state, stage, window, pool, draws)
            if not np.isfinite(float(losses["total"])):
                raise SystemExit("the loss is not finite")

    return steps


def measure(functions: int, points: int, parts: int, steps: int, repeats: int = 5) -> float:
    """Milliseconds a step."""
    run, taken = stepper(program(functions, points, parts=parts)), []
    for _ in range(repeats + 1):  # the first compiles
        began = time.perf_counter()
        run(steps)
        taken.append(1e3 * (time.perf_counter() - began) / steps)
    return float(np.median(taken[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    defaults = {"functions": 100, "points": 2500, "parts": 1, "steps": 50, "repeats": 5}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    ms = measure(args.functions, args.points, args.parts, args.steps, args.repeats)
    print(f"{args.functions} functions × {args.points} points: {ms:.1f} ms a step")
    if args.json:
        print(json.dumps({"ms_per_step": round(ms, 3)}))


if __name__ == "__main__":
    main()
