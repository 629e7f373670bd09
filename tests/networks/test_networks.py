"""Networks: their formulas, their starts, their jets, and what they refuse."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop import networks
from hop.derivatives import GRADIENT, LAPLACIAN, jet
from hop.errors import UserError
from hop.networks import ACTIVATIONS, Network, Perceptron, evaluate
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.networks.nonlinear_deeponet import NonlinearDeepONet

SENSORS = {"f": 3, "g": 4, "r": 1}  # r is a number
ONE = {"u0": 3}
POINTS = np.array([[-0.5, 0.3], [0.2, 0.9], [0.7, -0.8]])


def waves(y):
    """An embedding of (q, d): the first coordinate as cosine and sine, the others as they are."""
    angle = np.pi * y[:, :1]
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle), y[:, 1:]], axis=1)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def values_of(sensors, functions, seed=1):
    return {name: normal(seed + i, functions, m) for i, (name, m) in enumerate(sensors.items())}


def shifted(params):
    """No parameter is zero."""
    return jax.tree.map(lambda leaf: leaf + 0.1, params)


@functools.partial(jax.jit, static_argnums=0)
def output(net, params, values, y):
    """u at points that the layers see as they are, with some values of the inputs there."""
    a = {name: jnp.full((len(seen), len(y)), 0.3) for name, seen in values.items()}
    return net.decode(params, net.features(params, values, y, ())[""], y, a)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


def described(params):
    """Path → shape and sum of sizes of every parameter."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (
            leaf.shape,
            pytest.approx(float(np.abs(leaf).sum()), rel=1e-5),
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }


# What the networks of one input and one output were before they could have several: parameters of
# key 0, and u at POINTS with 0.1 more of each.
GIVEN = np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]], np.float32)
BEFORE = {
    MLP((5, 4), "sin", frequency=2.0, sines=1): (
        {
            "Dense_0/bias": ((5,), 0.0),
            "Dense_0/kernel": ((2, 5), 17.273976),
            "Dense_1/bias": ((4,), 0.0),
            "Dense_1/kernel": ((5, 4), 5.738335),
            "Dense_2/bias": ((1,), 0.0),
            "Dense_2/kernel": ((4, 1), 1.975406),
        },
        [[0.51310813, -0.43705264, -0.74681205]],
    ),
    DeepONet((7,), (5, 6), rank=4): (
        {
            "bias": ((), 0.0),
            "branch/Dense_0/bias": ((7,), 0.0),
            "branch/Dense_0/kernel": ((3, 7), 8.383583),
            "branch/Dense_1/bias": ((4,), 0.0),
            "branch/Dense_1/kernel": ((7, 4), 8.17469),
            "trunk/Dense_0/bias": ((5,), 0.0),
            "trunk/Dense_0/kernel": ((2, 5), 6.263621),
            "trunk/Dense_1/bias": ((6,), 0.0),
            "trunk/Dense_1/kernel": ((5, 6), 9.484395),
            "trunk/Dense_2/bias": ((4,), 0.0),
            "trunk/Dense_2/kernel": ((6, 4), 9.603851),
        },
        [[0.52715492, 0.83959740, 0.65937620], [0.72278321, 0.70188510, -0.12818459]],
    ),
    NonlinearDeepONet((7,), (5, 6), rank=4, channels=3, decoder=(6,)): (
        {
            "bias": ((), 0.0),
            "branch/Dense_0/bias": ((7,), 0.0),
            "branch/Dense_0/kernel": ((3, 7), 8.313325),
            "branch/Dense_1/bias": ((12,), 0.0),
            "branch/Dense_1/kernel": ((7, 12), 22.557737),
            "decoder/Dense_0/bias": ((6,), 0.0),
            "decoder/Dense_0/kernel": ((6, 6), 13.732237),
            "decoder/Dense_1/bias": ((1,), 0.0),
            "decoder/Dense_1/kernel": ((6, 1), 2.569746),
            "trunk/Dense_0/bias": ((5,), 0.0),
            "trunk/Dense_0/kernel": ((2, 5), 5.991706),
            "trunk/Dense_1/bias": ((6,), 0.0),
            "trunk/Dense_1/kernel": ((5, 6), 8.409439),
            "trunk/Dense_2/bias": ((12,), 0.0),
            "trunk/Dense_2/kernel": ((6, 12), 18.916391),
        },
        [[0.68100238, 0.27359384, 0.38230208], [0.63605195, 1.17719352, -0.57206225]],
    ),
}


@pytest.mark.parametrize("net", BEFORE, ids=lambda net: type(net).__name__)
def test_one_input_and_one_output_are_as_before(net):
    tree, u = BEFORE[net]
    assert isinstance(net, Network)
    given = {} if isinstance(net, MLP) else {"u0": jnp.asarray(GIVEN)}
    params = net.init(jax.random.key(0), 2, dict.fromkeys(given, 3))
    assert described(params) == tree
    params, y = shifted(params), jnp.asarray(POINTS)
    for labels in ((), ("x", "xt")):
        features = net.features(params, given, y, labels)
        assert list(features) == (["", "t", "x", "xt"] if labels else [""])
        got = net.decode(params, features[""], y, given)  # sensor values stand for those at y
        np.testing.assert_allclose(got, u, rtol=1e-5, atol=1e-6)


def test_xavier_normal_kernels_and_zero_biases():
    params = MLP((400, 300)).init(jax.random.key(0), 2, {})
    linear = DeepONet((3,), (3,), 300, linear=("f",)).init(jax.random.key(0), 1, {"f": 400})
    assert list(linear["branch"]) == ["kernel"]
    for layer in (*params.values(), linear["branch"]):
        fan_in, fan_out = layer["kernel"].shape
        if fan_in > 2:
            deviation = np.sqrt(2 / (fan_in + fan_out))
            assert np.std(layer["kernel"]) == pytest.approx(deviation, rel=0.05)
        assert not layer.get("bias", np.zeros(1)).any()


def layer(p, x):
    return x @ p["kernel"] + p["bias"][None, :]


def test_deeponet_is_the_sum_over_branch_and_trunk():
    net = DeepONet((7,), (5, 6), rank=4)
    params = shifted(net.init(jax.random.key(0), 1, {"u0": 3}))
    values, y = normal(1, 2, 3), jnp.linspace(-1.0, 1.0, 5)[:, None]
    branch, trunk = params["branch"], params["trunk"]
    b = layer(branch["Dense_1"], jnp.tanh(layer(branch["Dense_0"], values)))
    t = jnp.tanh(layer(trunk["Dense_1"], jnp.tanh(layer(trunk["Dense_0"], y))))
    expected = jnp.einsum("np,qp->nq", b, layer(trunk["Dense_2"], t)) + params["bias"]
    np.testing.assert_allclose(output(net, params, {"u0": values}, y), expected, 1e-5, 1e-6)


@pytest.mark.parametrize("linear", [(), ("f",), ("g", "f"), ("r",), ("f", "g", "r")])
def test_branches_combine_as_a_sum_of_the_linear_times_a_product_of_the_others(linear):
    net = DeepONet((7,), (5,), rank=4, linear=linear)
    params = shifted(net.init(jax.random.key(0), 2, SENSORS, outputs=2))
    values, y = values_of(SENSORS, 3), jnp.asarray(POINTS)
    parts = params["branch"]
    assert set(parts) == set(SENSORS)
    assert ("bias" in params) == (not linear)
    made = {
        name: values[name] @ part["kernel"]
        if name in linear
        else 1 + layer(part["Dense_1"], jnp.tanh(layer(part["Dense_0"], values[name])))
        for name, part in parts.items()
    }
    factors = [made[name] for name in SENSORS if name not in linear]
    if linear:
        factors.append(sum(made[name] for name in linear))
    trunk = params["trunk"]
    t = layer(trunk["Dense_1"], jnp.tanh(layer(trunk["Dense_0"], y))).reshape(3, 2, 4)
    b = np.prod([np.asarray(factor) for factor in factors], axis=0).reshape(3, 2, 4)
    expected = np.einsum("nkp,qkp->knq", b, t) + (0.0 if linear else 0.1)
    np.testing.assert_allclose(output(net, params, values, y), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("linear", [("f",), ("f", "r"), ()])
def test_output_is_linear_in_what_is_named_so_and_in_nothing_else(linear):
    with jax.enable_x64(True):
        net = DeepONet((7,), (5,), rank=4, linear=linear)
        params = shifted(net.init(jax.random.key(0), 2, SENSORS, 2))
        y = jnp.asarray(POINTS)
        one, two = values_of(SENSORS, 3, 1), values_of(SENSORS, 3, 4)

        def defect(names):
            """Of u(2 a − 3 b) = 2 u(a) − 3 u(b) in the inputs of these names."""
            b = one | {name: two[name] for name in names}
            both = one | {name: 2 * one[name] - 3 * two[name] for name in names}
            u = [output(net, params, values, y) for values in (one, b, both)]
            return np.abs(u[2] - (2 * u[0] - 3 * u[1])).max()

        for names in [("f",), ("f", "r"), ("g",), ("f", "g")]:
            if names == linear:
                assert defect(names) < 1e-12
            else:
                assert defect(names) > 1e-3


def test_one_linear_input_alone_makes_a_linear_map():
    with jax.enable_x64(True):
        net = DeepONet((7,), (5,), rank=4, linear=("f",))
        params = shifted(net.init(jax.random.key(0), 2, {"f": 3}))
        assert set(params) == {"branch", "trunk"}
        u = [output(net, params, {"f": a}, jnp.asarray(POINTS)) for a in np.eye(3)[:, None]]
        both = output(net, params, {"f": jnp.array([[2.0, -3.0, 0.5]])}, jnp.asarray(POINTS))
        np.testing.assert_allclose(both, 2 * u[0] - 3 * u[1] + 0.5 * u[2], atol=1e-12)


def last_layers(net):
    """Paths to the parameters of which every output has its own, and the columns of each."""
    if isinstance(net, MLP):
        return {("Dense_1",): 1}
    if isinstance(net, NonlinearDeepONet):
        return {("decoder", "Dense_1"): 1}
    branches = {("branch", name, "Dense_1"): net.rank for name in SENSORS}
    return branches | {("trunk", "Dense_1"): net.rank}


@pytest.mark.parametrize(
    "net",
    [MLP((5,)), DeepONet((7,), (5,), 4), NonlinearDeepONet((7,), (5,), 4, decoder=(6,))],
    ids=lambda net: type(net).__name__,
)
def test_each_output_has_its_columns_of_the_last_layers_alone(net):
    sensors = {} if isinstance(net, MLP) else SENSORS
    functions = 2 if sensors else 1
    params = net.init(jax.random.key(0), 2, sensors, 3)
    values, y = values_of(sensors, functions), jnp.asarray(POINTS)
    u = output(net, params, values, y)
    assert u.shape == (3, functions, len(y))
    if sensors:
        assert params["bias"].shape == (3,)
        moved = params | {"bias": params["bias"].at[1].add(1.0)}
        np.testing.assert_allclose(
            output(net, moved, values, y) - u,
            np.eye(3)[1, :, None, None] * np.ones(u.shape),
            atol=1e-5,
        )
    slopes = jax.jit(jax.jacobian(lambda p: output(net, p, values, y).sum((1, 2))))(params)
    for path, width in last_layers(net).items():
        part = slopes
        for key in path:
            part = part[key]
        for slope in part.values():  # (k, …, columns)
            by_output = np.abs(slope).reshape(3, -1, 3, width).sum((1, 3))
            assert (np.diag(by_output) > 0).all()
            assert not (by_output - np.diag(np.diag(by_output))).any()


@pytest.mark.parametrize(
    "net",
    [
        DeepONet((7,), (5,), 4),
        DeepONet((7,), (5,), 4, linear=("f",)),
        NonlinearDeepONet((7,), (5,), 4),
    ],
    ids=["deeponet", "linear", "nonlinear"],
)
def test_every_input_matters_at_the_start(net):
    params, y = net.init(jax.random.key(0), 2, SENSORS), jnp.asarray(POINTS)
    values = values_of(SENSORS, 2) | {"r": jnp.zeros((2, 1))}  # as the mean is, in its units

    def total(params, values):
        return output(net, params, values, y).sum()

    by_parameter, by_value = jax.jit(jax.grad(total, (0, 1)))(params, values)
    for slope in by_value.values():
        assert (np.abs(slope).max(axis=1) > 1e-3).all()
    for part in by_parameter["branch"].values():  # and none waits for another
        assert max(np.abs(slope).max() for slope in jax.tree.leaves(part)) > 1e-3


def test_order_of_the_inputs_does_not_matter():
    backwards = dict(reversed(SENSORS.items()))
    net, y = NonlinearDeepONet((7,), (5,), 4, decoder=(6,)), jnp.asarray(POINTS)
    params = net.init(jax.random.key(0), 2, SENSORS)
    jax.tree.map(np.testing.assert_array_equal, params, net.init(jax.random.key(0), 2, backwards))
    values = values_of(SENSORS, 2)
    features = net.features(params, values, y, ())[""]
    a = values_of(dict.fromkeys(SENSORS, 3), 2)
    turned = {name: a[name] for name in backwards}
    np.testing.assert_array_equal(
        net.decode(params, features, y, a), net.decode(params, features, y, turned)
    )
    turned = {name: values[name] for name in backwards}
    np.testing.assert_array_equal(features, net.features(params, turned, y, ())[""])


# Of 80 functions the trunk's last layer acts on the trunk, of 2 on the branch.
CASES = [
    *((DeepONet, 2, activation) for activation in ACTIVATIONS),
    (NonlinearDeepONet, 2, "tanh"),
    (DeepONet, 80, "tanh"),
    (NonlinearDeepONet, 80, "gelu"),
]


@pytest.mark.parametrize(("network", "functions", "activation"), CASES)
def test_features_and_their_gradients_are_those_of_nested_forward_mode(
    network, functions, activation
):
    labels = ("", "t", "x", "xt", "xx", GRADIENT, LAPLACIAN)
    with jax.enable_x64(True):
        net = network((7,), (6, 4), rank=4, activation=activation)
        params = shifted(net.init(jax.random.key(0), 4, ONE))
        values = normal(1, functions, 3)
        y = jax.random.uniform(jax.random.key(2), (8, 3), minval=-1.0)

        def nested(params):
            def split(outputs):
                return outputs.reshape(*outputs.shape[:-1], -1, net.rank)

            def part(name, seen):
                last = params[name][f"Dense_{len(getattr(net, name))}"]["bias"]
                layers = Perceptron((*getattr(net, name), len(last)), net.activation)
                return evaluate(layers, params[name], seen)

            b = split(part("branch", values))
            jets = jet(lambda y: part("trunk", waves(y)), y, labels)
            return {k: jnp.einsum("ncp,...qcp->...cnq", b, split(t)) for k, t in jets.items()}

        def features(params):
            return net.features(params, {"u0": values}, y, labels, waves)

        def with_gradient(made):
            def loss(params):
                jets = made(params)
                return sum(jnp.sum(jnp.sin(f)) for f in jets.values()), jets

            return jax.jit(jax.grad(loss, has_aux=True))(params)

        jax.tree.map(close, with_gradient(features), with_gradient(nested))


def test_the_last_layer_is_on_the_branch_with_fewer_functions_than_rows():
    net = DeepONet((7,), (6, 4), rank=4)
    h = {"": jnp.zeros((8, 4)), "x": jnp.zeros((8, 4)), GRADIENT: jnp.zeros((3, 8, 4))}
    assert net.branch_first(jnp.zeros((39, 1, 4)), h)
    assert not net.branch_first(jnp.zeros((40, 1, 4)), h)
    assert not net.branch_first(jnp.zeros((1, 1, 4)), {"": h[""]})
    assert not DeepONet((7,), (6, 4), rank=3).branch_first(jnp.zeros((1, 1, 3)), h)


JETS = [(LAPLACIAN,), (GRADIENT, "xy"), (LAPLACIAN, GRADIENT, "t"), ("xt", "yy")]


@pytest.mark.parametrize("labels", JETS, ids="-".join)
@pytest.mark.parametrize(
    "net",
    [
        MLP((6, 5), sines=1),
        DeepONet((7,), (6, 4), 4, linear=("f",)),
        NonlinearDeepONet((7,), (6, 4), 4, channels=3),
    ],
    ids=lambda net: type(net).__name__,
)
def test_jets_are_in_the_points_before_the_embedding(net, labels):
    """∇ and Δ too, over space alone where t has a label."""
    sensors = {} if isinstance(net, MLP) else SENSORS
    with jax.enable_x64(True):
        params = shifted(net.init(jax.random.key(0), 4, sensors, 2))
        y = jax.random.uniform(jax.random.key(2), (8, 3), minval=-1.0)
        values = values_of(sensors, 2)

        def features(y, labels):
            return net.features(params, values, y, labels, waves)

        def nested(y):
            asked = (*labels, GRADIENT) if LAPLACIAN in labels else labels
            return jet(lambda y: features(y, ())[""], y, asked)

        got, expected = jax.jit(lambda y: (features(y, labels), nested(y)))(y)
        assert set(got) == set(expected)
        jax.tree.map(close, got, {label: expected[label] for label in got})
        if GRADIENT in got:
            assert len(got[GRADIENT]) == (2 if "t" in labels else 3)


def test_values_alone_have_symbolic_numbers_of_functions_and_points():
    n, q = jax.export.symbolic_shape("n, q")
    for net in (DeepONet((7,), (5,), 4, linear=("f",)), NonlinearDeepONet((7,), (5,), 4)):
        params = net.init(jax.random.key(0), 3, SENSORS, 2, plain=1)

        def u(values, a, y, net=net, params=params):
            features = net.features(params, values, y, ("",), waves)[""]
            return net.decode(params, features, y[:, 1:], a)

        values, y = values_of(SENSORS, 5), jnp.asarray(POINTS)
        a = values_of(dict.fromkeys(SENSORS, len(y)), 5)
        shapes = (
            {name: jax.ShapeDtypeStruct((n, m), float) for name, m in SENSORS.items()},
            {name: jax.ShapeDtypeStruct((n, q), float) for name in SENSORS},
            jax.ShapeDtypeStruct((q, 2), float),
        )
        exported = jax.export.export(jax.jit(u))(*shapes)
        assert exported.call(values, a, y).shape == (2, 5, 3)
        np.testing.assert_allclose(exported.call(values, a, y), u(values, a, y), 1e-5, 1e-6)


def test_the_decoder_sees_the_plain_coordinates():
    net = NonlinearDeepONet((7,), (5,), 4, channels=3, decoder=(6,))
    params = net.init(jax.random.key(0), 9, SENSORS, plain=2)
    assert params["decoder"]["Dense_0"]["kernel"].shape == (3 + len(SENSORS) + 2, 6)
    assert params["trunk"]["Dense_0"]["kernel"].shape == (9, 5)


def test_unfit_networks_are_refused():
    with pytest.raises(UserError, match="network.name=deeponet"):
        MLP().init(jax.random.key(0), 1, {"u0": 128})
    with pytest.raises(UserError, match="network.name=mlp"):
        DeepONet().init(jax.random.key(0), 1, {})
    with pytest.raises(UserError, match="names h, and this problem's inputs are f, g, r$"):
        DeepONet(linear=("f", "h")).init(jax.random.key(0), 1, SENSORS)
    with pytest.raises(UserError, match="not linear; use network.name=deeponet"):
        NonlinearDeepONet(linear=("f",))
    with pytest.raises(UserError, match="positive widths"):
        MLP((0,))
    with pytest.raises(UserError, match="use one of"):
        MLP(activation="relu6")


@pytest.mark.parametrize("outputs", [1, 2])
def test_functions_pass_the_decoder_in_parts_as_they_do_at_once(outputs, float64, monkeypatch):
    """Where they are many for the caches of a CPU: the jet, and its gradient."""
    net, n, q = NonlinearDeepONet((7,), (5,), 4, channels=3, decoder=(6,)), 12, len(POINTS)
    params = shifted(net.init(jax.random.key(0), 2, SENSORS, outputs))
    labels, a = ("", "x", "xx"), {name: normal(i, n, q) for i, name in enumerate(sorted(SENSORS))}
    x = jnp.asarray(POINTS)
    features = {label: normal(9 + i, 3, n, q) for i, label in enumerate(labels)}
    inputs = {name: dict.fromkeys(labels, v + 1) for name, v in a.items()}
    inputs["r"] = {label: v[:, :1] for label, v in inputs["r"].items()}  # a number: at all points
    places = jet(lambda y: y, x, labels)

    def decoded():
        def weighed(params, features):
            made = net.decode_jet(params, features, places, inputs, x)
            return sum(jnp.sum(jnp.sin(v)) for v in made.values()), made

        traced = jax.make_jaxpr(weighed)(params, features)
        return jax.grad(weighed, (0, 1), has_aux=True)(params, features), "scan" in str(traced)

    whole, in_parts = decoded()
    assert not in_parts
    monkeypatch.setattr(networks, "CACHED", 2 * q * 6)
    apart, in_parts = decoded()
    assert in_parts
    jax.tree.map(close, apart, whole)


def test_parts_hold_what_the_caches_do(monkeypatch):
    """They are equal, and each device has its share of each; GPUs take all functions at once."""
    monkeypatch.setattr(networks, "CACHED", 100)
    assert networks.parts_for_caches(12, 30) == 1  # little enough
    assert networks.parts_for_caches(50, 30) == 25  # 17 parts would do, and do not divide 50
    assert networks.parts_for_caches(7, 1000) == 7
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    assert networks.parts_for_caches(96, 50) == 12  # 24 a device
    assert networks.parts_for_caches(50, 1000) == 1
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert networks.parts_for_caches(96, 50) == 1
