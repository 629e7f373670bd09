"""The training step alone: Burgers in time by a plain DeepONet.

    python benchmarks/train_step.py [--functions=100] [--points=2500] [--steps=50] [--json]

Branch 101-128-128-128-128, trunk 2-128-128-128-128 on raw (x, t), tanh, float32, Adam. The loss is
the residual on fresh random points plus u = u₀ and u = 0 on 40 points of the boundary, weight 1.
Every step draws its functions from 1,000 that stay on the device. Prints milliseconds a step, the
median of several dispatches of so many steps; with --json, as {"ms_per_step": …} on the last line.
"""

import argparse
import dataclasses
import json
import time

import jax
import numpy as np

from hop import config as config_lib
from hop.ansatz import Ansatz, Inputs
from hop.fields import Field
from hop.homotopy.terms import Stage
from hop.problems import Condition, Lam
from hop.problems.burgers_time import BurgersTime
from hop.sharding import FUNCTION, Layout
from hop.training import Trainer, Window

_RESIDENT = 1000


@dataclasses.dataclass(frozen=True)
class Bounded(BurgersTime):
    """Burgers in time with soft values on the boundary: 20 points at t = 0, 10 on each wall."""

    conditions_by: str = "loss"

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        x, t = np.linspace(0, 1, 20), np.linspace(0, 1, 10)
        walls = [np.stack([np.full_like(t, wall), t], axis=1) for wall in (0.0, 1.0)]
        at_first = np.stack([x, np.zeros_like(x)], axis=1)
        zeros = np.zeros((1, 20), np.float32)
        return Condition(at_first, None), Condition(np.concatenate(walls), zeros)


def trainer(functions: int, points: int, steps: int) -> Trainer:
    config = config_lib.experiment(problem="burgers_time", network="deeponet")
    config.network.update(branch=(128,) * 3, trunk=(128,) * 3, rank=128, harmonics=1)
    config.path.eps = (0.01,)
    config.solver.update(optimizer="adam", learning_rate=1e-3)
    config.train.update(functions=functions, points=points, dispatch=steps)
    config.train.sampler = "uniform"
    made = config_lib.build(config_lib.parse(config.to_dict()))
    raw = dataclasses.replace(made.ansatz.network, harmonics=0)
    ansatz = Ansatz(Bounded(), raw)
    made = dataclasses.replace(made, ansatz=ansatz, answer=ansatz)
    return Trainer(made, Layout.create(1, -1, jax.devices()[:1]))


def measure(functions: int, points: int, steps: int, repeats: int = 5) -> float:
    """Milliseconds a step."""
    program = trainer(functions, points, steps)
    law, layout = BurgersTime.random_field, program.layout
    coefficients = law.sample(jax.random.key(1), _RESIDENT)
    values = Field(coefficients, law.basis)(law.sensors.astype(np.float32))
    pool = layout.put(Inputs(np.asarray(values), np.asarray(coefficients)))
    rng = np.random.default_rng(0)
    drawn = np.stack([rng.choice(_RESIDENT, functions, replace=False) for _ in range(steps)])
    drawn = layout.put(drawn.astype(np.int32), None, FUNCTION)
    lam = Lam(np.float32(0), np.float32(0.01))
    stage = Stage(np.int32(0), lam, lam, np.float32(0))
    state, taken = program.init(), []
    for _ in range(repeats + 1):  # the first compiles
        began = time.perf_counter()
        window = Window(np.int32(steps), np.float32(np.inf))
        state, losses = program.dispatch(state, stage, window, pool, drawn)
        if not np.isfinite(float(losses["total"])):
            raise SystemExit("the loss is not finite")
        taken.append(1e3 * (time.perf_counter() - began) / steps)
    return float(np.median(taken[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("functions", 100), ("points", 2500), ("steps", 50), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    ms = measure(args.functions, args.points, args.steps, args.repeats)
    print(f"{args.functions} functions × {args.points} points: {ms:.1f} ms a step")
    if args.json:
        print(json.dumps({"ms_per_step": round(ms, 3)}))


if __name__ == "__main__":
    main()
