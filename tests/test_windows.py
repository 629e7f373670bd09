"""A network of one window of time that is applied window after window."""

import dataclasses
import warnings
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hop
from hop import config
from hop.derivatives import jet
from hop.examining import look
from hop.homotopy.terms import Stage
from hop.laws.gaussian_field import GaussianField
from hop.networks.deeponet import DeepONet
from hop.problem import Lam
from hop.problems.cavity import Cavity
from hop.training.feeds import feed
from hop.training.program import Program, Window
from hop.windows import Marched

pytestmark = pytest.mark.usefixtures("float64")

CIRCLE = hop.Box((0.0,), (1.0,), periodic=("x",))
LAM = Lam(0.0, 0.05)
LAW = GaussianField(CIRCLE, "periodic", length=0.2, modes=24, constant=True)


@dataclasses.dataclass(frozen=True)
class Growth(hop.Problem):
    """u_t = ε u_xx + u, whose solution e^t e^(εt∂xx) u₀ the lift holds: the network is a factor."""

    domain: ClassVar = hop.Box((0.0, 0.0), (1.0, 1.0), periodic=("x",))
    derivatives: ClassVar = ("", "t", "xx")
    inputs: ClassVar = {"a": GaussianField(CIRCLE, "periodic", length=0.2, modes=24)}
    restarts: ClassVar = {"u": "a"}

    def residual(self, u, x, a, lam):
        return u["t"] - lam.eps * u["xx"] - u[""]

    def known(self, fields, x, lam):
        return {"heat": fields["a"].diffused(lam.eps)}

    def lift(self, network, x, a, lam):
        _, t = x
        return a["heat"] * jnp.exp(t) * (1 + t * network)


def marched(windows, scale=0.0):
    """The ansatz, parameters with an output of this size, and three functions of mean 0.3."""
    ansatz = Marched(Growth(), DeepONet((4,), (4,), 3), 2, windows=windows)
    params = jax.tree.map(lambda leaf: scale * leaf, ansatz.init(jax.random.key(0)))
    law = Growth.inputs["a"]
    values = law.values(law.sample(jax.random.key(1), 3)) + 0.3
    return ansatz, params, ansatz.inputs({"a": values})


X = np.random.default_rng(0).uniform(size=(40, 2))
X[:4, 1] = 0.0, 0.25, 0.75, 1.0


def test_a_map_that_is_right_on_one_window_is_right_on_all():
    ansatz, params, inputs = marched(4)
    field = LAW.field(inputs["a"].coefficients)
    exact = np.exp(X[None, :, 1]) * field.diffused(LAM.eps)(X)
    found = jax.jit(lambda x: ansatz.jet(params, inputs, x, LAM))(X)
    np.testing.assert_allclose(found[""], exact, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found["t"], LAM.eps * found["xx"] + found[""], atol=1e-7)
    np.testing.assert_allclose(jax.jit(ansatz.residual)(params, inputs, X, LAM), 0, atol=1e-7)


def test_each_window_starts_where_the_last_one_ended():
    """Also with a network that is wrong; and on the first window it is that network's own."""
    ansatz, params, inputs = marched(4, 0.5)
    values = jax.jit(lambda x: ansatz.jet(params, inputs, x, LAM, ("",))[""])
    x = np.linspace(0, 1, 9)[:, None]
    for end in (0.25, 0.5, 0.75):
        before, after = (values(np.hstack([x, 0 * x + t])) for t in (end, end + 1e-7))
        np.testing.assert_allclose(before, after, atol=1e-4)
    early = jnp.asarray(X * [1, 0.25])
    own = ansatz.first.jet(params, inputs, early, LAM, ("",))[""]
    np.testing.assert_allclose(values(early), own, atol=1e-12)
    slope = jax.jit(lambda x: ansatz.jet(params, inputs, x, LAM, ("t",))["t"])
    end = jnp.asarray([[0.3, 0.25]])  # belongs to the window that it ends
    np.testing.assert_allclose(
        slope(end), ansatz.first.jet(params, inputs, end, LAM, ("t",))["t"], atol=1e-9
    )
    np.testing.assert_allclose(
        slope(X[4:]), jet(values, jnp.asarray(X[4:]), ("t",))["t"], atol=1e-9
    )


def test_training_meets_functions_at_the_starts_of_open_windows():
    ansatz, params, inputs = marched(4)
    many = jax.tree.map(lambda a: jnp.repeat(a[:1], 300, axis=0), inputs)
    means, follow = {}, jax.jit(lambda *given: ansatz.followed(params, given[0], LAM, *given[1:]))
    for done in (0.0, 0.2, 1.0):
        found = set()
        for seed in range(20):
            drawn = follow(many, jax.random.key(seed), jnp.asarray(done))["a"]
            found |= {round(float(mean), 6) for mean in drawn.coefficients[:, 0]}
            again = LAW.fit(drawn.values).coefficients
            np.testing.assert_allclose(again, drawn.coefficients, atol=1e-9)
        means[done] = sorted(found)
    start = float(inputs["a"].coefficients[0, 0])
    grown = [round(start * np.exp(t), 6) for t in (0, 0.25, 0.5, 0.75)]
    for done, opened in ((0.0, 1), (0.2, 2), (1.0, 4)):
        np.testing.assert_allclose(means[done], sorted(grown[:opened]), rtol=1e-4)


def test_what_windows_cannot_serve_is_refused():
    march = marched(2)[0]
    for restarts, said in (
        ({"u": "b"}, "u starts as 'b'; the inputs are a"),
        ({"v": "a"}, "must be a dict with an input for each of u"),
        ("a", "must be a dict"),
    ):
        other = type("Lost", (Growth,), {"restarts": restarts})()
        with pytest.raises(hop.UserError, match=said):
            Marched.of(dataclasses.replace(march, problem=other), 2)
    assert any(found.part == "restarts" and found.doubt for found in look(other, LAM))
    with pytest.raises(hop.UserError, match="no derivative of Cavity is in t"):
        Marched.of(dataclasses.replace(march, problem=Cavity()), 2)
    made = config.experiment(problem="burgers_2d", network="fno")
    made.ansatz.windows, made.ansatz.eps = 2, (0.01, 0.1)
    made.path.eps = (0.01,)
    with pytest.raises(hop.UserError, match="ε is an input"):
        config.build(config.parse(made.to_dict()))


def test_the_first_window_is_trained_and_the_operator_answers_on_all(monkeypatch):
    """And the answer to its own answer is that of a later time."""
    made = config.experiment(problem="", network="deeponet")
    made.network.update(branch=(4,), trunk=(4,), rank=3)
    made.ansatz.update(harmonics=2, windows=2)
    made.path.eps = (0.05,)
    made.train.update(steps=3, functions=8, points=64, precision="float64")
    made.data.fresh = True
    experiment = config.build(config.parse(made.to_dict()), Growth())
    program = Program(experiment, experiment.layout())
    state = program.init()._replace(step=jnp.int32(3))
    stage = Stage(0, LAM, LAM, 0)
    assert program.points(state, stage, {}, None).x[:, 1].max() <= 0.5
    drawn = jax.tree.map(lambda a: a[0], feed(experiment, program.layout)(0, 0, 1)[0])
    drawn = experiment.answer.given(drawn)
    again = LAW.values(LAW.field(drawn["a"].coefficients))
    np.testing.assert_allclose(again, drawn["a"].values, atol=1e-9)
    met = [
        program.followed(state._replace(step=jnp.int32(k)), stage, drawn)["a"].values
        for k in (0, 3, 4, 5, 6)
    ]
    np.testing.assert_array_equal(met[0], drawn["a"].values)
    assert any(np.any(values != met[0]) for values in met[1:])

    calls = []

    def counted(self, params, inputs, *rest):
        calls.append(rest)
        return inputs

    monkeypatch.setattr(Marched, "followed", counted)
    jax.eval_shape(
        program.dispatch, state, stage, Window(2, 9), *feed(experiment, program.layout)(0, 0, 2)
    )
    assert calls  # every step asks for them

    op = program.operator(state, LAM)
    law = Growth.inputs["a"]
    given = np.asarray(law.values(law.sample(jax.random.key(1), 3)))
    half, end = (np.hstack([law.sensors, np.full((len(law.sensors), 1), t)]) for t in (0.5, 1.0))
    with warnings.catch_warnings():  # a mean, which windows keep, is nothing to warn of
        warnings.simplefilter("error")
        np.testing.assert_allclose(op(op(given, half), half), op(given, end), atol=1e-5)
