"""Sums of products of large arrays, which some versions of jaxlib compute wrongly on CPUs."""

import os
import subprocess
import sys

import jax

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
