"""Allen–Cahn with a force: its reference and the branch it is on, and what its ansatz holds."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_bvp
from scipy.interpolate import CubicSpline

from hop import ambient
from hop.ansatz import Ansatz
from hop.networks.deeponet import DeepONet
from hop.problem import Lam, reference
from hop.problems.allen_cahn_forced import AllenCahnForced
from hop.references import double_well

PROBLEM, X = AllenCahnForced(), np.linspace(0, 1, 201)[:, None]
COUNT = 24


@pytest.fixture(scope="module")
def force():
    with ambient.on_cpu():
        sample = PROBLEM.inputs["f"].sample(ambient.key(0), COUNT)
        return {"f": jax.tree.map(np.asarray, sample)}


@pytest.fixture(scope="module")
def solutions(force):
    return reference(PROBLEM, force, X, Lam(0.0, 0.03))


def at(force, x):
    with ambient.on_cpu():
        return np.asarray(force["f"](jnp.asarray(x)))


def front(middle, eps):
    """The interface without a force."""

    def guess(x):
        return np.tanh((x[:, 0] - middle) / (np.sqrt(2) * eps))[None]

    return guess


def test_the_reference_converges(force, solutions):
    lam = Lam(0.0, 0.03)
    fine = PROBLEM.newton(force, lam, lambda x: spline(solutions, x), nodes=8000).checked(lam)(X)
    np.testing.assert_allclose(solutions, fine, atol=3e-6)
    np.testing.assert_allclose(solutions[:, [0, -1]], [[-1, 1]] * COUNT, atol=1e-12)


def spline(values, x):
    return np.stack([np.interp(x[:, 0], X[:, 0], row) for row in values])


def test_the_branch_is_that_of_a_finer_path(force, solutions):
    lam = Lam(0.0, 0.03)
    finer = PROBLEM.newton(force, lam, stride=0.04)
    np.testing.assert_allclose(solutions, finer.checked(lam)(X), atol=1e-8)
    usual = PROBLEM.newton(force, lam)
    assert finer.iterations.mean() > 1.5 * usual.iterations.mean()


def test_the_branch_is_where_small_equal_steps_lead(force):
    """ε by ε, by Newton's method alone, each from the last solution."""
    guess = PROBLEM.newton(force, Lam(0.0, 0.5)).solution
    for eps in np.geomspace(0.5, 0.1, 80)[1:]:
        guess = PROBLEM.newton(force, Lam(0.0, float(eps)), guess).solution
    off = np.abs(guess(X) - reference(PROBLEM, force, X, Lam(0.0, 0.1))).max(axis=1)
    assert (off < 1e-5).mean() > 0.9  # such steps can leave a branch that bends sharply


def test_the_reference_agrees_with_collocation_by_scipy(force):
    eps, one = 0.1, jax.tree.map(lambda c: c[:1], force)
    u = reference(PROBLEM, one, X, Lam(0.0, eps))[0]

    def slopes(x, y):
        return np.stack([y[1], (at(one, x)[0] - y[0] + y[0] ** 3) / eps**2])

    found = solve_bvp(
        slopes, lambda a, b: np.array([a[0] + 1, b[0] - 1]), X[:, 0],
        np.stack([u, np.gradient(u, X[:, 0])]), tol=1e-6, max_nodes=20_000,
    )  # fmt: skip
    assert found.success
    np.testing.assert_allclose(found.sol(X[:, 0])[0], u, atol=1e-5)


@pytest.mark.usefixtures("float64")
def test_the_reference_has_no_residual(force):
    """That of the class, which training sees; the reference is of an equation of its own."""
    lam, d = Lam(0.0, 0.1), 1e-3
    x = np.linspace(0.01, 0.99, 99)[:, None]
    u = PROBLEM.newton(force, lam, nodes=2000).solution
    jet = {"": u(x), "xx": (u(x - d) - 2 * u(x) + u(x + d)) / d**2}
    f = {"f": {"": jnp.asarray(at(force, x))}}
    h = PROBLEM.residual(jax.tree.map(jnp.asarray, jet), jnp.asarray(x.T[:, None]), f, lam)
    assert float(jnp.abs(h).max()) < 1e-3
    assert np.abs(at(force, x)).max() > 0.1


def test_without_a_force_it_is_the_known_interface(force):
    none = jax.tree.map(lambda c: 0 * c[:1], force)
    u = reference(PROBLEM, none, X, Lam(0.0, 0.1))[0]
    np.testing.assert_allclose(u, double_well.solve(0.1, -1.0, 1.0)(X[:, 0]), atol=1e-6)


def test_a_branch_that_loses_its_stability_is_left_for_the_side_that_the_force_favours(force):
    """f rises through the middle, and is raised or lowered a little."""
    modes = np.zeros((2, force["f"].coefficients.shape[1]))
    modes[:, 0], modes[:, 1] = (1e-4, -1e-4), -0.07
    lam, tilted = Lam(0.0, 0.05), {"f": dataclasses.replace(force["f"], coefficients=modes)}
    right, left = reference(PROBLEM, tilted, X, lam)
    assert X[np.argmax(right > 0), 0] > 0.7
    np.testing.assert_allclose(left, -right[::-1], atol=1e-6)


def test_from_a_front_elsewhere_newton_ends_at_other_solutions(force, solutions):
    """So a guess decides on the branch."""
    lam, starts = Lam(0.0, 0.03), np.linspace(0.05, 0.95, 7)
    others = np.zeros(COUNT, bool)
    for middle in starts:
        found = PROBLEM.newton(force, lam, lambda x: np.tile(front(middle, 0.03)(x), (COUNT, 1)))  # noqa: B023
        others |= (found.step < 1e-8) & (np.abs(found.solution(X) - solutions).max(axis=1) > 0.5)
    assert others.sum() > COUNT / 2


def at_nodes(force, eps, places=0.0):
    """The rows of the soft conditions, of the reference's solutions, moved to the right."""
    lam, fine = Lam(0.0, eps), np.linspace(0, 1, 4001)
    (condition,) = PROBLEM.conditions(lam)
    (nodes,) = condition.points
    u = CubicSpline(fine, reference(PROBLEM, force, fine[:, None], lam), axis=1)
    x = np.clip(nodes[:, 0] - places, 0, 1)
    with ambient.on_cpu():
        jet = {"": jnp.asarray(u(x)), "x": jnp.asarray(u(x, 1))}
        return np.asarray(condition.rows((jet,), {"f": {"": jnp.asarray(at(force, nodes))}}, lam))


def test_the_balance_holds_for_solutions_and_not_for_moved_ones(force):
    held, moved = (at_nodes(force, 0.1, by)[0] for by in (0.0, 0.03))
    np.testing.assert_allclose(held, 0, atol=1e-4)
    assert np.median(np.abs(moved)) > 1e-3


def test_the_energy_is_lowest_where_a_stable_solution_is(force):
    """It rises to both sides, where the front is moved, and stays above its bound."""
    left, here, right = (at_nodes(force, 0.1, by)[1][:, 0] ** 2 for by in (-0.01, 0.0, 0.01))
    inside = np.abs(at_nodes(force, 0.1)[0][:, 0]) < 1
    assert (left + right - 2 * here)[inside].min() > 0
    assert here.min() > 3 * 3 / 16


def test_any_network_has_the_values_at_the_ends():
    network = DeepONet(branch=(4,), trunk=(4,), rank=3)
    with ambient.numerics(np.float64), jax.enable_x64(True):
        ansatz, law = Ansatz(PROBLEM, network), PROBLEM.inputs["f"]
        params = jax.tree.map(lambda p: 3 * p + 1, ansatz.init(ambient.key(1)))
        inputs = ansatz.inputs({"f": law.values(law.sample(ambient.key(2), 3))})
        x = jnp.array([[0.0], [0.4], [1.0]])
        u = ansatz.jet(params, inputs, x, Lam(0.0, 0.05), ("",))[""]
    np.testing.assert_allclose(u[:, [0, 2]], [[-1, 1]] * 3, atol=1e-12)


def test_what_is_known_is_how_a_well_answers(force):
    """ε² v″ − 2v = f, and −f/2 as ε → 0; with one ε for all points, and with one for each."""
    eps = 0.1
    with ambient.on_cpu():
        fields, x = jax.tree.map(jnp.asarray, force), jnp.asarray(X)
        f = np.asarray(fields["f"](x))
        known = PROBLEM.known(fields, x, Lam(0.0, eps))["v"]
        v, inside = CubicSpline(X[:, 0], known, axis=1), X[5:-5, 0]
        np.testing.assert_allclose(eps**2 * v(inside, 2) - 2 * v(inside), f[:, 5:-5], atol=1e-3)
        each = PROBLEM.known(fields, x, Lam(0.0, jnp.full((1, len(X)), 1e-9)))["v"]
        np.testing.assert_allclose(each, -f / 2, atol=1e-8)
