"""Labels: their term of the loss, when it acts, how runs with them go on, what is refused."""

import contextlib
import dataclasses
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import tiny_config
from helpers import with_strategy
from jax.flatten_util import ravel_pytree
from systems import Pair

import hop
from hop import cli, datasets, labels
from hop import config as config_lib
from hop.homotopy.loss import Loss
from hop.homotopy.terms import Stage
from hop.homotopy.terms.labels import Labelled, Labels
from hop.homotopy.terms.residual import Residual
from hop.laws.named import NAMED
from hop.operators import Operator
from hop.problem import Lam
from hop.samplers import Points
from hop.sharding import Layout
from hop.solvers import Moment
from hop.solvers.gauss_newton_cg import GaussNewtonCG
from hop.solvers.kaczmarz import Kaczmarz
from hop.solvers.levenberg_marquardt import LevenbergMarquardt
from hop.training import Program, Window, feed, train

X = np.linspace(0.05, 0.95, 9)[:, None]


def known(n=6, seed=0, **more):
    """Labels of n functions of the tiny operator: as good as any, at both ends of its path."""
    rng = np.random.default_rng(seed)
    u0 = np.asarray(NAMED["unit"].values(NAMED["unit"].sample(jax.random.key(seed), n)))
    return {"u0": u0, "x": X, "u": rng.normal(size=(n, len(X))), **more}


def loss_of(experiment, arrays, params, eps=0.3, terms=(), **options):
    """The loss of the labels alone, or beside other terms, in a stage of ε."""
    labelling = labels.check(arrays, experiment)
    real = jnp.result_type(float)
    lam = Lam(jnp.asarray(0.0, real), jnp.asarray(eps, real))
    stage = Stage(jnp.int32(0), lam, lam, jnp.asarray(0.0, real))
    term = Labels(1.0, jax.tree.map(jnp.asarray, labelling.at(Lam(0.0, eps))))
    x = jnp.asarray(experiment.problem.domain.quadrature(4)[0], real)
    points = Points(x, jnp.ones(len(x)))
    return Loss((*terms, term), experiment.ansatz, params, {}, points, stage, **options)


@pytest.fixture(scope="module")
def experiment(data_dir):
    """That of a tiny operator, in float64."""
    return config_lib.build(
        tiny_config("burgers_steady", "deeponet", data_dir, {"train__precision": "float64"})
    )


@pytest.fixture(scope="module")
def operator(experiment):
    """An untrained operator."""
    with jax.enable_x64(True):
        params = jax.device_get(jax.jit(experiment.ansatz.init)(jax.random.key(0)))
    return Operator(experiment.ansatz, params, Lam(0.0, 0.3))


@pytest.fixture(scope="module")
def value(experiment, operator):
    """A function (labels, eps) → L and ∂L/∂θ of the untrained operator, compiled once."""

    @jax.jit
    def compiled(labelled, eps):
        lam = Lam(jnp.zeros(()), eps)
        points = Points(jnp.zeros((1, 1)), jnp.ones(1))
        stage = Stage(jnp.int32(0), lam, lam, jnp.zeros(()))

        def loss(params):
            given = (Labels(1.0, labelled),), experiment.ansatz, params, {}, points, stage
            return Loss(*given).loss(params)[0]

        return jax.value_and_grad(loss)(operator.params)

    def of(arrays, eps=0.3):
        with jax.enable_x64(True):
            some = labels.check(arrays, experiment).at(Lam(0.0, eps))
            return compiled(jax.tree.map(jnp.asarray, some), jnp.asarray(eps))

    return of


def largest(tree):
    return max(float(np.max(np.abs(leaf))) for leaf in jax.tree.leaves(tree))


def test_a_network_that_gives_the_labels_is_left_alone(operator, value):
    arrays = known()
    with jax.enable_x64(True):
        own = arrays | {"u": operator(arrays["u0"], X)}
    total, gradient = value(own)
    assert float(total) < 1e-24
    assert largest(gradient) < 1e-12
    wrong = own | {"u": own["u"] + 0.5}
    assert float(value(wrong)[0]) == pytest.approx(0.125)


def test_rows_belong_to_their_functions(value):
    arrays = known(std=np.linspace(1, 2, 54).reshape(6, 9))
    order = np.array([3, 1, 5, 0, 2, 4])
    rows = {name: arrays[name][order] for name in ("u", "std")}
    total, together, alone = (
        float(value(arrays | change)[0])
        for change in ({}, rows | {"u0": arrays["u0"][order]}, rows)
    )
    assert together == pytest.approx(total, rel=1e-12)
    assert abs(alone / total - 1) > 1e-3


def test_the_mean_is_that_over_the_known_values_in_units_of_their_noise(operator, value):
    arrays = known(std=np.linspace(0.5, 2, 9))
    arrays["u"][0], arrays["u"][2, 3:], arrays["u"][:, 5] = np.nan, np.nan, np.nan
    total, gradient = value(arrays)
    with jax.enable_x64(True):
        rows = (operator(arrays["u0"], X) - arrays["u"]) / arrays["std"]
    assert float(total) == pytest.approx(0.5 * np.nanmean(rows**2), rel=1e-12)
    # Nothing of what is not known is left in the gradient either.
    kept = {"u0": arrays["u0"][1:], "u": arrays["u"][1:]}
    _, other = value(arrays | kept)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), gradient, other)


def test_labels_act_at_their_own_eps(value):
    arrays = known(eps=np.array([0.5, 0.3, 0.3, 0.5, 0.5, 0.3 * (1 + 1e-7)]))
    for eps, mine in ((0.3, [1, 2, 5]), (0.5, [0, 3, 4])):
        alone = {name: arrays[name][mine] for name in ("u0", "u", "eps")}
        one, two = (float(value(a, eps)[0]) for a in (arrays, arrays | alone))
        assert one == pytest.approx(two)
    nowhere, gradient = value(arrays, 0.4)
    assert float(nowhere) == largest(gradient) == 0


def test_a_step_takes_some_labels_those_of_its_eps_first():
    n, q = 12, 10
    here = (np.arange(n) % 4 == 1).astype(np.float32)
    y = np.arange(q * n, dtype=np.float32).reshape(q, n)
    inputs, x = {"u0": np.arange(n)[:, None]}, np.arange(q, dtype=np.float32)[:, None]
    whole = Labelled(inputs, x, y, 2 * y, here)
    seen = set()
    for seed in range(20):
        some = jax.tree.map(np.asarray, whole.drawn(jax.random.key(seed), 5, 4))
        rows, at = some.inputs["u0"][:, 0], some.x[:, 0].astype(int)
        assert set(rows[:3]) == {1, 5, 9}
        assert len(set(rows)) == 5
        assert len(set(at)) == 4
        np.testing.assert_array_equal(some.y, y[np.ix_(at, rows)])
        np.testing.assert_array_equal(some.rate, 2 * some.y)
        np.testing.assert_array_equal(some.here, here[rows])
        seen |= set(rows) | {100 + i for i in at}
    assert seen == {*range(n), *range(100, 100 + q)}
    jax.tree.map(np.testing.assert_array_equal, whole.drawn(jax.random.key(0), n, q), whole)


def without_inputs(problem, **train):
    """An experiment of a small network, of one's own problem, in float64."""
    config = config_lib.experiment(network="mlp")
    config.network.widths, config.path.eps = (6, 5), (0.5, 0.3)
    config.train.update(points=8, precision="float64", **train)
    return config_lib.build(config_lib.parse(config.to_dict()), problem)


@pytest.fixture
def one_solution(float64):
    """Labels of one function of two unknowns in the plane, parameters and a loss of them."""
    experiment = without_inputs(Pair("plane", ()))
    x = np.stack([np.linspace(0.1, 0.9, 9), np.linspace(-0.5, 1.5, 9)], 1)
    arrays = {"x": x, "u": np.where(np.arange(9) % 3, np.sin(x[:, 0]), np.nan), "std": 0.1}
    params = jax.jit(experiment.ansatz.init)(jax.random.key(0))
    return experiment, arrays, params


def test_dense_solvers_see_every_row(one_solution):
    """The Jacobian, made point by point, is that of the rows; one unknown of two is not known.

    And the gradient of a step in parts is that of the whole.
    """
    experiment, arrays, params = one_solution
    goal = loss_of(experiment, arrays, params, terms=(Residual(),))
    theta, unravel = ravel_pytree(params)
    r, jacobian = jax.jit(goal.jacobian)(params)
    whole = jax.jit(jax.jacrev(lambda t: goal.vector(unravel(t))))(theta)
    np.testing.assert_allclose(jacobian, whole, rtol=1e-9, atol=1e-12)
    (total, by_term), gradient = jax.jit(dataclasses.replace(goal, parts=4).gradient)(params)
    assert 0.5 * float(r @ r) == pytest.approx(float(total))
    np.testing.assert_allclose(ravel_pytree(gradient)[0], r @ jacobian, atol=1e-12)
    u = Operator(experiment.ansatz, params, Lam(0.0, 0.3))(arrays["x"])["u"]
    mean = 0.5 * np.nanmean(((u - arrays["u"]) / 0.1) ** 2)
    assert float(by_term["labels"]) == pytest.approx(mean)


@pytest.mark.parametrize(
    "solver",
    [LevenbergMarquardt(), GaussNewtonCG(), Kaczmarz(rows=6, damping=1e-2)],
    ids=lambda solver: type(solver).__name__,
)
def test_solvers_of_rows_lower_the_loss_of_labels_alone(solver, one_solution):
    experiment, arrays, params = one_solution
    goal = loss_of(experiment, arrays, params)
    moment = Moment(jnp.int32(0), jnp.float64(1000), 1000)
    step = jax.jit(lambda p, s: solver.step(goal, p, s, moment))
    state, before = solver.init(params), float(goal.loss(params)[0])
    for _ in range(5):
        params, state, _ = step(params, state)
    assert float(goal.loss(params)[0]) < 0.5 * before


def dispatched(config, layout, known=None, steps=1):
    """The losses of the first steps of a run at ε = 0.3."""
    experiment = config_lib.build(config)
    datasets.build(NAMED["unit"], config.data.data_dir)
    lam = Lam(np.float32(0), np.float32(0.3))
    some = known and labels.check(known, experiment).put(layout).at(lam)
    stage = Stage(np.int32(0), lam, lam, np.float32(0), None, some)
    program, fed = Program(experiment, layout), feed(experiment, layout)(0, 0, 10)
    window = Window(np.int32(steps), np.float32(100))
    return program.dispatch(program.init(), stage, window, *fed)[1]


def test_points_and_functions_are_drawn_as_without_labels(tiny):
    """So the residual of the first step is the same number."""
    layout = Layout.create(1, 1, jax.devices()[:1])
    config = tiny(labels__weight=2.0)
    without, beside = (dispatched(config, layout, given) for given in (None, known(20)))
    assert float(without["residual"]) == float(beside["residual"])
    total = float(without["residual"] + 2 * beside["labels"])
    assert float(beside["total"]) == pytest.approx(total, rel=1e-6)


def test_labels_alone_teach_and_a_run_with_them_resumes(tiny, tmp_path, listener):
    """Here u = 0 is learned of functions that are not. A workdir is held to its labels."""
    arrays, w = known(20) | {"u": np.zeros((20, 9))}, tmp_path / "w"
    np.savez(tmp_path / "labels.npz", **arrays)

    def config(file=""):
        train = {"train__steps": 60, "train__validation": 1, "train__save_seconds": 0.0}
        own = {"solver__learning_rate": 2e-2, "labels__file": file, "labels__weight": 2.0}
        return with_strategy(tiny(**train, **own), "supervised")

    named = config(str(tmp_path / "labels.npz"))
    with pytest.raises(KeyboardInterrupt):
        train(named, w, listener(interrupt_after=3))
    train(named, w, listener())
    plain, heard = config(), listener()
    whole = hop.train(plain, tmp_path / "whole", labels=arrays, reporter=heard)
    jax.tree.map(np.testing.assert_array_equal, hop.load(w).params, whole.params)
    assert whole.eps == 0.3
    losses = [window["labels"] for window in heard.windows]
    assert losses[-1] < 0.02 * losses[0]
    assert heard.windows[0]["total"] == pytest.approx(2 * losses[0], rel=1e-6)
    assert "residual" not in heard.windows[0]
    for other, given in ((tiny(), None), (plain, known(20, seed=1))):
        with pytest.raises(hop.UserError, match="another config: .* and labels, by config.labels"):
            train(other, w, listener(), labels=given)
    with pytest.raises(hop.UserError, match="learns from labels alone; give some"):
        train(plain, w, listener())
    # What is stored asks for the same labels, and names no file of this machine.
    assert whole.config.labels == config_lib.LabelsConfig("", 2.0, labels.digest(arrays))
    with pytest.raises(hop.UserError, match="asks for other labels: there are none"):
        hop.train(whole.config, tmp_path / "again", reporter=listener())
    assert f"labels      {labels.digest(arrays)}, weight 2" in said(w)


def said(workdir):
    """What `hop info` prints of it."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert cli.main(["info", str(workdir)]) == 0
    return out.getvalue()


@pytest.mark.devices
def test_losses_with_labels_do_not_depend_on_the_mesh(tiny):
    one, many = (
        dispatched(
            tiny(),
            Layout.create(*mesh, jax.devices()[:count]),
            known(16),
            steps=10,
        )
        for count, mesh in ((1, (1, 1)), (8, (4, 2)))
    )
    for name in ("labels", "residual", "total"):
        np.testing.assert_allclose(float(many[name]), float(one[name]), rtol=2e-5)


NAN = np.full((6, 9), np.nan)
FAULTS = {
    "did you mean 'u0'": {"u00": X},
    "'u0', an input of the problem, is missing": {"u0": None},
    "'x', the points \\(q, d\\), is missing": {"x": None},
    "no solution among u0, x; give u": {"u": None},
    r"u has shape \(9, 6\) and must be \(n, q\) = \(6, 9\)": {"u": NAN.T},
    "u0 has shape .* and must be": {"u0": np.zeros((6, 3))},
    "u0 holds NaN or infinity": {"u0": np.full((6, 128), np.nan)},
    "no value of a solution is known": {"u": NAN},
    "u holds infinity": {"u": np.full((6, 9), np.inf)},
    "u holds values beyond float32": {"u": np.full((6, 9), 1e300)},
    "x holds points outside the domain": {"x": X + 0.5},
    r"x has shape \(9,\) and must be \(q, 1\)": {"x": X[:, 0]},
    "no stage of this path has eps=0.4; there are 0.5, 0.3": {"eps": 0.4},
    "eps has shape": {"eps": np.full(3, 0.3)},
    "std must be positive": {"std": 0.0},
    "std has shape": {"std": np.ones(6)},
    "is of dtype object; give real numbers": {"u": np.full((6, 9), None)},
    "is of dtype complex": {"u": 1j * NAN},
}


@pytest.mark.parametrize("message", FAULTS)
def test_what_does_not_fit_is_refused(message, tiny):
    arrays = {k: v for k, v in (known() | FAULTS[message]).items() if v is not None}
    with pytest.raises(hop.UserError, match=message) as refused:
        labels.prepare(config_lib.build(tiny()), arrays)
    assert "\n" not in str(refused.value)


def test_files_and_runs_that_cannot_serve_are_refused(tiny, tmp_path, listener):
    np.savez(tmp_path / "object.npz", u=np.array([None]))
    (tmp_path / "text.npz").write_text("u0 = 1")
    refused = {
        "no file": (tiny(labels__file=str(tmp_path / "none.npz")), None),
        "is not an .npz file of arrays": (tiny(), tmp_path / "object.npz"),
        "is not an .npz file of": (tiny(), tmp_path / "text.npz"),
        "must be a mapping of arrays": (tiny(), X),
        "^labels: 'y' is neither input nor unknown": (tiny(), known(y=X)),
        "labels= is given and config.labels.file": (tiny(labels__file="a.npz"), known()),
        "config.labels.digest='0' asks for other labels: these": (
            tiny(labels__digest="0"),
            known(),
        ),
    }
    for message, (config, given) in refused.items():
        with pytest.raises(hop.UserError, match=message):
            train(config, tmp_path / "w", listener(), labels=given)
    assert not (tmp_path / "w").exists()
    with pytest.warns(UserWarning, match="labels: u0 lies outside the law .* check its units"):
        labels.check(known() | {"u0": 100 * known()["u0"]}, config_lib.build(tiny()))
    with pytest.raises(hop.UserError, match="labels.weight=0.0 must be positive"):
        tiny(labels__weight=0.0)


def test_marching_is_refused():
    march = {"problem": "allen_cahn_2d", "strategy": "sequence_to_sequence"}
    config = config_lib.experiment(network="mlp", **march)
    config.path.eps = (0.3,)
    experiment = config_lib.build(config_lib.parse(config.to_dict()))
    with pytest.raises(hop.UserError, match="trains another function than the solution"):
        labels.prepare(experiment, {"x": np.zeros((1, 2)), "u": np.zeros(1)})
