"""What hop reaches on the device at hand: meant for a GPU, and with --quick a look on any CPU.

    python benchmarks/gpu.py [--output=docs/results] [--seconds=230] [--only=1,3] [--quick]

1. the training step of `benchmarks/train_step.py` beside DeepXDE's on the same device, in turns;
2. the step in float32, TF32 and bfloat16 products, beside the device's own rates;
3. a million functions through a pretrained operator;
4. `hop train` on all devices that there are, and on one CPU device: whether they agree;
5. the error of an operator that was trained in each precision.

A part that fails, or takes longer than it may, says so, and keeps what it has; the others go on.
Writes gpu.md and gpu.json into the folder of --output after every part, or prints the page.
"""

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import inference
import jax
import jax.numpy as jnp
import numpy as np
import report
import rivals
import roofline
import train_step
from rivals import HOP, ROOT, ZCS

import hop
from hop import files, training
from hop.config import Config, build
from hop.config import files as config_files
from hop.console import Console

# name → JAX's name of it. CPUs have float32 products alone.
PRODUCTS = {"float32": "highest", "TF32": "TF32_TF32_F32", "bfloat16": "BF16_BF16_F32"}
# precision → how far parameters may differ, relative, between the devices and one CPU device
AGREE = {"float32": 1e-4, "float64": 1e-10}
TITLES = ("Beside DeepXDE", "Precision", "Inference", "Devices", "Accuracy by precision")
COMMAND = "python benchmarks/gpu.py --output=docs/results"
LIMITS = (110.0, 75.0, 45.0, 60.0, 120.0)  # seconds that each may take
LATE = "not begun: the time was up"

Found = dict[str, Any]
Case = tuple[int, int]  # functions, points

SMOKE = ("configs/smoke.py", "--config.path.s=(0.5,)", "--config.train.validation=8")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is measured, by default on a GPU.

    Attributes:
      cases: of a step, functions × points.
      precise: those measured in every precision.
      rounds, steps: of a case; steps are those of a dispatch.
      side, floats: of the large matrix product, and of the large array.
      functions: through a pretrained operator.
      learned: the config trained in every precision, with overrides.
      seeds: it is trained from.
      agree: the precisions in which all devices are set beside one CPU device.
      taught: the config for that, with overrides.
    """

    cases: tuple[Case, ...] = ((50, 1_000), (100, 2_500), (1_000, 10_000))
    precise: tuple[Case, ...] = ((100, 2_500), (1_000, 10_000))
    rounds: int = 5
    steps: int = 50
    side: int = 8_192
    floats: int = 2**28
    functions: int = 1_000_000
    learned: tuple[str, ...] = ("configs/burgers_time.py:direct",)
    seeds: tuple[int, ...] = (0, 1)
    agree: tuple[str, ...] = ("float32", "float64")
    taught: tuple[str, ...] = (*SMOKE, "--config.train.steps=100")


QUICK = Sizes(
    cases=((5, 50),), precise=((5, 50),), rounds=2, steps=5, side=512, floats=2**20,
    functions=2**16, learned=(*SMOKE, "--config.train.steps=10"), seeds=(0,),
    agree=("float32",), taught=(*SMOKE, "--config.train.steps=10"),
)  # fmt: skip


def on_gpu() -> bool:
    return jax.default_backend() == "gpu"


@contextmanager
def products(name: str) -> Iterator[None]:
    """The matrix products of training steps in this precision; hop itself has no TF32."""
    precision = partial(jax.default_matmul_precision, PRODUCTS[name])
    with mock.patch.object(Config, "products", side_effect=precision):
        yield


def precisions() -> list[str]:
    return list(PRODUCTS) if on_gpu() else ["float32"]


def seconds(call: Callable[[], Any], repeats: int = 20) -> float:
    """Of a call, the median."""
    taken = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        jax.block_until_ready(call())
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[2:])


@contextmanager
def attempt(found: Found, what: str) -> Iterator[None]:
    """Notes why something fails, and lets what comes after it go on; not what was too late."""
    try:
        yield
    except TimeoutError:
        raise
    except (Exception, SystemExit) as why:
        said = str(why).strip().splitlines() or [""]
        # an exception begins with what is wrong; what a process has said ends with it
        line = said[-1] if isinstance(why, SystemExit) else said[0]
        found.setdefault("failed", []).append(f"{what}: {type(why).__name__}: {line[:300]}")
        print(found["failed"][-1], flush=True)


def race(found: Found, sizes: Sizes) -> None:
    """hop and DeepXDE, each in a process of its own, in turns."""
    rivals.MEMORY, rivals.PATIENCE, rivals.MOST, rivals.ROUND = 0, 75, 500, 0.5
    rivals.CONTESTANTS[ZCS] = [sys.executable, "with_deepxde.py", "--zcs"]
    names, missing = [HOP], [k for k in ("deepxde", "torch") if not importlib.util.find_spec(k)]
    if missing:
        found["without"] = f"DeepXDE was left out: {' and '.join(missing)} not installed."
    else:
        names.append(ZCS)
    for functions, points in sizes.cases:
        case = rivals.TIME | {"functions": functions, "points": points}
        of = found[f"{functions:,} × {points:,}"] = {name: {"ms": []} for name in names}
        turns(of, case, sizes.rounds)


def turns(found: Found, case: Found, rounds: int) -> None:
    """Fills in a contestant's milliseconds a step in every round, or why it took none."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        case = case | {"table": str(folder / "values.npy")}
        (given,) = train_step.resident(train_step.program(1, 8).ansatz.problem).values()
        np.save(case["table"], np.asarray(given.values))
        with ThreadPoolExecutor() as pool:  # they start together: that is most of the time
            commands = {name: rivals.CONTESTANTS[name] for name in found}
            made = {k: pool.submit(rivals.Contestant, c, case, folder) for k, c in commands.items()}
        running: dict[str, rivals.Contestant] = {}
        for name, start in made.items():
            with attempt(found[name], name):
                running[name] = start.result()
                stack.callback(running[name].kill)
        for _ in range(rounds):
            times = {name: 1e3 * one.seconds_a_step() for name, one in running.items()}
            for name, ms in times.items():
                found[name]["ms"].append(ms)


def precision(found: Found, sizes: Sizes) -> None:
    """The device's rates, and the step in each precision beside them."""
    side, keys = sizes.side, jax.random.split(jax.random.key(0))
    found["tera"] = {}
    for name in precisions():
        kind = jnp.bfloat16 if name == "bfloat16" else jnp.float32
        a, b = (jax.random.normal(key, (side, side), kind) for key in keys)
        exact = None if name == "bfloat16" else PRODUCTS[name]
        product = jax.jit(partial(jnp.matmul, precision=exact, preferred_element_type=jnp.float32))
        with attempt(found, f"product in {name}"):
            found["tera"][name] = 2e-12 * side**3 / seconds(partial(product, a, b))
    x, negative = jnp.ones(sizes.floats), jax.jit(jnp.negative)
    found["bandwidth"] = 8e-9 * sizes.floats / seconds(partial(negative, x))
    del a, b, x
    for case in sizes.precise:
        row = found.setdefault("steps", {}).setdefault("{:,} × {:,}".format(*case), {"ms": {}})
        row["flops"] = sum(roofline.flops(*case).values())
        for name in precisions():
            with attempt(found, f"step in {name}"), products(name):
                row["ms"][name] = train_step.measure(*case, 1, sizes.steps)
        with attempt(found, "XLA's count"):
            counted = roofline.programs(*case, "step")["step"][0].cost_analysis()
            row |= {"xla_flops": counted["flops"], "xla_bytes": counted["bytes accessed"]}


def million(found: Found, sizes: Sizes) -> None:
    """In memory, and file to file."""
    found |= {"functions": sizes.functions, "points": 128}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        inference.write_input(folder / "u0.npy", sizes.functions)
        u0 = np.array(np.load(folder / "u0.npy", "r")[: 2**16])
        found["loop_seconds"] = inference.in_memory(sizes.functions, 128, u0)
        found["seconds"], _ = inference.run(inference.request(folder, "u.npy", 128))


def devices(found: Found, sizes: Sizes) -> None:
    """The same training on all devices and on one of a CPU, in float32 and float64."""
    found |= {"devices": jax.device_count(), "kind": jax.devices()[0].device_kind}
    with tempfile.TemporaryDirectory() as place:
        found["config"] = " ".join(sizes.taught)
        training.provide(build(config_files.read(sizes.taught[0])), Console(False))
        for name in sizes.agree:
            words = [*sizes.taught, f"--config.train.precision={name}"]
            there = Path(place) / f"{name}.cpu"
            command = ["-m", "hop", "train", f"--config={words[0]}", f"--workdir={there}"]
            flags = "--xla_force_host_platform_device_count=1"
            env = os.environ | {
                "JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}",
            }  # fmt: skip
            with subprocess.Popen(
                [sys.executable, *command, *words[1:]], env=env, cwd=ROOT,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            ) as alone, ExitStack() as stack:  # fmt: skip
                stack.callback(alone.kill)
                here = Path(place) / name
                (record,) = learn(words, here)
                _, said = alone.communicate()
                if alone.returncode:
                    raise SystemExit(said)
            ours, theirs = (hop.load(workdir).params for workdir in (here, there))
            (other,) = map(json.loads, (there / "metrics.jsonl").read_text().splitlines()[-1:])
            found[name] = {
                "steps": record["step"], "parameters": distance(ours, theirs),
                "loss": abs(record["loss"] / other["loss"] - 1),
            }  # fmt: skip


def learn(words: list[str], workdir: Path) -> list[Found]:
    """The records of a training that says nothing."""
    return training.train(config_files.read(words[0], words[1:]), workdir, Console(False))


def distance(ours: Any, theirs: Any) -> float:
    """Of parameters, relative to their size."""
    a, b = (np.concatenate([np.ravel(p) for p in jax.tree.leaves(t)]) for t in (ours, theirs))
    return float(np.linalg.norm((a - b).astype(float)) / np.linalg.norm(b.astype(float)))


def accuracy(found: Found, sizes: Sizes) -> None:
    """The same training, its steps' products in each precision."""
    found["config"] = f"hop train --config={' '.join(sizes.learned)}"
    for seed in sizes.seeds:
        for name in precisions():
            with (
                attempt(found, f"training in {name}"),
                products(name),
                tempfile.TemporaryDirectory() as place,
            ):
                record = learn([*sizes.learned, f"--config.seed={seed}"], Path(place) / "w")[-1]
                kept = {key: record[key] for key in ("total_steps", "seconds", "loss", "l2re")}
                found.setdefault(name, []).append(kept)


def guarded(measure: Callable[..., None], limit: float, end: float, sizes: Sizes) -> Found:
    """What a part finds until it ends, fails, or has taken too long."""
    found, began = {"versions": versions()}, time.monotonic()
    limit = min(limit, end - began)

    def late(*_: Any) -> None:
        raise TimeoutError(f"stopped after {limit:.1f} s")

    before = signal.signal(signal.SIGALRM, late)
    try:
        if limit <= 0:
            raise TimeoutError(LATE)
        signal.setitimer(signal.ITIMER_REAL, limit, 10)  # again, if something swallows it
        with attempt(found, "the whole part"):
            measure(found, sizes)
    except TimeoutError as why:
        found.setdefault("failed", []).append(str(why))
        print(why, flush=True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    found["took"] = time.monotonic() - began
    return found


def versions() -> str:
    def version(name: str) -> str:
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            return f"{name} not installed"

    names = ("jax", "jaxlib", "flax", "torch", "deepxde")
    return ", ".join([*map(version, names), f"Python {platform.python_version()}"])


def share(part: float) -> str:
    return f"{100 * part:.3g} %"


def race_page(found: Found) -> list[str]:
    rows = []
    for size, of in found.items():
        for name, run in of.items() if isinstance(of, dict) else ():
            both = run["ms"] and of[HOP]["ms"]
            times = f"{rivals.ratio(of, name):.3g}" if both else "–"
            took = rivals.spread(run["ms"], ".3g") if run["ms"] else "–"
            rows.append([size, name, ", ".join(run.get("failed", [took])), times])
    about = (
        "Burgers in time by a plain DeepONet, float32, Adam, as in [Speed](speed.md): loss, "
        "gradient and update, median (least–most) of the rounds in which the two take turns on "
        "the device, each in a process of its own. DeepXDE takes the soft conditions of each "
        "function apart, hop those of all functions as one."
    )
    table = files.table(["functions × points", "", "ms a step", "times hop"], rows)
    return [about, table, *([found["without"]] if "without" in found else [])]


def precision_page(found: Found) -> list[str]:
    tera, wide = found.get("tera", {}), found.get("bandwidth")
    rows = [[f"rate of a large product, {name}", f"{rate:.3g} TFLOP/s"]
            for name, rate in tera.items()]  # fmt: skip
    rows += [["bandwidth of a large copy, read and written", f"{wide:.4g} GB/s"]] if wide else []
    steps = []
    for size, row in found.get("steps", {}).items():
        for name, ms in row["ms"].items():
            rate, moved = row["flops"] / ms / 1e9, row.get("xla_bytes")
            moved = share(moved / ms / 1e6 / wide) if moved and name == "float32" else "–"
            steps.append(
                [
                    size,
                    name,
                    f"{ms:.3g}",
                    f"{rate:.3g}",
                    share(rate / tera[name]) if name in tera else "–",
                    moved,
                ]
            )
    counts = [
        f"{size}: {row['flops'] / 1e9:.4g} GFLOP by the formula, {row['xla_flops'] / 1e9:.4g} "
        f"GFLOP and {row['xla_bytes'] / 1e9:.4g} GB by XLA's count"
        for size, row in found.get("steps", {}).items() if "xla_flops" in row
    ]  # fmt: skip
    about = (
        "The same step, hop alone, its matrix products in float32, in TF32, and in bfloat16 with "
        "sums in float32 (`config.train.compute=bfloat16`; TF32 is no setting of hop's). The "
        "share is of the device's rate in that precision, by the operations of [the formula]"
        "(../performance.md#what-a-step-needs); that of bandwidth is of the bytes that XLA counts "
        "in the compiled float32 step. The bfloat16 rate is that of arrays in bfloat16."
    )
    head = ["functions × points", "products", "ms a step", "TFLOP/s", "share of rate",
            "share of bandwidth"]  # fmt: skip
    only = ["A CPU takes all products in float32: the others are left out."]
    return [about, files.table(["the device", "measured"], rows), files.table(head, steps),
            *(["A step: " + "; ".join(counts) + "."] if counts else []),
            *(only if list(tera) == ["float32"] else [])]  # fmt: skip


def million_page(found: Found) -> list[str]:
    rows, count, points = [], found.get("functions", 0), found.get("points", 0)
    named = {"loop_seconds": "in memory, on the device", "seconds": "`hop infer`, file to file"}
    for key, name in named.items():
        if key in found:
            rate = count / found[key]
            rows.append([name, f"{found[key]:.3g} s", f"{rate:,.0f}", f"{rate * points:.3g}"])
    head = ["", "time", "functions/s", "points/s"]
    about = f"{count:,} functions × {points} points, pretrained `{inference.MODEL}`."
    return [about, files.table(head, rows)]


def devices_page(found: Found) -> list[str]:
    rows = []
    for name in filter(found.get, AGREE):
        gap = found[name]["parameters"]
        said = "agree" if gap <= AGREE[name] else "DIFFER"
        loss, steps = f"{found[name]['loss']:.1e}", str(found[name]["steps"])
        rows.append([name, steps, f"{gap:.1e}", loss, f"{AGREE[name]:.0e}", said])
    count = found.get("devices", 0)
    about = (
        f"`hop train --config={found.get('config', '')}` on a mesh of all devices that "
        f"there are: {count} ({found.get('kind', '')}). Beside it the same on one CPU device."
    )
    head = ["precision", "steps", "parameters, relative difference", "loss, relative difference",
            "tolerance, of parameters", ""]  # fmt: skip
    return [about, files.table(head, rows)]


def accuracy_page(found: Found) -> list[str]:
    rows = []
    for name in filter(found.get, PRODUCTS):
        runs = found[name]
        errors = ", ".join(f"{run['l2re']:.2e}" for run in runs)
        losses = ", ".join(f"{run['loss']:.2e}" for run in runs)
        times = ", ".join(f"{run['seconds']:.1f}" for run in runs)
        rows.append([name, str(runs[0]["total_steps"]), times, losses, errors])
    about = (
        f"`{found.get('config', '')}`, the products of its steps in each precision; answers are "
        "taken in float32. Errors are against the reference; of several seeds, one after another."
    )
    return [about, files.table(["products", "steps", "s", "loss", "mean L2RE"], rows)]


PARTS = (race, precision, million, devices, accuracy)
PAGES = (race_page, precision_page, million_page, devices_page, accuracy_page)


def page(found: dict[str, Found]) -> str:
    parts = ["# On a GPU", f"Each part names its device. `{COMMAND}` takes all figures again."]
    if not found:
        parts[1] = (
            f"No figures have been taken yet. `{COMMAND}`, on a GPU, takes them, in the parts: "
        )
        parts[1] += f"{', '.join(TITLES)}."
        return "\n\n".join(parts) + "\n"
    for title, write in zip(TITLES, PAGES, strict=True):
        parts.append(f"## {title}")
        section = found.get(title, {"failed": [LATE]})
        if LATE in section.get("failed", ()):
            parts.append("Not measured yet.")
            continue
        parts += write(section)
        parts += [f"Not all of this part: {line}." for line in section.get("failed", ())]
        parts.append(f"{section['took']:.0f} s; {section['versions']}; {report.caption(section)}")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--seconds", type=float, default=230)
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    end, sizes = time.monotonic() + args.seconds, QUICK if args.quick else Sizes()
    flags = [flag for flag in sys.argv[1:] if not flag.startswith("--out")]  # a folder of ours
    command = " ".join([COMMAND, *flags])

    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)

    def write(found: dict[str, Found]) -> None:
        if args.output:
            files.write(args.output / "gpu.md", page(found))

    with tempfile.TemporaryDirectory() as place:
        os.environ.setdefault("TFDS_DATA_DIR", f"{place}/data")
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{place}/compiled")
        jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # several processes share the device
        path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(path)  # for processes in other folders
        measures = {
            title: partial(guarded, measure, limit, end, sizes)
            for title, measure, limit in zip(TITLES, PARTS, LIMITS, strict=True)
        }
        found = report.sections(args.output, "gpu", measures, args.only, command, write)
    report.keep(args.output, "gpu", page(found), found)


if __name__ == "__main__":
    main()
