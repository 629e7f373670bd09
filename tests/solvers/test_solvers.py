"""Solvers of least squares: one step of each, and what they refuse."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import continuation, small_loss
from jax.flatten_util import ravel_pytree

import hop
from hop import config as config_lib
from hop import least_squares
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.solvers import Moment, Objective
from hop.solvers.first_order import FirstOrder
from hop.solvers.gauss_newton_cg import GaussNewtonCG
from hop.solvers.kaczmarz import Kaczmarz
from hop.solvers.lbfgs import LBFGS
from hop.solvers.levenberg_marquardt import LevenbergMarquardt

pytestmark = pytest.mark.usefixtures("float64")


SOLVERS = [
    LevenbergMarquardt(),
    GaussNewtonCG(),
    LBFGS(),
    FirstOrder(learning_rate=1e-2, warmup=0),
    Kaczmarz(rows=6, damping=1e-2),
]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_every_solver_lowers_the_loss(solver):
    goal, params = small_loss(AllenCahn1D(), lam=0.5, q=8)
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


class Curved(Objective):
    """r(θ) = g(θ) − g(0), g of an invertible Jacobian."""

    def vector(self, params):
        theta = params["t"]
        return theta + 0.3 * jnp.sin(theta[::-1]) + 0.2 * theta * theta[1]

    def jacobian(self, params):
        return self.vector(params), jax.jacobian(self.vector)(params)["t"]

    def loss(self, params):
        total = 0.5 * jnp.sum(self.vector(params) ** 2)
        return total, {"residual": total}


def test_levenberg_marquardt_follows_the_curve():
    """Undamped, a step leaves the cube of the distance; Newton's would leave its square."""
    solver, moment = LevenbergMarquardt(damping=1e-12), Moment(jnp.int32(0), jnp.float64(9), 9)
    left = []
    for size in (0.1, 0.05):
        params = {"t": size * jnp.array([1.0, -0.5, 0.7])}
        params, _, _ = solver.step(Curved(), params, solver.init(params), moment)
        left.append(float(jnp.linalg.norm(params["t"])))
    assert np.log2(left[0] / left[1]) > 2.7


def test_kaczmarz_on_all_rows_is_a_damped_least_squares_step():
    """Two factorisations of one step, of J and of J Jᵀ; the momentum moves where damping pulls."""
    goal, params = small_loss(AllenCahn1D(conditions_by="loss"), lam=0.5)
    theta, unravel = ravel_pytree(params)
    solver, mu = Kaczmarz(rows=1000, damping=1e-3, momentum=0.5), jnp.float64(1e-3)
    last = jnp.sin(jnp.arange(len(theta), dtype=float)) * 1e-2
    state = solver.init(params)._replace(step=last)
    moment = Moment(jnp.int32(0), jnp.float64(9), 9)
    moved, after, _ = jax.jit(lambda s: solver.step(goal, params, s, moment))(state)
    r, jacobian = jax.jit(goal.jacobian)(params)
    loss = jax.jit(lambda t: goal.loss(unravel(t))[0])
    kept = 0.5 * last
    problem = least_squares.prepare(jacobian, r + jacobian @ kept, jnp.float64(0))  # by QR
    delta = kept + least_squares.damped(problem, mu).delta
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
