"""Sums of products, which some versions of jaxlib compute wrongly, and the threads of OpenBLAS."""

import os
import subprocess
import sys

import jax
import pytest

from hop import compiler

SUM = """
import sys
import numpy as np
import jax, jax.numpy as jnp
if "first" in sys.argv:
    import hop
rng = np.random.default_rng(0)
a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((20, 1, 8192), (20, 10, 8192)))
found = jax.jit(lambda a, b: (a * b).sum(0))(a, b)
if "late" in sys.argv:
    import hop
print(np.abs(np.asarray(found) - (a.astype(float) * b).sum(0)).max() < 1e-3)
"""


def run(*words):
    env = os.environ | {"XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SUM, *words], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip(), done.stderr


def test_sums_of_products_are_right():
    """With every optimisation, as users run it, and not as these tests are compiled."""
    assert run("first")[0] == "True"


def test_a_late_import_is_told():
    assert ("import hop first" in run("late")[1]) == (jax.lib.__version__ in ("0.10.2", "0.11.0"))


def test_a_flag_of_the_user_stays(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", f"{compiler.FLAG}=")
    compiler.sum_rightly()
    assert os.environ["XLA_FLAGS"] == f"{compiler.FLAG}="


THREADS = """
import ctypes, glob, os
import hop, jax
import scipy.linalg
(path,) = glob.glob(os.path.join(os.path.dirname(scipy.__file__), "..", "scipy.libs", "*openblas*"))
print(ctypes.CDLL(path).scipy_openblas_get_num_threads())
"""


@pytest.mark.parametrize(("asked", "got"), [("", 1), ("2", 2)])
def test_least_squares_are_factorised_on_one_thread(asked, got):
    """Several wait for each other by turns that busy neighbours take; the user's word stands."""
    env = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    env |= {"OPENBLAS_NUM_THREADS": asked} if asked else {}
    words = [sys.executable, "-c", THREADS]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert int(done.stdout) == min(got, len(os.sched_getaffinity(0)))
