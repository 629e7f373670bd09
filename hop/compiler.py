"""A flag of JAX's compiler that results depend on, set when `hop` is imported.

On CPUs some versions of jaxlib compute sums of products of large arrays wrongly, without a word
(github.com/jax-ml/jax, issue 39103): Σ_i a_ij b_ikj, with a few thousand j, is off by its own size.
They hand such sums to another library, and the flag has them keep these to themselves.
"""

import importlib.metadata
import os
import sys
import warnings

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
