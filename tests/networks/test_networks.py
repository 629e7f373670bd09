"""Networks: their formulas, their starts, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.derivatives import jet
from hop.errors import UserError
from hop.networks import ACTIVATIONS, Perceptron, evaluate, on_circle
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.networks.nonlinear_deeponet import NonlinearDeepONet


def test_xavier_normal_kernels_and_zero_biases():
    params = MLP((400, 300)).init(jax.random.key(0), 2, {})
    for layer in params.values():
        fan_in, fan_out = layer["kernel"].shape
        if fan_in > 2:
            deviation = np.sqrt(2 / (fan_in + fan_out))
            assert np.std(layer["kernel"]) == pytest.approx(deviation, rel=0.05)
        assert not layer["bias"].any()


def test_deeponet_is_the_sum_over_branch_and_trunk():
    net = DeepONet((7,), (5, 6), rank=4)
    params = net.init(jax.random.key(0), 1, {"u0": 3})
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
    got = net.decode(params, net.features(params, {"u0": values}, y, ())[""], y, {})
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("functions", [2, 60])  # the trunk's last layer on either side
@pytest.mark.parametrize("network", [DeepONet, NonlinearDeepONet])
def test_features_and_their_gradients_are_those_of_nested_forward_mode(
    network, functions, activation
):
    labels = ("", "t", "x", "xt", "xx")
    with jax.enable_x64(True):
        net = network((7,), (6, 4), rank=4, activation=activation, harmonics=1)
        params = net.init(jax.random.key(0), 2, {"u0": 3})
        params = jax.tree.map(lambda a: a.astype(float) + 0.1, params)
        values = jax.random.normal(jax.random.key(1), (functions, 3))
        y = jax.random.uniform(jax.random.key(2), (8, 2), minval=-1.0)

        def nested(params):
            def split(outputs):
                return outputs.reshape(len(outputs), -1, net.rank)

            def part(name, seen):
                last = params[name][f"Dense_{len(getattr(net, name))}"]["bias"]
                layers = Perceptron((*getattr(net, name), len(last)), net.activation)
                return evaluate(layers, params[name], seen)

            def trunk(y):
                return part("trunk", on_circle(y, net.harmonics))

            b = split(part("branch", values))
            jets = jet(trunk, y, labels)
            return {k: jnp.einsum("ncp,qcp->cnq", b, split(t)) for k, t in jets.items()}

        def features(params):
            return net.features(params, {"u0": values}, y, labels)

        def loss(made):
            return lambda params: sum(jnp.sum(jnp.sin(f)) for f in made(params).values())

        jax.tree.map(close, features(params), nested(params))
        jax.tree.map(close, jax.grad(loss(features))(params), jax.grad(loss(nested))(params))
        hidden = {k: jnp.zeros((8, 4)) for k in labels}
        assert net.branch_first(jnp.zeros((functions, 1, 4)), hidden) == (functions == 2)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


def test_unfit_networks_are_refused():
    with pytest.raises(UserError, match="network.name=deeponet"):
        MLP().init(jax.random.key(0), 1, {"u0": 128})
    with pytest.raises(UserError, match="network.name=mlp"):
        DeepONet().init(jax.random.key(0), 1, {})
    with pytest.raises(UserError, match="positive widths"):
        MLP((0,))
    with pytest.raises(UserError, match="use one of"):
        MLP(activation="relu6")
