"""The ansatz: its jets through lift, symmetry and decoder, and what its network sees."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.ansatz import Ansatz, Functions
from hop.derivatives import LAPLACIAN, closure, jet
from hop.domain import Box
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady
from hop.problems.helmholtz import Helmholtz

pytestmark = pytest.mark.usefixtures("float64")

LAM = Lam(0.0, 0.1)


def start(ansatz, bias=0.0):
    """Parameters, and three smooth functions for each input of the problem, if it has one.

    A tanh network without biases is odd by itself.
    """

    def sampled(law):
        return law.values(law.sample(jax.random.key(1), 3))

    @jax.jit
    def both():
        params = jax.tree.map(lambda leaf: leaf + bias, ansatz.init(jax.random.key(0)))
        given = {name: sampled(law) for name, law in ansatz.problem.inputs.items()}
        return params, ansatz.inputs(given)

    return both()


def jets(ansatz, params, inputs, labels=None):
    """A function of x, compiled for each shape of it: operation by operation takes much longer."""
    return jax.jit(lambda x: ansatz.jet(params, inputs, x, LAM, labels))


class Decoded(DeepONet):
    """A DeepONet whose decoder is not linear and sees the input function and the point."""

    def decode(self, params, features, y, a):
        return jnp.tanh(features[0]) * (1 + a["u0"]) + y[:, 0][None, :] * a["u0"]


@dataclasses.dataclass(frozen=True)
class Plate(Helmholtz):
    """The same on a rectangle, with a lift, and odd about the middle in some coordinates."""

    odd: tuple[str, ...] = ()
    domain = Box((0.0, -1.0), (3.0, 1.0))

    def lift(self, network, x, a, lam):
        x, y = x
        return x * (3 - x) * (1 - y**2) * network


class Square(Plate):
    """The same on a cube, where the Laplacian passes the network's layers."""

    domain = Box((0.0, -1.5), (3.0, 1.5))


class Alone(MLP):
    """A network that nests its jets, as one's own may."""

    def features(self, params, values, y, labels, embed=None):
        def outputs(points):
            values = super(Alone, self).features(params, {}, points, (), embed)[""]
            return jnp.moveaxis(values[:, 0], 0, -1)

        jets = jet(outputs, y, labels)
        return {k: jnp.moveaxis(v, -1, -2)[..., None, :] for k, v in jets.items()}


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
    params, inputs = start(ansatz)
    x = jnp.linspace(0.1, 0.9, 7)[:, None]
    exact = jets(ansatz, params, inputs)(x)
    values = jets(ansatz, params, inputs, ())

    def error(h):
        left, mid, right = (values(x + d)[""] for d in (-h, 0.0, h))
        first = jnp.max(jnp.abs((right - left) / (2 * h) - exact["x"]))
        second = jnp.max(jnp.abs((right - 2 * mid + left) / h**2 - exact["xx"]))
        return np.array([first, second])

    slopes = np.log2(error(1e-2) / error(5e-3))
    np.testing.assert_allclose(slopes, 2.0, atol=0.1)


@pytest.mark.parametrize(("problem", "network"), ODD)
def test_an_odd_ansatz_is_odd_to_the_last_bit(problem, network):
    ansatz = Ansatz(problem, network)
    params, inputs = start(ansatz, 0.2)
    x = jnp.arange(33)[:, None].astype(float) / 32  # 1 − x is exact
    u = jax.tree.map(np.asarray, jets(ansatz, params, inputs)(x))
    if inputs:  # the decoder sees a(1 − x) by its sine series, which rounds
        for label, value in u.items():
            odd = (-1) ** len(label) * value
            np.testing.assert_allclose(value, -odd[:, ::-1], atol=1e-11 * np.abs(value).max())
        return
    assert np.array_equal(u[""], -u[""][:, ::-1])
    assert np.abs(u[""]).max() > 0.1
    plain = Ansatz(dataclasses.replace(problem, symmetry="none"), network)
    free = np.asarray(jets(plain, params, inputs)(x)[""])
    np.testing.assert_allclose(u[""], (free - free[:, ::-1]) / 2, atol=1e-14)


def test_laplacian_is_the_trace_of_the_hessian():
    ansatz = Ansatz(Helmholtz(4, 8), MLP((6, 6)))
    params, _ = start(ansatz)
    x = jax.random.uniform(jax.random.key(1), (5, 4), minval=-1.0)

    def at(p):
        return ansatz.jet(params, {}, p[None, :], LAM, ())[""][0, 0]

    u = jets(ansatz, params, {})(x)
    assert set(u) == set(closure(("Δ",))) == {"", "Δ"}
    value, hessian = jax.jit(jax.vmap(lambda p: (at(p), jax.hessian(at)(p))))(x)
    np.testing.assert_allclose(u["Δ"][0], np.trace(hessian, axis1=1, axis2=2), rtol=1e-10)
    np.testing.assert_allclose(u[""][0], value, rtol=1e-12)

    # Reverse mode over the parameters, of all points at once and of each alone.
    def mean(params):
        return jnp.mean(ansatz.jet(params, {}, x, LAM)["Δ"])

    def alone(params, p):
        return ansatz.jet(params, {}, p[None, :], LAM)["Δ"][0, 0]

    rows = jax.jit(jax.vmap(jax.grad(alone), (None, 0)))(params, x)
    gradient = jax.jit(jax.grad(mean))(params)
    for whole, each in zip(jax.tree.leaves(gradient), jax.tree.leaves(rows), strict=True):
        np.testing.assert_allclose(whole, np.mean(each, axis=0), atol=1e-12)


@pytest.mark.parametrize("odd", [(), ("x",), ("x", "y")])
@pytest.mark.parametrize(
    ("kind", "network"), [(Plate, MLP), (Square, MLP), (Square, Alone)], ids=["box", "cube", "own"]
)
def test_laplacian_of_the_ansatz_is_the_sum_of_second_derivatives(odd, kind, network):
    """Through lift, symmetry and sines, whichever way it is taken; and the symmetry itself."""
    ansatz = Ansatz(kind(odd=odd), network((6, 6), activation="gelu", sines=1))
    params, _ = start(ansatz, 0.2)
    x = np.array([[0.5, 0.25], [1.0, -0.75], [2.5, 0.5]])
    spelled = jets(ansatz, params, {}, ("xx", "yy", "xy"))
    u = jax.tree.map(np.asarray, spelled(x))
    np.testing.assert_allclose(jets(ansatz, params, {})(x)["Δ"], u["xx"] + u["yy"], rtol=1e-10)
    for axis, letter in enumerate("xy"):
        image = x.copy()
        image[:, axis] = [3.0, 0.0][axis] - x[:, axis]
        other = spelled(image)
        same = np.allclose(other[""], -u[""], atol=1e-14)
        assert same == (letter in odd)
        if same:
            np.testing.assert_allclose(other["xy"], u["xy"], atol=1e-12)
            np.testing.assert_allclose(other["yy"], -u["yy"], atol=1e-12)


class Flat(BurgersSteady):
    derivatives = ("", LAPLACIAN)


@pytest.mark.parametrize("symmetry", ["none", "odd"])
def test_the_laplacian_of_an_operator_goes_through_its_inputs(symmetry):
    """Of the decoder too, which sees the input functions at the points."""
    ansatz = Ansatz(Flat("unit", symmetry=symmetry), Decoded((8,), (8,), 6))
    params, inputs = start(ansatz, 0.2)
    x = jnp.linspace(0.1, 0.9, 7)[:, None]
    u = jets(ansatz, params, inputs)(x)
    assert set(u) == {"", LAPLACIAN}
    expected = jets(ansatz, params, inputs, ("xx",))(x)["xx"]
    np.testing.assert_allclose(u[LAPLACIAN], expected, rtol=1e-10, atol=1e-10)


class Seeing(DeepONet):
    """A network of nothing, which notes what it sees of its input functions."""

    def features(self, params, values, y, labels, embed=None):
        params["values"] = values["u0"]
        return {"": jnp.zeros((1, len(values["u0"]), len(y)))}

    def decode(self, params, features, y, a):
        params["a"] = a["u0"]
        return features[0]


def test_a_network_sees_input_functions_in_units_of_their_law():
    problem = BurgersSteady("paper")
    ansatz, law = Ansatz(problem, Seeing()), problem.inputs["u0"]
    first = np.zeros((2, 64))
    first[:, 0] = law.scale

    @jax.jit
    def noted(inputs, x):
        seen = {}
        ansatz.jet(seen, inputs, x, LAM, ())
        return seen

    inputs = {"u0": Functions(np.full((2, 128), law.scale), first)}
    seen = noted(inputs, np.array([[0.25], [0.5]]))
    np.testing.assert_allclose(seen["values"], 1.0, rtol=1e-6)
    np.testing.assert_allclose(seen["a"], [[1.0, np.sqrt(2)]] * 2, rtol=1e-5)
