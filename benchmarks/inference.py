"""Inference at scale: a million functions from file to file, and one function at once.

    python benchmarks/inference.py [--functions=1000000] [--points=128] [--output=docs/results]

* `hop infer` in a process of its own, file to file: rate, and its peak memory;
* the same request, killed half way and made again: whether the file is the same to the byte;
* the same compiled program in a loop over one block in memory, without files: the rate to reach, in
  blocks of 65,536 functions, and in those of `hop infer`, whose layers stay in the caches; all in
  turn, seven times, so that they meet the same load;
* one function in a warm process, median of many calls; and from a cold shell, `hop infer` whole.

Writes inference.md and inference.json into the folder of --output, or prints the table without one.
"""

import argparse
import hashlib
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import report

import hop
from hop import files
from hop.operators import apply
from hop.problem import Lam
from hop.provenance import credit, made

MODEL, EPS = "burgers-steady", 0.05
_ROWS = 65_536  # functions in a block in memory
_REPEATS = 7  # of each, of which the median counts


def write_input(path: Path, count: int) -> None:
    """Values of random functions at the model's sensors, (count, m) in float32, in parts."""
    law = hop.load(MODEL, eps=EPS).ansatz.problem.inputs["u0"]
    out = np.lib.format.open_memmap(path, "w+", np.float32, (count, law.width))
    for k, first in enumerate(range(0, count, _ROWS)):
        rows = min(_ROWS, count - first)
        values = law.values(law.sample(jax.random.key(k), rows))
        out[first : first + rows] = np.asarray(values, np.float32)
    out.flush()


def request(folder: Path, output: str, points: int, given: str = "u0.npy") -> list[str]:
    return [
        sys.executable, "-m", "hop", "infer", f"--checkpoint={MODEL}", f"--eps={EPS}",
        f"--input={folder / given}", f"--output={folder / output}", f"--points={points}",
    ]  # fmt: skip


def run(command: list[str]) -> tuple[float, float]:
    """Seconds, and the peak of resident memory in MiB (the largest of all runs so far)."""
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def killed_and_resumed(folder: Path, points: int, seconds: float) -> None:
    """The request, killed about half way, and made again."""
    command = request(folder, "again.npy", points)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    time.sleep(seconds / 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if (folder / "again.npy").exists():
        raise SystemExit("it ended before it was killed; take more functions")
    run(command)


def sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def in_memory(count: int, points: int, u0: np.ndarray) -> float:
    """Seconds of the compiled forward pass alone for as many functions, a block u0 at a time."""
    operator = hop.load(MODEL, eps=EPS)
    x = jax.device_put(operator.ansatz.problem.domain.grid(points).astype(np.float32))
    block, params = jax.device_put({"u0": u0}), jax.device_put(operator.params)
    lam = Lam(*map(np.float32, operator.lam))

    def forward() -> None:
        apply(operator.ansatz, "", params, block, x, lam).block_until_ready()

    forward()
    began = time.monotonic()
    blocks = -(-count // len(u0))
    for _ in range(blocks):
        forward()
    return (time.monotonic() - began) * count / (blocks * len(u0))


def one_function(u0: np.ndarray, calls: int = 300) -> float:
    """Milliseconds of a call for one function at 128 points, the median."""
    operator = hop.load(MODEL, eps=EPS)
    x = operator.ansatz.problem.domain.grid(128)
    taken = []
    for k in range(calls + 20):
        began = time.perf_counter()
        operator(u0[k % len(u0)][None], x)
        taken.append(time.perf_counter() - began)
    return 1e3 * float(np.median(taken[20:]))


def measure(count: int, points: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_input(folder / "u0.npy", count)
        u0 = np.load(folder / "u0.npy", "r")
        np.save(folder / "one.npy", u0[:1])
        block, taken, loops, small, alone = np.array(u0[:_ROWS]), [], [], [], []
        few = hop.load(MODEL, eps=EPS).block(points)
        for _ in range(_REPEATS):
            alone.append(run(request(folder, "one.out.npy", points, "one.npy"))[0])
            (folder / "u.npy").unlink(missing_ok=True)
            spent, memory = run(request(folder, "u.npy", points))
            taken.append(spent)
            loops.append(in_memory(count, points, block))
            small.append(in_memory(count, points, block[:few]))
        seconds, loop, best, cold = map(statistics.median, (taken, loops, small, alone))
        killed_and_resumed(folder, points, seconds)
        return {
            "functions": count,
            "points": points,
            "seconds": seconds,
            "memory_mib": memory,
            "loop_seconds": loop,
            "block": few,
            "block_loop_seconds": best,
            "all_seconds": taken,
            "all_loop_seconds": loops,
            "all_block_loop_seconds": small,
            "share": loop / (seconds - cold),
            "share_of_best": best / (seconds - cold),
            "share_with_start": loop / seconds,
            "identical": sha256(folder / "u.npy") == sha256(folder / "again.npy"),
            "warm_ms": one_function(np.asarray(u0[:64])),
            "cold_seconds": cold,
            "cores": len(os.sched_getaffinity(0)),
        }


def page(found: dict[str, Any], made: dict[str, str]) -> str:
    count, points = f"{found['functions']:,}", found["points"]
    rows = [
        [f"`hop infer`, {count} functions × {points} points, file to file, median of {_REPEATS}",
         f"{found['seconds']:.1f} s, {found['functions'] / found['seconds']:,.0f} a second"],
        [f"the same program in a loop in memory, without files, blocks of {_ROWS:,}, median",
         f"{found['loop_seconds']:.2f} s"],
        [f"the same, blocks of {found['block']:,}", f"{found['block_loop_seconds']:.2f} s"],
        [f"share of the rate of the loop, blocks of {_ROWS:,}, start-up (the last row) apart",
         f"{100 * found['share']:.0f} %"],
        [f"the same, blocks of {found['block']:,}", f"{100 * found['share_of_best']:.0f} %"],
        [f"share of the rate of the loop, blocks of {_ROWS:,}, start-up included",
         f"{100 * found['share_with_start']:.0f} %"],
        ["peak memory", f"{found['memory_mib']:,.0f} MiB"],
        ["killed half way and made again", "the same bytes" if found["identical"] else "DIFFERENT"],
        ["one function in a warm process, median", f"{found['warm_ms']:.2f} ms"],
        [f"one function from a cold shell, median of {_REPEATS}", f"{found['cold_seconds']:.1f} s"],
    ]  # fmt: skip
    about = f"The pretrained `{MODEL}` at ε = {EPS:g}, on {found['cores']} cores."
    table = files.table(["", "measured"], rows)
    return f"# Inference\n\n{about}\n\n{table}\n\n{credit(made['command'], made)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--functions", type=int, default=1_000_000)
    parser.add_argument("--points", type=int, default=128)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    found = measure(args.functions, args.points)
    by = made("python benchmarks/inference.py")
    report.keep(args.output, "inference", page(found, by), found | by)


if __name__ == "__main__":
    main()
