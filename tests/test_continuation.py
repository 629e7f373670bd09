"""Continuation in float64: least squares, Jacobians, predictors, pins, adaptive points, solvers."""

import dataclasses
import itertools
import json
import math
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hop.homotopy.adaptive import equidistribute
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

import hop
from hop import config as config_lib
from hop import least_squares
from hop.ansatz import Ansatz
from hop.derivatives import jet
from hop.homotopy import pin as pinning
from hop.homotopy.predictors import Tangent
from hop.homotopy.terms import Objective, Stage, Weights
from hop.networks.mlp import MLP
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.helmholtz import Helmholtz
from hop.solvers import Moment
from hop.solvers.first_order import FirstOrder
from hop.solvers.gauss_newton_cg import GaussNewtonCG
from hop.solvers.kaczmarz import Kaczmarz
from hop.solvers.lbfgs import LBFGS
from hop.solvers.levenberg_marquardt import LevenbergMarquardt
from hop.training import fronts, train


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


# Least squares.


@settings(max_examples=20, deadline=None)
@given(
    shape=st.sampled_from([(7, 4), (4, 7), (5, 5)]),
    seed=st.integers(0, 99),
    mu=st.floats(1e-8, 1e3),
)
def test_damped_steps_solve_the_augmented_problem(shape, seed, mu):
    rng = np.random.default_rng(seed)
    matrix, r = rng.standard_normal(shape), rng.standard_normal(shape[0])
    core = least_squares.reduce(jnp.asarray(matrix), jnp.asarray(r))
    delta, fall = least_squares.damped(core, jnp.asarray(mu))
    augmented = np.vstack([matrix, np.sqrt(mu) * np.eye(shape[1])])
    right = np.concatenate([-r, np.zeros(shape[1])])
    np.testing.assert_allclose(delta, np.linalg.lstsq(augmented, right)[0], rtol=1e-6, atol=1e-8)
    after = np.sum((matrix @ np.asarray(delta) + r) ** 2)
    assert float(fall) == pytest.approx(np.sum(r**2) - after, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("shape", [(9, 5), (5, 9)])
def test_truncated_steps_are_the_pseudo_inverses(shape):
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.standard_normal((shape[0], 5)))
    right, _ = np.linalg.qr(rng.standard_normal((shape[1], 5)))
    sigma = 1e3 * np.array([1.0, 1e-2, 1e-4, 1e-7, 1e-9])
    matrix, r = (left * sigma) @ right.T, rng.standard_normal(shape[0])
    core = least_squares.reduce(jnp.asarray(matrix), jnp.asarray(r))
    for rtol, kept in ((1e-12, 5), (1e-8, 4), (1e-3, 2)):
        expected = -right[:, :kept] @ ((left.T @ r)[:kept] / sigma[:kept])
        found = least_squares.truncated(core, rtol)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8 * np.abs(expected).max())


# The objective.


def objective(problem, weights, lam=0.3, previous=0.4, pinned=False, q=12, seed=0):
    """An objective of a small network at its anchor, and parameters near by."""
    ansatz = Ansatz(problem, MLP((6, 5)))
    anchor = ansatz.init(jax.random.key(seed))
    params = jax.tree.map(lambda a: a + 0.1 * jnp.cos(jnp.arange(a.size).reshape(a.shape)), anchor)
    x = problem.domain.sample(jax.random.key(1), q, "stratified")
    here, before = (Lam(jnp.float64(0), jnp.float64(e)) for e in (lam, previous))
    pin = pinning.pin(ansatz, anchor, here, 0.01) if pinned else None
    stage = Stage(jnp.int32(1), here, before, jnp.float64(1), pin)
    return Objective(ansatz, weights, anchor, None, x, jnp.ones(q), stage), params


CASES = {
    "soft conditions": (AllenCahn1D(conditions_by="loss"), Weights(condition=3.0), False),
    "tangent": (AllenCahn1D(), Weights(tangent=0.5), False),
    "slow": (AllenCahn1D(), Weights(slow=2.0), False),
    "pin": (AllenCahn1D(), Weights(), True),
    "laplacian": (Helmholtz(3, 8), Weights(condition=2.0), False),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_are_half_a_sum_of_squares_and_their_jacobian_is_exact(case):
    problem, weights, pinned = CASES[case]
    goal, params = objective(problem, weights, pinned=pinned)
    theta, unravel = ravel_pytree(params)
    r, jacobian = jax.jit(goal.jacobian)(params)
    total, parts = jax.jit(goal.loss)(params)
    assert 0.5 * float(r @ r) == pytest.approx(float(total), rel=1e-12)
    assert all(float(part) > 0 for part in parts.values())
    if not (weights.slow or pinned):  # the mean over parts of the points is the same
        whole, halves = (
            jax.jit(dataclasses.replace(goal, parts=n).gradient)(params) for n in (1, 2)
        )
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), whole, halves)
    if case == "slow":  # its mode is held fixed in the gradient of the loss, as it is here
        expected = jax.jit(jax.grad(lambda t: goal.loss(unravel(t))[0]))(theta)
        np.testing.assert_allclose(r @ jacobian, expected, rtol=1e-9, atol=1e-12)
        return
    expected = jax.jit(jax.jacfwd(lambda t: goal.vector(unravel(t))))(theta)
    np.testing.assert_allclose(jacobian, expected, rtol=1e-9, atol=1e-12)


def test_the_tangent_step_misses_the_path_at_second_order():
    """From a solved stage, the residual after an Euler step of length Δε is O(Δε²).

    With as many parameters as rows, every row can be followed: the soft conditions too.
    """
    goal, params = objective(AllenCahn1D(conditions_by="loss"), Weights(), lam=0.5, q=8)
    moment, solver = Moment(jnp.int32(0), jnp.float64(0), 1), LevenbergMarquardt()
    solved = dataclasses.replace(goal, stage=goal.stage._replace(previous=goal.stage.lam))
    mu, step = solver.init(params), jax.jit(lambda p, m: solver.step(solved, p, m, moment)[:2])
    for _ in range(100):
        params, mu = step(params, mu)
    assert float(jnp.linalg.norm(solved.vector(params))) < 1e-7

    @jax.jit
    def after(change):
        now = goal.stage.lam._replace(eps=goal.stage.lam.eps - change)
        ahead = goal.stage._replace(lam=now, previous=goal.stage.lam)
        there = dataclasses.replace(goal, stage=ahead)
        moved = Tangent(1e-10, guarded=False)(there, params)
        return jnp.linalg.norm(there.vector(moved))

    assert math.log2(after(2e-2) / after(1e-2)) == pytest.approx(2.0, abs=0.1)


class Squares(Objective):
    """r = ε θ² − 1, of any number of parameters."""

    def vector(self, params):
        return self.stage.lam.eps * params**2 - 1

    def jacobian(self, params):
        return self.vector(params), jnp.diag(2 * self.stage.lam.eps * params)


@pytest.mark.parametrize(("previous", "keeps"), [(0.25, False), (0.025, True)])
def test_the_tangent_is_that_of_where_the_last_stage_stands(previous, keeps):
    """J at λ_{k−1}, r at λ_k; guarded, θ stays where the step would raise the loss at λ_k."""
    stage = Stage(1, Lam(0.0, 0.2), Lam(0.0, previous), 1.0)
    goal = Squares(FRONT, Weights(), {}, None, jnp.zeros((1, 1)), jnp.ones(1), stage)
    theta = jnp.array([1.9, 2.0, 2.1])
    step = -(0.2 * theta**2 - 1) / (2 * previous * theta)
    free, guarded = (Tangent(1e-9, guarded=guarded)(goal, theta) for guarded in (False, True))
    np.testing.assert_allclose(free, theta + step, rtol=1e-12)
    np.testing.assert_allclose(guarded, theta if keeps else theta + step, rtol=1e-12)


# Solvers.

SOLVERS = [
    LevenbergMarquardt(),
    GaussNewtonCG(),
    LBFGS(),
    FirstOrder(learning_rate=1e-2, warmup=0),
    Kaczmarz(rows=6, damping=1e-2),
]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_every_solver_lowers_the_loss(solver):
    goal, params = objective(AllenCahn1D(), Weights(), lam=0.5, q=8)
    moment = Moment(jnp.int32(0), jnp.float64(1000), 1000)
    step = jax.jit(lambda p, s: solver.step(goal, p, s, moment))
    state, seen = solver.init(params), []
    for _ in range(40):
        params, state, losses = step(params, state)
        seen.append(float(losses["total"]))
    assert seen[-1] < 0.1 * seen[0]
    if not isinstance(solver, FirstOrder):
        assert all(after <= before for before, after in itertools.pairwise(seen))
    if isinstance(solver, LevenbergMarquardt):
        assert seen[-1] < 1e-8 * seen[0]


def test_kaczmarz_on_all_rows_is_a_damped_least_squares_step():
    """Two factorisations of one step, of J and of J Jᵀ; the momentum moves where damping pulls."""
    goal, params = objective(AllenCahn1D(conditions_by="loss"), Weights(), lam=0.5)
    theta, unravel = ravel_pytree(params)
    solver, mu = Kaczmarz(rows=1000, damping=1e-3, momentum=0.5), jnp.float64(1e-3)
    last = jnp.sin(jnp.arange(len(theta), dtype=float)) * 1e-2
    state = solver.init(params)._replace(step=last)
    moment = Moment(jnp.int32(0), jnp.float64(9), 9)
    moved, after, _ = jax.jit(lambda s: solver.step(goal, params, s, moment))(state)
    r, jacobian = jax.jit(goal.jacobian)(params)
    loss = jax.jit(lambda t: goal.loss(unravel(t))[0])
    kept = 0.5 * last
    delta = kept + least_squares.damped(least_squares.reduce(jacobian, r + jacobian @ kept), mu)[0]
    eta = next(eta for eta in (1, 0.5, 0.25, 0.125) if loss(theta + eta * delta) < loss(theta))
    np.testing.assert_allclose(after.step, eta * delta, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(ravel_pytree(moved)[0], theta + eta * delta, rtol=1e-10, atol=1e-12)


class Linear:
    """r = A θ − b."""

    def __init__(self, a, b):
        self._a, self._b = a, b

    def vector(self, params):
        return self._a @ params - self._b

    def loss(self, params):
        return 0.5 * jnp.sum(self.vector(params) ** 2), {}

    gradient = jacobian = drawn = loss


def test_gauss_newton_by_conjugate_gradients_is_a_damped_least_squares_step():
    rng = np.random.default_rng(0)
    a, b, theta, mu = rng.standard_normal((7, 4)), rng.standard_normal(7), np.ones(4), 0.5
    goal, moment = Linear(jnp.asarray(a), jnp.asarray(b)), Moment(0, 9, 9)
    moved, after, _ = GaussNewtonCG().step(goal, jnp.asarray(theta), jnp.float64(mu), moment)
    delta = np.linalg.solve(a.T @ a + mu * np.eye(4), -a.T @ (a @ theta - b))
    np.testing.assert_allclose(moved, theta + delta, atol=1e-4)
    assert float(after) == mu / 2  # the loss fell


def test_what_a_solver_learned_of_one_loss_is_not_used_for_the_next():
    params = {"kernel": jnp.ones((2, 3))}
    for solver in SOLVERS:
        fresh = solver.init(params)
        used = jax.tree.map(lambda leaf: leaf + 5, fresh)
        jax.tree.map(np.testing.assert_array_equal, solver.next_stage(used, params), fresh)
    low = jnp.float64(1e-9)
    assert LevenbergMarquardt().next_stage(low, params) == low  # μ at most that of the start


def test_rows_are_drawn_by_their_size_and_never_twice():
    goal, params = objective(Helmholtz(3, 40), Weights(), q=60)
    size = np.abs(goal.rows(params)["residual"][0])
    large, counts = size > np.median(size), []

    @jax.jit
    def draw(key):
        part = goal.drawn(params, key, 12)
        return part.x, part.rows(params), part.jacobian(params)

    for seed in range(40):
        points, rows, (r, jacobian) = draw(jax.random.key(seed))
        assert rows["residual"].shape == rows["condition"].shape == (1, 12)
        at = [
            int(np.flatnonzero((np.asarray(goal.x) == x).all(axis=1))[0])
            for x in np.asarray(points)
        ]
        assert len(set(at)) == 12
        np.testing.assert_allclose(np.abs(rows["residual"][0]), size[at], rtol=1e-9)
        assert jacobian.shape == (24, len(ravel_pytree(params)[0]))
        means = [float(jnp.mean(block**2)) for block in rows.values()]
        assert float(r @ r) == pytest.approx(sum(means), rel=1e-12)
        counts.append(np.mean(large[at]))
    # By the density the large half has a share of ½ + ½ (its share of the sum of sizes), less what
    # drawing without replacement takes from it: at 40 x 12 draws far above ½, by four deviations.
    assert np.mean(counts) > 0.5 + 4 * 0.5 / math.sqrt(40 * 12)
    whole = goal.drawn(params, jax.random.key(0), 60)
    assert whole.x is goal.x
    assert whole.asked is None


# Pins.


@dataclasses.dataclass(frozen=True)
class Front:
    """A network that is the front tanh((x − c)/(√2 w)) of its parameters."""

    def init(self, key, dim, sensors):
        return {"c": jnp.float64(0.5), "w": jnp.float64(0.05)}

    def features(self, params, values, y, labels):
        def front(points):
            x = (points[:, 0] + 1) / 2
            return jnp.tanh((x - params["c"]) / (math.sqrt(2) * params["w"]))

        return {k: v[None, None] for k, v in jet(front, y, labels).items()}

    def decode(self, params, features, y, a):
        return features[0]


class Free(AllenCahn1D):
    def lift(self, network, x, a):
        return network


@dataclasses.dataclass(frozen=True)
class Forced(Free):
    """Pushed sideways everywhere alike, or only stretched, by a force at the front."""

    sideways: bool = True

    def residual(self, u, x, a, lam):
        force = 1 - u[""] ** 2
        return super().residual(u, x, a, lam) + 1e-3 * force * (1 if self.sideways else u[""])


FRONT = Ansatz(Free(), Front())


def front(place, width):
    return {"c": jnp.float64(place), "w": jnp.float64(width)}


def test_a_pin_leaves_the_residual_only_what_it_can_decide():
    lam = Lam(0.0, 0.05)
    pin = pinning.pin(FRONT, front(0.5, 0.05), lam, shift=0.02)
    x, places = (jnp.asarray(p) for p in (FRONT.problem.domain.grid(60), pinning.grid(Free())))
    rows = np.random.default_rng(0).standard_normal((3, 60))
    kept = np.asarray(pin.project(jnp.asarray(rows), x, places))
    psi = np.interp(x[:, 0], places[:, 0], pin.psi)
    np.testing.assert_allclose(kept @ psi, 0, atol=1e-12)
    np.testing.assert_allclose(pin.project(jnp.asarray(kept), x, places), kept, atol=1e-12)
    off = pinning.off()
    np.testing.assert_array_equal(off.project(jnp.asarray(rows), x, places), rows)

    def missed(place, width):
        u = FRONT.jet(front(place, width), None, places, ())[""]
        assert float(off.row(u)[0, 0]) == 0
        return abs(float(pin.row(u)[0, 0]))

    # The front is asked for at 0.52, whatever its width: u − û is odd there.
    assert missed(0.52, 0.05) < 1e-9
    assert missed(0.52, 0.04) < 1e-9
    assert missed(0.50, 0.05) > 1e-2


@pytest.mark.parametrize("moved", [0.0, 0.003, -0.03])
def test_the_shift_of_a_front_is_measured_while_it_sharpens(moved):
    found = pinning.shift(FRONT, front(0.55, 0.06), front(0.55 + moved, 0.05), Lam(0.0, 0.05))
    assert found == pytest.approx(moved, abs=1e-8)


def test_the_multiplier_tells_a_front_that_wants_to_move():
    """The front solves the equation without the force; only the sideways one acts on its place."""
    for sideways in (True, False):
        pushed = Ansatz(Forced(sideways=sideways), Front())
        c, rest = pinning.multiplier(pushed, front(0.5, 0.05), Lam(0.0, 0.05))
        assert (c > 10 * rest) if sideways else (rest > 10 * c)


def continuation(tiny_mlp, **overrides):
    """A config of predictor–corrector continuation, small."""
    values = config_lib.to_json(tiny_mlp())
    values["strategy"] = {"name": "predictor_corrector"}
    values["solver"] = {"name": "levenberg_marquardt"}
    values["train"] |= {
        "precision": "float64", "steps": 12, "dispatch": 1, "patience": 3,
        "min_fall": 0.1, "points": 48,
    }  # fmt: skip
    for key, value in overrides.items():
        group, _, field = key.partition("__")
        values[group][field] = value
    return config_lib.parse(values)


@pytest.mark.parametrize("place", ["computed", "assumed"])
def test_a_front_is_placed_by_the_gauge_or_carried_on(
    place, tiny_mlp, tmp_path, listener, monkeypatch
):
    def blind(op):
        found = hop.gauge(op)
        return dataclasses.replace(found, shift=np.array([math.inf])) if op.eps < 0.2 else found

    if place == "assumed":
        monkeypatch.setattr(fronts, "gauge", blind)
    config = continuation(
        tiny_mlp, path__eps=(0.3, 0.15), strategy__pin=1e-5, train__save_seconds=0.0
    )
    heard = listener()
    whole = train(config, tmp_path / "whole", heard)
    assert whole[1]["place"] == place
    assert [("does not tell" in text) for text in heard.messages] == [True] * (place == "assumed")
    # Unpinned, the front ends 9e-4 off; the network is too small for the residual to tell more.
    assert float(hop.gauge(hop.load(tmp_path / "whole")).shift[0]) < 5e-5
    assert whole[1]["l2re"] < 3e-4
    if place == "computed":
        return
    # Begun anew from its last rolling checkpoint, within the pinned last stage.
    shutil.rmtree(tmp_path / "whole/stages/1")
    again = train(config, tmp_path / "whole", listener())
    assert again[-1]["l2re"] == whole[-1]["l2re"]
    lines = [json.loads(line) for line in (tmp_path / "whole/metrics.jsonl").open()]
    assert "pin" in lines[-2]


@pytest.mark.parametrize(("shift", "offset"), [(0.05, 1e-3), (101.0, math.nan)])
def test_a_placed_stage_is_done_when_it_is_saved(
    shift, offset, tiny_mlp, tmp_path, listener, monkeypatch
):
    """Tries to place an interface that came to nothing are not gone on with.

    An estimate outside the domain, which σ near its floor gives, is no place to try at all.
    """

    def astray(op):
        found = hop.gauge(op)
        return dataclasses.replace(found, shift=np.array([shift]), offset=np.array([offset]))

    monkeypatch.setattr(fronts, "gauge", astray)
    config = continuation(
        tiny_mlp, path__eps=(0.3, 0.15), strategy__pin=1e-5, train__save_seconds=0.0
    )
    train(config, tmp_path / "w", listener())
    again = listener()
    train(config, tmp_path / "w", again)
    assert again.stages == []


def test_euler_steps_follow_a_solved_stage_without_a_solver(tiny_mlp, tmp_path, listener):
    eps = tuple(float(e) for e in np.linspace(0.5, 0.4, 9))
    config = continuation(tiny_mlp, path__eps=eps, train__steps=40)
    config = dataclasses.replace(config, strategy={"name": "euler"})
    records = train(config, tmp_path / "w", listener())
    assert [r["step"] for r in records[1:]] == [0] * 8
    moved = hop.load(tmp_path / "w", stage=-1)
    assert records[-1]["l2re"] < 5e-3
    # Without the steps, the first stage's network is far from the last stage's solution.
    stayed = dataclasses.replace(hop.load(tmp_path / "w", stage=0), lam=moved.lam)
    reference = moved.ansatz.problem.reference(None, moved.grid, moved.lam)[0]
    gaps = [np.linalg.norm(op(moved.grid) - reference) for op in (moved, stayed)]
    assert gaps[1] > 5 * gaps[0]


# Adaptive points.


def test_adaptive_points_are_dense_where_the_solution_is_steep():
    x = FRONT.problem.domain.grid(400)
    moved, spacing = equidistribute(FRONT, front(0.3, 0.01), None, jnp.asarray(x))
    moved, spacing = np.asarray(moved)[:, 0], np.asarray(spacing)
    assert np.all(np.diff(moved) > 0)
    assert moved[0] == pytest.approx(0)
    assert moved[-1] == pytest.approx(1)
    assert 0.3 < np.mean(np.abs(moved - 0.3) < 0.1) < 0.7  # of even points, a fifth
    for f in (np.ones_like, np.square, lambda x: np.exp(-(((x - 0.3) / 0.02) ** 2))):
        fine = np.linspace(0, 1, 10_001)
        assert np.mean(f(moved) * spacing) == pytest.approx(np.mean(f(fine)), rel=0.02)
    # dx/dt ∝ 1/w, w = 1 + |u_x|^½ / mean |u_x|^½; of this front |u_x|^½ ∝ sech.
    root = 1 / np.cosh((fine - 0.3) / (math.sqrt(2) * 0.01))
    weight = 1 + root / np.mean(root)
    share = np.interp(moved, fine, np.cumsum(weight) / np.sum(weight))
    np.testing.assert_allclose(share, x[:, 0], atol=1e-3)


# What least squares cannot serve is refused in one line.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train__precision": "float32"}, "needs float64; set config.train.precision=float64"),
        ({"network__widths": (200, 200)}, "serves at most 10,000; use solver.name"),
        ({"strategy__pin": -1.0}, "must not be negative"),
        ({"problem__conditions_by": "loss", "strategy__pin": 1e-3}, "config.strategy.pin needs"),
        ({"strategy__rtol": 2.0}, "must lie between 0 and 1"),
        ({"solver__damping": 0.0}, "config.solver.damping=0.0 must be positive"),
    ],
)
def test_what_least_squares_cannot_serve_is_refused(tiny_mlp, change, words):
    with pytest.raises(hop.UserError, match=words):
        config_lib.build(continuation(tiny_mlp, **change))


def test_least_squares_refuse_operators(tiny):
    values = config_lib.to_json(tiny())
    values["solver"] = {"name": "levenberg_marquardt"}
    with pytest.raises(hop.UserError, match="without input functions; use solver.name"):
        config_lib.build(config_lib.parse(values))
