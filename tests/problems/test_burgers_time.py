"""Burgers in time: the exact ansatz, the decoder's jets, and the config."""

import functools
import re
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import PLAIN

import hop
from hop import config as config_lib
from hop import inference, plotting
from hop.ansatz import Ansatz, columns
from hop.derivatives import closure, jet
from hop.errors import UserError
from hop.evaluation import Judge
from hop.homotopy.loss import Loss
from hop.homotopy.terms import Stage
from hop.laws.named import NAMED
from hop.networks.deeponet import DeepONet
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problem import Lam
from hop.problems.burgers_time import BurgersTime
from hop.samplers import Points
from hop.training import train

PROBLEM = BurgersTime()
LAM = Lam(0.0, 0.1)
NETWORKS = [
    DeepONet((8,), (8,), 6),
    NonlinearDeepONet((8,), (8,), 4, channels=3, decoder=(6, 5)),
]


def ansatz_at_random(network, problem=PROBLEM):
    ansatz = Ansatz(problem, network, harmonics=2)
    params = jax.tree.map(lambda leaf: leaf + 0.1, ansatz.init(jax.random.key(0)))
    values, law = jax.random.normal(jax.random.key(1), (3, 101)), problem.inputs["u0"]
    inputs = ansatz.inputs({"u0": values * law.scale})
    return ansatz, params, inputs


@pytest.mark.parametrize("eps", [0.1, 0.01])
def test_the_residual_of_an_exact_wave_is_zero(eps, float64):
    """u = c − a tanh(a(x − ct − ½)/(2ε)) solves u_t + u u_x = ε u_xx on the line."""
    a, c = 0.7, 0.3

    def wave(points):
        x, t = points[:, 0], points[:, 1]
        return (c - a * jnp.tanh(a * (x - c * t - 0.5) / (2 * eps)))[None]

    points = jax.random.uniform(jax.random.key(0), (200, 2))
    u = jet(wave, points, closure(BurgersTime.derivatives))
    h = BurgersTime().residual(u, columns(points), {}, Lam(0.0, eps))
    scale = float(jnp.max(jnp.abs(u["t"])))
    np.testing.assert_allclose(h, 0, atol=1e-12 * scale)
    # It can fail: at another ε the same wave is no solution.
    h = BurgersTime().residual(u, columns(points), {}, Lam(0.0, 2 * eps))
    assert jnp.max(jnp.abs(h)) > 0.1 * scale


@pytest.mark.parametrize("network", NETWORKS)
def test_the_ansatz_starts_at_its_input_and_is_periodic(network, float64):
    ansatz, params, inputs = ansatz_at_random(network)
    x = jnp.linspace(0.0, 1.0, 9)
    jet = jax.jit(ansatz.jet)
    start = jet(params, inputs, jnp.stack([x, jnp.zeros(9)], axis=1), LAM)
    a = PROBLEM.inputs["u0"].field(inputs["u0"].coefficients)
    for label, order in (("", 0), ("x", 1), ("xx", 2)):
        np.testing.assert_allclose(start[label], a(x, order), rtol=1e-12, atol=1e-11)
    t = jnp.linspace(0.0, 1.0, 5)
    left, right = (jet(params, inputs, jnp.stack([t * 0 + e, t], axis=1), LAM) for e in (0, 1))
    for label, value in left.items():
        scale = 1 + float(jnp.abs(value).max())
        np.testing.assert_allclose(value, right[label], atol=1e-11 * scale)
    apart = jet(params, inputs, jnp.stack([t * 0 + 0.3, t], axis=1), LAM)
    assert np.abs(left["t"] - apart["t"]).max() > 1e-2


@pytest.mark.parametrize("network", NETWORKS)
def test_jets_through_the_decoder_are_nested_derivatives(network, float64):
    """By features and the chain rule, against one function at one point, differentiated whole."""
    ansatz, params, inputs = ansatz_at_random(network)
    x = jax.random.uniform(jax.random.key(2), (4, 2))

    def whole(i, p):
        alone = jax.tree.map(lambda leaf: leaf[i : i + 1], inputs)
        return ansatz.jet(params, alone, p[None, :], LAM, ())[""][0, 0]

    u = jax.jit(ansatz.jet)(params, inputs, x, LAM)
    assert set(u) == {"", "t", "x", "xx"}
    at = functools.partial(whole, 1)
    first = jax.jit(jax.vmap(jax.jacfwd(at)))(x)
    second = jax.jit(jax.vmap(jax.jacfwd(jax.jacfwd(at))))(x)
    np.testing.assert_allclose(u[""][1], jax.jit(jax.vmap(at))(x), rtol=1e-10)
    np.testing.assert_allclose(u["x"][1], first[:, 0], rtol=1e-9)
    np.testing.assert_allclose(u["t"][1], first[:, 1], rtol=1e-9)
    np.testing.assert_allclose(u["xx"][1], second[:, 0, 0], rtol=1e-9)


def test_the_decoder_is_its_formula(float64):
    network = NETWORKS[1]
    _, params, _ = ansatz_at_random(network)
    features = jax.random.normal(jax.random.key(3), (3, 2, 4))
    y, a = jnp.linspace(-1, 1, 4)[:, None], jnp.ones((2, 4)) / 3
    got = network.decode(params, features, y, {"u0": a})
    for n in range(2):
        for q in range(4):
            z = jnp.stack([*features[:, n, q], a[n, q], y[q, 0]])
            for i in range(3):
                layer = params["decoder"][f"Dense_{i}"]
                z = (jnp.tanh(z) if i else z) @ layer["kernel"] + layer["bias"]
            np.testing.assert_allclose(got[n, q], z[0] + params["bias"], rtol=1e-12)


def test_a_soft_initial_condition_is_the_distance_from_the_input(float64):
    problem = BurgersTime(conditions_by="loss")
    ansatz, params, inputs = ansatz_at_random(NETWORKS[1], problem)
    lam = Lam(0.0, 0.1)
    x = jax.random.uniform(jax.random.key(2), (4, 2))
    stage = Stage(0, lam, lam, 0.0)
    loss = Loss(PLAIN, ansatz, params, inputs, Points(x, jnp.ones(4)), stage)
    start = jnp.concatenate([problem.inputs["u0"].sensors, jnp.zeros((101, 1))], axis=1)
    u = ansatz.jet(params, inputs, start, lam, ())[""]
    fitted = problem.inputs["u0"].field(inputs["u0"].coefficients)(start[:, 0])
    rows = jax.jit(loss.rows)(params)
    assert rows["condition"].shape == (3, 101)
    np.testing.assert_allclose(rows["condition"], u - fitted, atol=1e-12)
    assert PROBLEM.conditions(lam) == ()


def test_scored_on_the_customary_grid_and_a_finer_one_at_small_viscosity():
    judge = Judge(PROBLEM, {}, {})
    for eps, count in ((0.01, 101), (1e-3, 2048)):
        points, weights = judge.quadrature(eps)
        assert points.shape == (count * 101, 2)
        assert len(np.unique(points[:, 0])) == count
        exact = (np.sin(np.pi * points[:, 0]) * points[:, 1] ** 2) @ weights
        assert exact == pytest.approx(2 / (3 * np.pi), rel=3e-4)


def test_what_does_not_fit_is_refused():
    def build(harmonics=4, **network):
        skin = config_lib.experiment(problem="burgers_time", network="nonlinear_deeponet")
        skin.path.eps = (0.1,)
        skin.network.update(network)
        skin.ansatz.harmonics = harmonics
        return config_lib.build(config_lib.parse(skin.to_dict()))

    build()
    for harmonics in (0, -1):
        words = f"config.ansatz.harmonics={harmonics} must be at least 1"
        with pytest.raises(UserError, match=words):
            build(harmonics)
    with pytest.raises(UserError, match="positive widths"):
        build(channels=0)
    with pytest.raises(
        UserError, match=r"conditions_by='soft' is not known; use one of lift, loss"
    ):
        BurgersTime("soft")
    with pytest.raises(UserError, match="network.name=mlp"):
        NonlinearDeepONet().init(jax.random.key(0), 1, {})


def test_trained_scored_drawn_and_inferred(data_dir, tmp_path, listener, monkeypatch):
    """The shipped config, made small; and solutions in blocks of eight functions."""
    monkeypatch.setattr(Judge, "quadrature", lambda *_: PROBLEM.domain.quadrature(11))
    path = Path(hop.__file__).parents[1] / "configs/burgers_time.py"
    skin = runpy.run_path(str(path))["get_config"]()
    skin.network.update(branch=(8,), trunk=(8,), rank=4, decoder=(8,))
    skin.path.eps = (0.1,)
    skin.data.data_dir = data_dir
    skin.train.update(steps=3, functions=8, points=64, validation=9, dispatch=1)
    heard = listener()
    config = config_lib.parse(skin.to_dict())
    (record,) = train(config, tmp_path / "w", heard)
    assert 0 < heard.windows[-1]["residual"] == heard.windows[-1]["total"]
    assert 0 < record["l2re"] <= record["l2re_worst"]
    assert plotting.path(str(tmp_path / "w")).stat().st_size > 10_000

    op = hop.load(tmp_path / "w")
    monkeypatch.setattr("hop.operators.ENTRIES", 500)
    u0 = np.random.default_rng(0).normal(size=(20, len(op.sensors))).astype(np.float32)
    np.save(tmp_path / "u0.npy", u0)
    files = {"input": str(tmp_path / "u0.npy"), "output": str(tmp_path / "u.npy")}
    said = inference.infer(op, points=6, **files)
    x = PROBLEM.domain.grid(6, 6)
    assert re.match(r"20 solutions at 36 points", said)
    u = np.load(tmp_path / "u.npy")  # made in blocks of functions where the points are many
    few = [0, 7, 8, 19]
    np.testing.assert_allclose(u[few], np.asarray(op(jnp.asarray(u0[few]), x)), atol=1e-5)
    h, h_few = op.residual(u0, x), op.residual(u0[few], x)
    np.testing.assert_allclose(h[few], h_few, atol=1e-5 * np.abs(h).max())


def test_the_law_is_that_of_the_data_set():
    assert PROBLEM.inputs["u0"] == NAMED["periodic"]
    assert len(PROBLEM.inputs["u0"].sensors) == 101
