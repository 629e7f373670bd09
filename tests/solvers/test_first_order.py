"""First-order solvers: the schedule of a stage, and the optimisers."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.solvers import Moment
from hop.solvers.first_order import FirstOrder


def test_learning_rate_warms_up_holds_and_anneals():
    solver = FirstOrder(learning_rate=1e-2, warmup=10, anneal=0.3)
    assert solver.tail(1000) == 300

    def rate(step, tail_from=700):
        return float(solver.rate(Moment(jnp.int32(step), jnp.float32(tail_from), 1000)))

    assert rate(0) == pytest.approx(1e-3)
    assert rate(10) == rate(700) == pytest.approx(1e-2)
    assert rate(850) == pytest.approx(0.5e-2, rel=1e-5)
    assert rate(775) == pytest.approx(0.5e-2 * (1 + math.cos(math.pi / 4)), rel=1e-5)
    assert rate(1000) == pytest.approx(0.0, abs=1e-9)
    assert rate(350, tail_from=200) == pytest.approx(0.5e-2, rel=1e-5)


class Slope:
    """An objective of this gradient; nothing else of it is asked for."""

    def __init__(self, gradient):
        self._gradient = gradient

    def gradient(self, params):
        return (jnp.float32(0), {}), self._gradient

    loss = vector = jacobian = drawn = gradient


def test_optimizers_are_those_of_their_names():
    """The first step of each from a gradient G = U S Vᵀ: −G, −sign G, and about −U Vᵀ."""
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.standard_normal((6, 6)))[0] for _ in range(2))
    g = (u * np.linspace(1.0, 4.0, 6)) @ v.T

    def step(optimizer):
        solver = FirstOrder(optimizer=optimizer, learning_rate=1.0, warmup=0)
        params = {"kernel": jnp.zeros((6, 6), jnp.float32)}
        moment = Moment(jnp.int32(0), jnp.float32(9), 10)
        slope = Slope({"kernel": jnp.asarray(g, jnp.float32)})
        moved, *_ = jax.jit(lambda p: solver.step(slope, p, solver.init(p), moment))(params)
        return np.asarray(moved["kernel"])

    np.testing.assert_allclose(step("sgd"), -g, rtol=1e-5)
    np.testing.assert_allclose(step("adam"), -np.sign(g), rtol=1e-4)
    along = -u.T @ step("muon") @ v
    np.testing.assert_allclose(along, np.diag(np.diag(along)), atol=1e-3)
    assert np.all((np.diag(along) > 0.6) & (np.diag(along) < 1.3))  # five Newton–Schulz steps
