"""Jets agree with nested grad, with finite differences, and with jets of the composed function."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hop.ansatz import Ansatz
from hop.derivatives import LAPLACIAN, closure, jet, laplacian, push, rescale
from hop.domain import Box
from hop.errors import UserError
from hop.fields import Field
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady
from hop.problems.helmholtz import Helmholtz

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
            expected = jax.vmap(lambda p, label=label: nested(at, p, label))(x)
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


def smooth_inputs(ansatz):
    law = ansatz.problem.random_field
    field = Field(law.sample(jax.random.key(1), 3), law.basis)
    return ansatz.inputs(field(jnp.asarray(law.sensors)))


def biased(params):
    """A tanh network without biases is odd by itself."""
    return jax.tree.map(lambda leaf: leaf + 0.2, params)


class Decoded(DeepONet):
    """A DeepONet whose decoder is not linear and sees the input function and the point."""

    def decode(self, params, features, y, a):
        return jnp.tanh(features[0]) * (1 + a) + y[:, 0][None, :] * a


@dataclasses.dataclass(frozen=True)
class Plate(Helmholtz):
    """The same on a rectangle, with a lift, and odd about the middle in some coordinates."""

    odd: tuple[str, ...] = ()
    domain = Box((0.0, -1.0), (3.0, 1.0))

    def lift(self, network, x, a):
        x, y = x
        return x * (3 - x) * (1 - y**2) * network


class Square(Plate):
    """The same on a cube, where the Laplacian passes the network's layers."""

    domain = Box((0.0, -1.5), (3.0, 1.5))


class Alone(MLP):
    """A network that knows nothing of ∇, as one's own may not."""

    propagate = None


ODD = [
    (BurgersSteady("unit", symmetry="odd"), Decoded((8,), (8,), 6)),
    (AllenCahn1D(symmetry="odd"), MLP((8, 8))),
    (AllenCahn1D(conditions_by="loss", symmetry="odd"), MLP((8, 8))),
]


@pytest.mark.parametrize(
    ("problem", "network"),
    [
        (BurgersSteady("unit"), DeepONet((8,), (8,), 6)),
        (BurgersSteady("unit"), NonlinearDeepONet((8,), (8,), 4, channels=3, decoder=(6,))),
        (AllenCahn1D(), MLP((8, 8))),
        *ODD[:2],
    ],
)
def test_ansatz_matches_finite_differences(problem, network):
    """Central differences of the values converge to the jet at second order."""
    ansatz = Ansatz(problem, network)
    params = ansatz.init(jax.random.key(0))
    inputs = None
    if problem.random_field is not None:
        inputs = smooth_inputs(ansatz)
    x = jnp.linspace(0.1, 0.9, 7)[:, None]
    exact = ansatz.jet(params, inputs, x)

    def error(h):
        left, mid, right = (ansatz.jet(params, inputs, x + d, ())[""] for d in (-h, 0.0, h))
        first = jnp.max(jnp.abs((right - left) / (2 * h) - exact["x"]))
        second = jnp.max(jnp.abs((right - 2 * mid + left) / h**2 - exact["xx"]))
        return np.array([first, second])

    slopes = np.log2(error(1e-2) / error(5e-3))
    np.testing.assert_allclose(slopes, 2.0, atol=0.1)


@pytest.mark.parametrize(("problem", "network"), ODD)
def test_an_odd_ansatz_is_odd_to_the_last_bit(problem, network):
    ansatz = Ansatz(problem, network)
    params = biased(ansatz.init(jax.random.key(0)))
    inputs = None if problem.random_field is None else smooth_inputs(ansatz)
    x = jnp.arange(33)[:, None].astype(float) / 32  # 1 − x is exact
    u = ansatz.jet(params, inputs, x)
    if inputs is not None:  # the decoder sees a(1 − x) by its sine series, which rounds
        for label, value in u.items():
            odd = (-1) ** len(label) * value
            np.testing.assert_allclose(value, -odd[:, ::-1], atol=1e-11 * np.abs(value).max())
        return
    assert np.array_equal(u[""], -u[""][:, ::-1])
    assert np.abs(u[""]).max() > 0.1
    plain = Ansatz(dataclasses.replace(problem, symmetry="none"), network)
    free = plain.jet(params, inputs, x)[""]
    np.testing.assert_allclose(u[""], (free - free[:, ::-1]) / 2, atol=1e-14)


@settings(deadline=None, max_examples=10)
@given(st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=6))
def test_laplacian_of_a_plane_wave(k):
    with jax.enable_x64(True):
        wave = jnp.asarray(k)
        x = jax.random.uniform(jax.random.key(0), (3, len(k)))
        value = laplacian(lambda p: jnp.sin(p @ wave), x)
        np.testing.assert_allclose(value, -jnp.sum(wave**2) * jnp.sin(x @ wave), atol=1e-12)


def test_laplacian_is_the_trace_of_the_hessian():
    ansatz = Ansatz(Helmholtz(4, 8), MLP((6, 6)))
    params = ansatz.init(jax.random.key(0))
    x = jax.random.uniform(jax.random.key(1), (5, 4), minval=-1.0)

    def at(p):
        return ansatz.jet(params, None, p[None, :], ())[""][0, 0]

    u = ansatz.jet(params, None, x)
    assert tuple(u) == closure(("Δ",)) == ("", "Δ")
    expected = jnp.trace(jax.jit(jax.vmap(jax.hessian(at)))(x), axis1=1, axis2=2)
    np.testing.assert_allclose(u["Δ"][0], expected, rtol=1e-10)
    np.testing.assert_allclose(u[""][0], jax.vmap(at)(x), rtol=1e-12)

    # Reverse mode over the parameters, of all points at once and of each alone.
    def mean(params):
        return jnp.mean(ansatz.jet(params, None, x)["Δ"])

    def alone(params, p):
        return ansatz.jet(params, None, p[None, :])["Δ"][0, 0]

    rows = jax.jit(jax.vmap(jax.grad(alone), (None, 0)))(params, x)
    gradient = jax.jit(jax.grad(mean))(params)
    for whole, each in zip(jax.tree.leaves(gradient), jax.tree.leaves(rows), strict=True):
        np.testing.assert_allclose(whole, jnp.mean(each, axis=0), atol=1e-12)


@pytest.mark.parametrize("odd", [(), ("x",), ("x", "y")])
@pytest.mark.parametrize(
    ("kind", "network"), [(Plate, MLP), (Square, MLP), (Square, Alone)], ids=["box", "cube", "own"]
)
def test_laplacian_of_the_ansatz_is_the_sum_of_second_derivatives(odd, kind, network):
    """Through lift, symmetry and sines, whichever way it is taken; and the symmetry itself."""
    ansatz = Ansatz(kind(odd=odd), network((6, 6), activation="gelu", sines=1))
    params = biased(ansatz.init(jax.random.key(0)))
    x = jnp.asarray([[0.5, 0.25], [1.0, -0.75], [2.5, 0.5]])
    u = ansatz.jet(params, None, x, ("xx", "yy", "xy"))
    np.testing.assert_allclose(ansatz.jet(params, None, x)["Δ"], u["xx"] + u["yy"], rtol=1e-10)
    for axis, letter in enumerate("xy"):
        image = x.at[:, axis].set([3.0, 0.0][axis] - x[:, axis])
        other = ansatz.jet(params, None, image, ("xx", "yy", "xy"))
        same = np.allclose(other[""], -u[""], atol=1e-14)
        assert same == (letter in odd)
        if same:
            np.testing.assert_allclose(other["xy"], u["xy"], atol=1e-12)
            np.testing.assert_allclose(other["yy"], -u["yy"], atol=1e-12)


def test_the_laplacian_is_refused_with_an_input_function():
    class Flat(BurgersSteady):
        labels = ("", LAPLACIAN)

    with pytest.raises(UserError, match="let problem.labels name second derivatives"):
        Ansatz(Flat(), DeepONet((4,), (4,), 2)).check()
