"""Jets agree with nested grad and with jets of the composed function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hop.derivatives import GRADIENT, LAPLACIAN, closure, jet, laplacian, push, rescale
from hop.networks.mlp import MLP

LABELS = st.lists(st.text("xt", min_size=1, max_size=3), min_size=1, max_size=3)


def nested(f, point, label):
    """∂^label f at one point by reverse mode, as deep as it takes."""
    for letter in label:
        f = partial(f, {"x": 0, "t": -1}[letter])
    return f(point)


def partial(f, axis):
    return lambda p: jax.grad(f)(p)[axis]


pytestmark = pytest.mark.usefixtures("float64")


@settings(deadline=None, max_examples=8)
@given(LABELS)
def test_jet_of_a_network_is_nested_grad(labels):
    with jax.enable_x64(True):
        net = MLP(widths=(5,))
        params = net.init(jax.random.key(0), 2, {})
        x = jax.random.uniform(jax.random.key(1), (3, 2), minval=-1.0)
        features = net.features(params, {}, x, labels)
        assert tuple(features) == closure(labels)

        def at(p):
            return net.features(params, {}, p[None, :], ())[""][0, 0, 0]

        for label, value in features.items():
            expected = jax.vmap(lambda p, label=label: nested(at, p, label))(x)
            np.testing.assert_allclose(value[0, 0], expected, rtol=1e-9, atol=1e-11)


@settings(deadline=None, max_examples=8)
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


@settings(deadline=None, max_examples=10)
@given(st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=6))
def test_laplacian_of_a_plane_wave(k):
    with jax.enable_x64(True):
        wave = jnp.asarray(k)
        x = jax.random.uniform(jax.random.key(0), (3, len(k)))
        value = laplacian(lambda p: jnp.sin(p @ wave), x)
        np.testing.assert_allclose(value, -jnp.sum(wave**2) * jnp.sin(x @ wave), atol=1e-12)


def test_laplacian_and_gradient_are_over_space_where_a_label_names_time():
    def f(p):
        x, y, t = p[..., 0], p[..., 1], p[..., 2]
        return jnp.sin(x) * y**2 * t**3

    with jax.enable_x64(True):
        points = jax.random.uniform(jax.random.key(0), (5, 3), float)
        x, y, t = points.T
        found = jet(f, points, (LAPLACIAN, GRADIENT, "t"))
        pushed = push(lambda F, p: F * p[:, 0], (found,), points, (LAPLACIAN, GRADIENT, "t"))
        space = (2 - y**2) * jnp.sin(x) * t**3
        np.testing.assert_allclose(found[LAPLACIAN], space, atol=1e-12)
        assert found[GRADIENT].shape == (2, 5)
        exact = x * space + 2 * jnp.cos(x) * y**2 * t**3
        np.testing.assert_allclose(pushed[LAPLACIAN], exact, atol=1e-12)
        np.testing.assert_allclose(found["t"], 3 * jnp.sin(x) * y**2 * t**2, atol=1e-12)
