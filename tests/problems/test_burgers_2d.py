"""Burgers in the plane: its law, its exact part, its reference, and how it is scored."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop import ambient
from hop import problem as problem_lib
from hop.ansatz import Ansatz, columns
from hop.derivatives import GRADIENT, LAPLACIAN, jet
from hop.evaluation import Judge
from hop.networks.fno import FNO
from hop.problem import Lam
from hop.problems.burgers_2d import Burgers2D

PROBLEM = Burgers2D()
LAW = PROBLEM.inputs["u0"]
LAM = Lam(0.0, 0.05)

pytestmark = pytest.mark.usefixtures("float64")


@functools.cache
def some(n=2):
    draw = jax.jit(lambda: [LAW.sample(jax.random.key(i), n) for i in range(2)])
    return dict(zip(PROBLEM.inputs, draw(), strict=True))


def test_every_sample_has_mean_zero_and_the_same_standard_deviation():
    values = np.array(jax.jit(lambda: LAW.values(LAW.sample(jax.random.key(0), 200)))())
    assert values.shape == (200, 64 * 64)
    np.testing.assert_allclose(values.std(axis=1), 0.2, rtol=1e-12)
    np.testing.assert_allclose(values.mean(axis=1), 0, atol=1e-14)
    assert LAW.scale == pytest.approx(0.2)
    # The spectrum exp(−ℓ²|k|²/2): the share of the four lowest waves among all.
    power = np.abs(np.fft.fft2(values.reshape(-1, 64, 64))) ** 2
    shares = power.mean(axis=0) / power.mean(axis=0).sum()
    k = 2 * np.pi * np.fft.fftfreq(64, 1 / 64)
    law = np.exp(-(0.1**2) * (k[:, None] ** 2 + k[None, :] ** 2) / 2)
    law[0, 0] = 0
    law /= law.sum()
    lowest = shares[0, 1] + shares[1, 0] + shares[0, -1] + shares[-1, 0]
    assert lowest == pytest.approx(4 * law[0, 1], rel=0.1)
    assert shares[5:60, 5:60].sum() == pytest.approx(law[5:60, 5:60].sum(), rel=0.2)


def ansatz_without_network():
    """The ansatz at N = 0, its parameters and inputs."""
    ansatz = Ansatz(PROBLEM, FNO(4, 1, (4,), 2, 2, (3,)), harmonics=2)
    shapes = jax.eval_shape(ansatz.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    return ansatz, params, ansatz.inputs({k: LAW.values(field) for k, field in some().items()})


def test_a_network_changes_nothing_to_first_order_in_time():
    x = jnp.asarray([[0.3, 0.6, 1e-4]])
    a = {name: field(x) for name, field in PROBLEM.known(some(), x, LAM).items()}
    without, with_one = (
        PROBLEM.lift(jnp.full((2, 1, 1), value), columns(x), a, LAM) for value in (0.0, 1.0)
    )
    np.testing.assert_allclose(with_one, without, atol=2e-8)
    assert np.all(with_one != without)


def test_without_a_network_it_starts_as_its_inputs_do():
    """Their values at t = 0, and just after it u₀ + t (ε Δu₀ − (u₀·∇)u₀)."""
    ansatz, params, inputs = ansatz_without_network()
    start = jax.random.uniform(jax.random.key(3), (5, 3)).at[:, 2].set(0.0)
    values = jax.jit(lambda x: ansatz.jet(params, inputs, x, LAM, ("",))[""])
    u = jnp.stack([field(start) for field in some().values()])
    jets = [field.jet(start, ("x", "y", "xx", "yy")) for field in some().values()]
    x, y, xx, yy = (jnp.stack([made[k] for made in jets]) for k in ("x", "y", "xx", "yy"))
    np.testing.assert_allclose(values(start), u, atol=1e-12)
    rate = (values(start.at[:, 2].set(1e-6)) - u) / 1e-6
    np.testing.assert_allclose(rate, LAM.eps * (xx + yy) - (u[:1] * x + u[1:] * y), atol=1e-3)


@pytest.mark.slow
def test_without_a_network_it_is_right_to_first_order_in_time():
    ansatz, params, inputs = ansatz_without_network()
    x = jax.random.uniform(jax.random.key(3), (5, 3))
    residual = jax.jit(ansatz.residual)
    np.testing.assert_allclose(residual(params, inputs, x.at[:, 2].set(0.0), LAM), 0, atol=1e-10)
    assert np.abs(residual(params, inputs, x, LAM)).max() > 0.01


def test_the_heat_semigroup_solves_the_heat_equation():
    field = LAW.sample(jax.random.key(0), 2)
    x = jax.random.uniform(jax.random.key(3), (5, 3))
    heat = field.diffused(0.1)
    labels = ("t", "x", "xt", LAPLACIAN)
    found = jax.jit(lambda x: heat.jet(x, labels))(x)
    np.testing.assert_allclose(found["t"], 0.1 * found[LAPLACIAN], rtol=1e-9, atol=1e-11)
    at_rest = x.at[:, 2].set(0.0)
    np.testing.assert_allclose(heat(at_rest), field(x), atol=1e-12)
    np.testing.assert_allclose(heat.along("x")(at_rest), field.jet(x, ("x",))["x"], atol=1e-11)
    by_hand = jax.jit(lambda x: jet(heat, x, labels))(x)
    for label in labels:
        np.testing.assert_allclose(found[label], by_hand[label], atol=1e-9)


def test_the_types_of_float32_are_never_mixed():
    with ambient.numerics(np.float32):
        ansatz = Ansatz(PROBLEM, FNO(4, 1, (4,), 2, 2, (3,)), harmonics=2)
        params = jax.eval_shape(ansatz.init, jax.random.key(0))
        inputs = jax.eval_shape(
            lambda: ansatz.inputs({name: jnp.zeros((2, LAW.width)) for name in PROBLEM.inputs})
        )
        x = jax.ShapeDtypeStruct((5, 3), np.float32)
        h = jax.eval_shape(lambda *args: ansatz.residual(*args, LAM), params, inputs, x)
        assert (h.shape, h.dtype) == ((2, 2, 5), np.float32)


def test_the_reference_has_no_residual():
    h, steps = 2e-3, np.array([-2, -1, 0, 1, 2])
    first, second = np.array([1, -8, 0, 8, -1]) / 12, np.array([-1, 16, -30, 16, -1]) / 12
    at = np.array([[0.2, 0.7, 0.3], [0.9, 0.4, 0.6]])
    moved = [at + k * h * axis for axis in np.eye(3) for k in steps]
    u = problem_lib.reference(PROBLEM, some(), np.concatenate(moved), LAM)
    u = u.reshape(2, 2, 3, 5, 2)  # (c, n, axis, step, q)
    u_x, u_y, u_t = np.einsum("cnakq,k->acnq", u, first) / h
    curved = np.einsum("cnakq,k->acnq", u, second)[:2].sum(axis=0) / h**2
    found = {"": u[:, :, 0, 2], "t": u_t, GRADIENT: np.stack([u_x, u_y]), LAPLACIAN: curved}
    found = {label: jnp.asarray(value) for label, value in found.items()}
    x = jnp.asarray(at.T)[:, None]
    np.testing.assert_allclose(PROBLEM.residual(found, x, {}, LAM), 0, atol=1e-4)
    assert np.abs(u_t).max() > 0.1
    assert np.abs(PROBLEM.residual(found, x, {}, Lam(0.0, 0.04))).max() > 0.01


def test_scored_on_the_sensors_and_eleven_times():
    points, weights = Judge(PROBLEM, {}, {}).quadrature(0.01)
    assert points.shape == (65 * 65 * 11, 3)
    exact = (np.cos(2 * np.pi * points[:, 0]) ** 2 * points[:, 2]) @ weights
    assert exact == pytest.approx(0.25)
