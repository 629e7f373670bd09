"""`hop train` in processes of its own, and what it leaves behind."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
from conftest import QUICK, TINY

import hop

ADAM = "--config.solver.optimizer=adam"
# These processes compile the same programs, small ones too.
SHARED = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


def same_networks(one, two, stages=2):
    for stage in range(stages):
        a, b = (hop.load(folder, stage=stage).params for folder in (one, two))
        jax.tree.map(np.testing.assert_array_equal, a, b)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Job:
    """`hop train` in processes of its own."""

    def __init__(self, folder: Path, data_dir: str, steps: int):
        self.folder, self.data_dir = folder, data_dir
        self.config = folder / "config.py"
        self.config.write_text(TINY)
        self.steps = steps

    def start(
        self, name: str, processes: int = 1, *words: str, **settings: str
    ) -> list[subprocess.Popen]:
        """Processes whose output nobody reads: the pipe that it goes to is closed."""
        port, started = free_port(), []
        reader, writer = os.pipe()
        os.close(reader)
        for k in range(processes):
            env = os.environ | {"XLA_FLAGS": QUICK, "JAX_PLATFORMS": "cpu"} | SHARED | settings
            if processes > 1:
                env |= {"HOP_COORDINATOR": f"127.0.0.1:{port}", "HOP_PROCESSES": str(processes)}
                env |= {"HOP_PROCESS_ID": str(k)}
            line = [sys.executable, "-m", "hop", "train", f"--config={self.config}"]
            line += [f"--workdir={self.folder / name}", f"--data_dir={self.data_dir}"]
            line += [f"--config.train.steps={self.steps}", *words]
            started.append(subprocess.Popen(line, env=env, stderr=subprocess.PIPE, stdout=writer))
        os.close(writer)
        return started

    def finish(self, name: str, processes: int = 1, *words: str, **settings: str) -> Path:
        for process in self.start(name, processes, *words, **settings):
            _, said = process.communicate(timeout=300)
            assert process.returncode == 0, said.decode()
        return self.folder / name

    def wait_for_a_checkpoint(self, name: str, beyond: int = 0) -> int:
        """Until a checkpoint of more than `beyond` steps is whole; returns its steps."""
        for _ in range(1200):
            if (steps := self.newest(name)) > beyond:
                return steps
            time.sleep(0.1)
        raise AssertionError(f"no checkpoint in {name}")

    def newest(self, name: str) -> int:
        """The steps of the newest checkpoint within a stage; 0 without one."""
        rolling = self.folder / name / "rolling"
        return max((int(p.name) for p in rolling.glob("*") if p.name.isdigit()), default=0)


def end(process: subprocess.Popen, seconds: float = 60) -> tuple[int, str]:
    _, said = process.communicate(timeout=seconds)
    return process.returncode, said.decode()
