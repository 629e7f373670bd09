"""Jets agree with nested grad, with finite differences, and with jets of the composed function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hop.ansatz import Ansatz
from hop.derivatives import closure, jet, push, rescale
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady

LABELS = st.lists(st.text("xt", min_size=1, max_size=3), min_size=1, max_size=3)


def nested(f, point, label):
    """∂^label f at one point by reverse mode, as deep as it takes."""
    for letter in label:
        f = partial(f, {"x": 0, "t": -1}[letter])
    return f(point)


def partial(f, axis):
    return lambda p: jax.grad(f)(p)[axis]


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@settings(deadline=None, max_examples=15)
@given(LABELS)
def test_jet_of_a_network_is_nested_grad(labels):
    with jax.enable_x64(True):
        net = MLP(widths=(5,))
        params = net.init(jax.random.key(0), 2, None)
        x = jax.random.uniform(jax.random.key(1), (3, 2), minval=-1.0)
        features = net.features(params, None, x, labels)
        assert tuple(features) == closure(labels)

        def at(p):
            return net.features(params, None, p[None, :], ())[""][0, 0, 0]

        for label, value in features.items():
            expected = jnp.stack([nested(at, p, label) for p in x])
            np.testing.assert_allclose(value[0, 0], expected, rtol=1e-9, atol=1e-11)


@settings(deadline=None, max_examples=15)
@given(LABELS)
def test_push_is_the_jet_of_the_composition(labels):
    with jax.enable_x64(True):
        x = jax.random.uniform(jax.random.key(2), (4, 2))

        def f1(p):
            return jnp.sin(2 * p[:, 0] + p[:, 1])

        def f2(p):
            return p[:, 0] ** 2 * jnp.exp(p[:, 1])

        def outer(a, b, p):
            return jnp.tanh(a * b) + p[:, 0] * a**2

        pushed = push(outer, (jet(f1, x, labels), jet(f2, x, labels)), x, labels)
        direct = jet(lambda p: outer(f1(p), f2(p), p), x, labels)
        for label, value in direct.items():
            np.testing.assert_allclose(pushed[label], value, rtol=1e-10, atol=1e-12)


def test_rescale_is_the_chain_rule():
    x = jnp.linspace(0.0, 1.0, 5)[:, None]
    direct = jet(lambda p: jnp.sin(3 * p[:, 0] - 1), x, ["xx"])
    scaled = rescale(jet(lambda y: jnp.sin(y[:, 0]), 3 * x - 1, ["xx"]), np.array([3.0]))
    for label, value in direct.items():
        np.testing.assert_allclose(scaled[label], value, rtol=1e-12)


@pytest.mark.parametrize(
    ("problem", "network"),
    [(BurgersSteady("unit"), DeepONet((8,), (8,), 6)), (AllenCahn1D(), MLP((8, 8)))],
)
def test_ansatz_matches_finite_differences(problem, network):
    """Central differences of the values converge to the jet at second order."""
    ansatz = Ansatz(problem, network)
    params = ansatz.init(jax.random.key(0))
    inputs = None
    if problem.random_field is not None:
        inputs = ansatz.inputs(jax.random.normal(jax.random.key(1), (3, 128)))
    x = jnp.linspace(0.1, 0.9, 7)[:, None]
    exact = ansatz.jet(params, inputs, x)

    def error(h):
        left, mid, right = (ansatz.jet(params, inputs, x + d, ())[""] for d in (-h, 0.0, h))
        first = jnp.max(jnp.abs((right - left) / (2 * h) - exact["x"]))
        second = jnp.max(jnp.abs((right - 2 * mid + left) / h**2 - exact["xx"]))
        return np.array([first, second])

    slopes = np.log2(error(2e-2) / error(1e-2))
    np.testing.assert_allclose(slopes, 2.0, atol=0.1)
