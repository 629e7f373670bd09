"""Networks: their formulas, their starts, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.ansatz import Ansatz, Inputs
from hop.derivatives import jet
from hop.errors import UserError
from hop.networks import _ACTIVATIONS, evaluate, on_circle
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problems.burgers_steady import BurgersSteady


def test_xavier_normal_kernels_and_zero_biases():
    params = MLP((400, 300)).init(jax.random.key(0), 2, None)
    for layer in params.values():
        fan_in, fan_out = layer["kernel"].shape
        if fan_in > 2:
            deviation = np.sqrt(2 / (fan_in + fan_out))
            assert np.std(layer["kernel"]) == pytest.approx(deviation, rel=0.05)
        assert not layer["bias"].any()


def test_deeponet_is_the_sum_over_branch_and_trunk():
    net = DeepONet((7,), (5, 6), rank=4)
    params = net.init(jax.random.key(0), 1, 3)
    params = jax.tree.map(lambda a: a + 0.1, params)
    values = jax.random.normal(jax.random.key(1), (2, 3))
    y = jnp.linspace(-1.0, 1.0, 5)[:, None]

    def dense(p, x):
        return x @ p["kernel"] + p["bias"][None, :]

    branch, trunk = params["branch"], params["trunk"]
    b = dense(branch["Dense_1"], jnp.tanh(dense(branch["Dense_0"], values)))
    t = jnp.tanh(dense(trunk["Dense_1"], jnp.tanh(dense(trunk["Dense_0"], y))))
    t = dense(trunk["Dense_2"], t)
    expected = jnp.einsum("np,qp->nq", b, t) + params["bias"]
    got = net.decode(params, net.features(params, values, y, ())[""], y, None)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", _ACTIVATIONS)
@pytest.mark.parametrize("functions", [2, 60])  # the trunk's last layer on either side
@pytest.mark.parametrize("network", [DeepONet, NonlinearDeepONet])
def test_features_and_their_gradients_are_those_of_nested_forward_mode(
    network, functions, activation
):
    labels = ("", "t", "x", "xt", "xx")
    with jax.enable_x64(True):
        net = network((7,), (6, 4), rank=4, activation=activation, harmonics=1)
        params = net.init(jax.random.key(0), 2, 3)
        params = jax.tree.map(lambda a: a.astype(float) + 0.1, params)
        values = jax.random.normal(jax.random.key(1), (functions, 3))
        y = jax.random.uniform(jax.random.key(2), (8, 2), minval=-1.0)

        def nested(params):
            def split(outputs):
                return outputs.reshape(len(outputs), -1, net.rank)

            def trunk(y):
                return evaluate(net._trunk, params["trunk"], on_circle(y, net.harmonics))

            b = split(evaluate(net._branch, params["branch"], values))
            jets = jet(trunk, y, labels)
            return {k: jnp.einsum("ncp,qcp->cnq", b, split(t)) for k, t in jets.items()}

        def features(params):
            return net.features(params, values, y, labels)

        def loss(made):
            return lambda params: sum(jnp.sum(jnp.sin(f)) for f in made(params).values())

        jax.tree.map(close, features(params), nested(params))
        jax.tree.map(close, jax.grad(loss(features))(params), jax.grad(loss(nested))(params))
        hidden = {k: jnp.zeros((8, 4)) for k in labels}
        assert net._branch_first(jnp.zeros((functions, 1, 4)), hidden) == (functions == 2)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


class Seeing(DeepONet):
    """A network of nothing, which notes what it sees of its input functions."""

    def features(self, params, values, y, labels):
        params["values"] = values
        return {"": jnp.zeros((1, len(values), len(y)))}

    def decode(self, params, features, y, a):
        params["a"] = a
        return features[0]


def test_a_network_sees_input_functions_in_units_of_their_law():
    problem = BurgersSteady("paper")
    ansatz, law = Ansatz(problem, Seeing()), problem.random_field
    first = np.zeros((2, 64), np.float32)
    first[:, 0] = law.rms

    @jax.jit
    def noted(inputs, x):
        seen = {}
        ansatz.jet(seen, inputs, x, ())
        return seen

    inputs = Inputs(np.full((2, 128), law.rms, np.float32), first)
    seen = noted(inputs, np.array([[0.25], [0.5]], np.float32))
    np.testing.assert_allclose(seen["values"], 1.0, rtol=1e-6)
    np.testing.assert_allclose(seen["a"], [[1.0, np.sqrt(2)]] * 2, rtol=1e-5)


def test_unfit_networks_are_refused():
    with pytest.raises(UserError, match="network.name=deeponet"):
        MLP().init(jax.random.key(0), 1, 128)
    with pytest.raises(UserError, match="network.name=mlp"):
        DeepONet().init(jax.random.key(0), 1, None)
    with pytest.raises(UserError, match="positive widths"):
        MLP((0,))
    with pytest.raises(UserError, match="use one of"):
        MLP(activation="relu6")
