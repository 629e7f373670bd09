"""What the environment must say before JAX and SciPy are used, set when `hop` is imported.

`sum_rightly`: on CPUs some versions of jaxlib compute sums of products of large arrays wrongly,
without a word (github.com/jax-ml/jax, issue 39103): Σ_i a_ij b_ikj, with a few thousand j, is off
by its own size. They hand such sums to another library, and a flag has them keep these to
themselves.

`factor_alone`: the QR factorisations of least squares are OpenBLAS's, whose threads wait for each
other by giving up their turn. Beside other busy processes each wait then takes those processes'
turns, and two threads take several times as long as one (`benchmarks/least_squares.py`). One takes
its fair share, and rounds alike on any number of cores.
"""

import importlib.metadata
import os
import sys
import warnings
from typing import Any

_WRONG = ("0.10.2", "0.11.0")  # others are right, or may not know the flag, which ends the process
FLAG = "--xla_cpu_experimental_ynn_fusion_type"


def sum_rightly() -> None:
    """Adds the flag to XLA_FLAGS, unless it is there; warns where JAX has read them already."""
    version, flags = importlib.metadata.version("jaxlib"), os.environ.get("XLA_FLAGS", "")
    if version not in _WRONG or FLAG in flags:
        return
    os.environ["XLA_FLAGS"] = f"{flags} {FLAG}=-reduce".strip()
    bridge = sys.modules.get("jax._src.xla_bridge")
    if bridge is not None and getattr(bridge, "backends_are_initialized", bool)():
        warnings.warn(
            f"jaxlib {version} computes some sums wrongly on CPUs, and JAX was used before hop was "
            f"imported, so it stays so; import hop first, or set XLA_FLAGS={FLAG}=-reduce",
            stacklevel=3,
        )


def factor_alone() -> None:
    """Keeps OpenBLAS to one thread, unless OPENBLAS_NUM_THREADS says otherwise."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def run_once() -> dict[str, Any] | None:
    """Options for `jax.jit` of a program that runs once, where compiling it is most of its time."""
    import jax

    if jax.default_backend() != "cpu":
        return None
    return {
        "xla_backend_optimization_level": 0,
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_parallel_codegen_split_count": 1,
        "xla_cpu_opt_preset": 2,  # FAST_COMPILE
    }
