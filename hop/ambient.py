"""The settings of JAX and NumPy that numbers depend on, fixed while `hop` computes.

A user sets them for a whole process, by the environment or in code: the default float type, the
random generator, the precision of matrix products, what NumPy does about an overflow. Datasets,
training and operators give the same numbers whatever they are.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax import Array

from hop.errors import UserError


@contextlib.contextmanager
def numerics(dtype: Any) -> Iterator[None]:
    """The context of all arithmetic of `hop`: its default float type is `dtype`."""
    with (
        jax.enable_x64(np.dtype(dtype) == np.float64),
        jax.threefry_partitionable(True),
        jax.default_matmul_precision("highest"),
        np.errstate(divide="warn", over="warn", invalid="warn", under="ignore"),
    ):
        yield


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """The context of classical solvers and datasets: float64 on this process's first CPU device.

    Raises:
      UserError: JAX has been told to leave the CPU out.
    """
    try:
        cpu = jax.local_devices(backend="cpu")[0]
    except RuntimeError as error:
        raise UserError(
            f"JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')} leaves out the CPU, where "
            "datasets and references are computed; add ',cpu' to it"
        ) from error
    with numerics(np.float64), jax.default_device(cpu):
        yield


def key(seed: int) -> Array:
    """The random key of a seed in [0, 2³²): Threefry's, whichever generator JAX has as default."""
    data: Any = np.array([0, seed], np.uint32)  # of NumPy's, so that nothing is compiled
    return jax.random.wrap_key_data(data, impl="threefry2x32")
