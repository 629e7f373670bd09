"""Strict numerics, simulated devices, one dataset folder for the whole run."""

import os
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
# Tests compile the same programs again and again; processes that they start share these too.
COMPILED = Path(__file__).parents[1] / ".pytest_cache" / "compiled"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(COMPILED)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
# hop's own Python is compiled once, and not by every process that a test starts.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["JAX_TRACEBACK_IN_LOCATIONS_LIMIT"] = "0"  # nobody reads where an operation was written
# And what they compile runs for moments: it is not worth optimising.
QUICK = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1 --xla_cpu_opt_preset=FAST_COMPILE"
)
# Every test passes on eight devices. On few cores one is many times quicker, and most tests are no
# less strict there: `make test` runs those that are marked "devices" on eight, the others on one.
DEVICES = int(os.environ.get("HOP_TEST_DEVICES", "8"))
SIMULATED = f"--xla_force_host_platform_device_count={DEVICES}"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {SIMULATED} {QUICK}"

import jaxtyping

# Shapes and types of annotated arguments. Not of a function within another, which would be made
# anew, checks and all, whenever the other runs: a fifth of all time.
typed = jaxtyping.jaxtyped


def typed_outside(**how):
    return lambda it: it if "<locals>" in it.__qualname__ else typed(**how)(it)


jaxtyping.jaxtyped = typed_outside
jaxtyping.install_import_hook(["hop", "reproduce"], "typecheck.check")

import dataclasses
import functools
import gc
import importlib.metadata
import subprocess
import sys

import jax
import pytest
from packaging.requirements import Requirement

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_default_matmul_precision", "highest")


# The files that take longest, first: each goes whole to one worker, which makes its fixtures once.
LONGEST = ("faults", "processes", "program", "publishing", "golden", "kernels", "fronts", "loop",
           "own_problems", "cli", "config_files", "inputs", "problem", "ansatz_parts")  # fmt: skip


# Traces are many objects, few of them garbage; looked through as often as by default, they cost a
# tenth of all time. What is imported is not looked through at all.
gc.set_threshold(50_000, 20, 100)


def pytest_collection_finish():
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    names = [f"test_{name}" for name in LONGEST]
    items.sort(key=lambda item: names.index(item.path.stem) if item.path.stem in names else 99)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory, worker_id) -> str:
    """A folder of datasets that all test processes share; builds are locked against each other."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "datasets"
    if "HOP_TEST_DATA" in os.environ:  # of mutations.py, whose processes share one
        folder = Path(os.environ["HOP_TEST_DATA"])
    folder.mkdir(exist_ok=True)
    return str(folder)


@pytest.fixture(scope="session", autouse=True)
def read_once(data_dir):
    """That folder's datasets are read once a process: most of a short training is reading them."""
    from hop import datasets

    read = datasets.load

    @functools.cache
    def whole(law, split):
        return read(law, split, data_dir)

    def load(law, split, folder="", count=None):
        if folder != data_dir or not datasets.is_built(law, folder):
            return read(law, split, folder, count)
        return {key: array[:count] for key, array in whole(law, split).items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load", load)
        yield


# A config file of a few seconds, for processes of their own.
TINY = """
from hop.config import experiment

def get_config():
    config = experiment(problem="burgers_steady", network="deeponet")
    config.problem.field = "unit"
    config.network.update(branch=(16,), trunk=(16,), rank=8)
    config.path.eps = (0.5, 0.3)
    config.train.update(steps=40, functions=16, points=32, dispatch=10, save_seconds=0.0)
    config.solver.warmup = 5
    config.train.validation = 8
    return config
"""


def build_wheel(folder: Path) -> Path:
    root = Path(__file__).parents[1]
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", folder, root]
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def needs(*asked: str) -> list[Requirement]:
    """These requirements and all that the packages installed for them require in turn."""
    found: dict[str, Requirement] = {}
    left = list(map(Requirement, asked))
    while left:
        need = left.pop()
        if str(need) not in found:
            found[str(need)] = need
            extras = {"", *need.extras}
            for other in map(Requirement, importlib.metadata.requires(need.name) or []):
                if other.marker is None or any(other.marker.evaluate({"extra": e}) for e in extras):
                    left.append(other)
    return list(found.values())


class Listener:
    """A reporter that remembers, and can interrupt training after so many windows."""

    def __init__(self, interrupt_after: int | None = None):
        self.windows, self.messages, self.stages = [], [], []
        self.left = interrupt_after

    def start(self, experiment, layout, stage, done): ...

    def stage(self, index, lam):
        self.stages.append((index, lam))

    def window(self, record, remaining):
        self.windows.append(dict(record))
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    def stage_end(self, record): ...

    def message(self, text):
        self.messages.append(text)

    def building(self, law):
        return lambda done, total: None

    def counting(self, what):
        return lambda done, total: None


@pytest.fixture
def listener():
    return Listener


@pytest.fixture
def tiny(data_dir):
    """A function (overrides) → Config: a small operator problem that trains in seconds."""
    return lambda **overrides: tiny_config("burgers_steady", "deeponet", data_dir, overrides)


@pytest.fixture
def tiny_mlp(data_dir):
    """The same without an input function."""
    return lambda **overrides: tiny_config("allen_cahn_1d", "mlp", data_dir, overrides)


@pytest.fixture
def untrained(tiny_mlp):
    """A function (overrides) → Operator without an input function, with its first parameters."""
    from hop import config as config_lib
    from hop.operators import Operator
    from hop.problem import Lam

    def operator(**overrides):
        config = tiny_mlp(**overrides)
        ansatz = config_lib.build(config).ansatz
        with config.precision():
            params = jax.device_get(ansatz.init(jax.random.key(0)))
        return Operator(ansatz, params, Lam(0.0, 0.5), config)

    return operator


def tiny_config(problem, network, data_dir, overrides):
    from hop import config as config_lib

    config = config_lib.experiment(problem=problem, network=network)
    if network == "deeponet":
        config.problem.field = "unit"
        config.network.update(branch=(64,), trunk=(16,), rank=8)
    else:
        config.network.widths = (16, 16)
    config.path.eps = (0.5, 0.3)
    config.data.data_dir = data_dir
    config.train.update(
        steps=40,
        functions=16,
        points=32,
        dispatch=10,
        validation=8,
    )
    config.solver.update(warmup=5, optimizer="adam")
    for key, value in overrides.items():
        group, _, field = key.partition("__")
        if field:
            config[group][field] = value
        else:
            config[group] = value
    return config_lib.parse(config.to_dict())


@pytest.fixture
def replace():
    return dataclasses.replace


@pytest.fixture
def float64():
    """Double precision for a test; of a whole file by `pytestmark`."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def field(float64):
    """Three input functions of unit size."""
    from hop.laws.named import NAMED

    return NAMED["unit"].sample(jax.random.key(0), 3)


@pytest.fixture
def one_process(monkeypatch, tmp_path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path
