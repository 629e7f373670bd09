"""What checkpoints, metrics, progress and the watchdog cost beside the training steps themselves.

    python benchmarks/overhead.py [--config=configs/burgers_steady.py:paper] [--steps=10000]

Alternates, in one run, `hop.training.train` on a fresh workdir with a loop over its compiled
program alone: the same steps, counted from the end of the first window, which compiles. Of the
rolling checkpoints, one every 30 s, so many steps hold one or two. Prints milliseconds a step of
both, and the difference.
"""

import argparse
import dataclasses
import io
import statistics
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from hop import config as config_lib
from hop.config import Config
from hop.config import files as config_files
from hop.console import Console
from hop.homotopy.terms import Stage
from hop.problem import Lam
from hop.training import Program, Window, feed, provide, train


class Clock(Console):
    """The command line's own reporter, with the time at the end of every window."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def window(self, record, remaining):  # type: ignore[no-untyped-def]
        super().window(record, remaining)
        self.ends.append(time.perf_counter())


def with_machinery(config: Config) -> float:
    """Seconds from the end of the first window to that of the last."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), Clock() as clock:
        train(config, Path(folder) / "w", clock, command="a benchmark", watchdog=1800.0)
    return clock.ends[-1] - clock.ends[0]


def alone(config: Config) -> float:
    """The same of the compiled program in a loop."""
    experiment = config_lib.build(config)
    program = Program(experiment, experiment.layout())
    fed, dispatch = feed(experiment, program.layout), config.train.dispatch
    lam = Lam(*(np.float32(v) for v in experiment.path.places[0]))
    stage, state, ends = Stage(np.int32(0), lam, lam, np.float32(0)), program.init(), []
    for first in range(0, config.train.steps, dispatch):
        pool, drawn = fed(0, first, dispatch)
        window = Window(np.int32(dispatch), np.float32(0.4 * config.train.steps))
        state, losses, _ = program.dispatch(state, stage, window, pool, drawn)
        float(losses["total"])
        ends.append(time.perf_counter())
    return ends[-1] - ends[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/burgers_steady.py:paper")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    words = [f"--config.train.steps={args.steps}", "--config.train.validation=1"]
    words += [f"--config.train.patience={args.steps}"]
    config = config_files.read(args.config, words)
    first = dataclasses.replace(config.path, s=config.path.s[:1], eps=config.path.eps[:1])
    config = dataclasses.replace(config, path=first)
    provide(config_lib.build(config), Console())
    steps = args.steps - config.train.dispatch
    ratios = []
    for _ in range(args.repeats):
        bare, whole = (1e3 * f(config) / steps for f in (alone, with_machinery))
        ratios.append(whole / bare)
        print(f"steps alone {bare:.3f} ms, with all around them {whole:.3f} ms a step", flush=True)
    print(f"overhead: {100 * (statistics.median(ratios) - 1):+.1f} % (median of {args.repeats})")


if __name__ == "__main__":
    main()
