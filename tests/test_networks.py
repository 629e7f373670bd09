"""Networks: their formulas, their starts, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.errors import UserError
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP


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


def test_unfit_networks_are_refused():
    with pytest.raises(UserError, match="network.name=deeponet"):
        MLP().init(jax.random.key(0), 1, 128)
    with pytest.raises(UserError, match="network.name=mlp"):
        DeepONet().init(jax.random.key(0), 1, None)
    with pytest.raises(UserError, match="positive widths"):
        MLP((0,))
    with pytest.raises(UserError, match="use one of"):
        MLP(activation="relu6")
