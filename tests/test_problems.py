"""Exact solutions have zero residual; references converge and agree with an independent solver."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_bvp

from hop.derivatives import jet
from hop.domain import Box
from hop.errors import UserError
from hop.fields import RANDOM_FIELDS, Field
from hop.problems import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady
from hop.references import chebyshev, finite_differences

X = np.linspace(0.0, 1.0, 41)[:, None]


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def field():
    return Field(RANDOM_FIELDS["unit"].sample(jax.random.key(0), 3), "sine")


def residual(problem, solution, lam, a=None):
    """max |H| of a function of x (q,) at the points X."""
    u = jet(lambda p: solution(p[:, 0]), jnp.asarray(X), problem.labels)
    u = {label: value[None, :] for label, value in u.items()}
    return float(jnp.max(jnp.abs(problem.residual(u, jnp.asarray(X.T)[:, None, :], a, lam))))


def test_allen_cahn_front_is_exact_on_the_line():
    eps = 0.1

    def front(x):
        return jnp.tanh((x - 0.5) / (np.sqrt(2) * eps))

    assert residual(AllenCahn1D(), front, Lam(0.0, eps)) < 1e-13
    assert residual(AllenCahn1D(), front, Lam(0.0, 1.1 * eps)) > 1e-2


def test_inviscid_burgers_states_are_exact():
    """Where ε = 0, u = ± sin πx balances the source on either side of any shock."""
    for sign in (1, -1):
        nothing = {"": jnp.zeros((1, len(X)))}
        lam = Lam(0.0, 0.0)
        u = lambda x, sign=sign: sign * jnp.sin(np.pi * x)  # noqa: E731
        assert residual(BurgersSteady(), u, lam, nothing) < 1e-13


def test_burgers_starts_at_its_input(field):
    a = field.jet(jnp.asarray(X), ("", "x", "xx"))
    x = jnp.asarray(X.T)[:, None, :]
    assert float(jnp.max(jnp.abs(BurgersSteady("unit").residual(a, x, a, Lam(1.0, 0.3))))) == 0
    values = BurgersSteady("unit").reference(field, X, Lam(1.0, 0.3))
    np.testing.assert_allclose(values, a[""], atol=1e-9)


@pytest.mark.parametrize("problem", [BurgersSteady(), AllenCahn1D()])
def test_lift_satisfies_the_boundary_conditions(problem, replace):
    ends = jnp.asarray([[0.0, 1.0]])[:, None, :]
    a = None if problem.random_field is None else jnp.zeros((2, 2))
    lifted = problem.lift(jnp.full((2, 2), 3.7), ends, a)
    (soft,) = replace(problem, conditions_by="loss").conditions(Lam(0.0, 0.1))
    assert np.array_equal(lifted, np.broadcast_to(soft.values, (2, 2)))
    assert problem.conditions(Lam(0.0, 0.1)) == ()


@pytest.mark.parametrize(
    ("s", "eps"), [(0.0, 0.5), (0.0, 0.1), (0.0, 0.05), (0.5, 0.5), (0.2, 0.2), (0.05, 0.05)]
)
def test_burgers_reference_agrees_with_collocation_by_scipy(field, s, eps):
    one = Field(field.coefficients[:1], "sine")
    grid = np.linspace(0, 1, 4001)
    inputs = np.asarray(one(jnp.asarray(grid)))[0]

    def rhs(x, y, eps):
        a, f = np.interp(x, grid, inputs), np.pi * np.sin(np.pi * x) * np.cos(np.pi * x)
        return np.stack([y[1], ((1 - s) * (y[0] * y[1] - f) + s * (y[0] - a)) / ((1 - s) * eps)])

    def ends(left, right):
        return np.array([left[0], right[0]])

    mesh, y = grid[::20], np.zeros((2, grid[::20].size))
    for now in (1.0, 0.5, 0.2, 0.1, 0.05):  # the same walk in ε, by the other solver
        ode = functools.partial(rhs, eps=max(eps, now))
        solution = solve_bvp(ode, ends, mesh, y, tol=1e-8, max_nodes=50_000)
        mesh, y = solution.x, solution.y
    assert solution.status == 0
    ours = BurgersSteady("unit").reference(one, X, Lam(s, eps))[0]
    np.testing.assert_allclose(ours, solution.sol(X[:, 0])[0], atol=3e-6)


@pytest.mark.parametrize(("s", "eps"), [(0.05, 0.05), (0.2, 0.2)])
def test_burgers_reference_converges_geometrically(field, s, eps):
    problem = BurgersSteady("unit")
    walk = [Lam(s, max(eps, 2.0**-k)) for k in range(6)]

    def at(nodes):
        return chebyshev.solve(problem, field, walk, (0.0, 1.0), (0.0, 0.0), nodes)(X[:, 0])

    finest = at(200)
    errors = [np.max(np.abs(at(n) - finest)) for n in (32, 64, 128)]
    assert errors[1] < errors[0] / 10
    assert errors[2] < max(errors[1] ** 1.5, 1e-8)
    shipped = problem.reference(field, X, Lam(s, eps))
    np.testing.assert_allclose(shipped, finest, atol=1e-7)


@pytest.mark.parametrize("eps", [0.1, 0.03, 0.01, 0.001])
def test_allen_cahn_reference_is_odd_and_near_the_front(eps):
    u = AllenCahn1D().reference(None, X, Lam(0.0, eps))[0]
    front = np.tanh((X[:, 0] - 0.5) / (np.sqrt(2) * eps))
    np.testing.assert_allclose(u, -u[::-1], atol=1e-12)
    # The front misses the ends by 2 exp(−1/(√2 ε)), which bounds the difference.
    np.testing.assert_allclose(u, front, atol=1.01 * 2 * np.exp(-1 / (np.sqrt(2) * eps)) + 1e-10)


def test_steady_burgers_does_not_depend_on_its_input_at_s_0(field):
    u = BurgersSteady("unit").reference(field, X, Lam(0.0, 0.1))
    assert np.array_equal(u[0], u[1])
    assert u.shape == (3, len(X))


def test_wrong_options_are_refused():
    with pytest.raises(UserError, match="use 'paper' or 'unit'"):
        BurgersSteady("periodic")
    with pytest.raises(UserError, match="'lift' or 'loss'"):
        AllenCahn1D("soft")


def test_box():
    box = Box((0.0, -1.0), (2.0, 1.0))
    grid = box.grid(3, 2)
    assert grid.tolist() == [[0, -1], [1, -1], [2, -1], [0, 1], [1, 1], [2, 1]]
    points, weights = box.quadrature(101)
    assert weights.sum() == pytest.approx(4.0)
    assert weights @ (points[:, 0] ** 2) == pytest.approx(16 / 3, rel=1e-3)
    for sampler, count in (("uniform", 50), ("stratified", 50), ("grid", 49)):
        x = np.asarray(box.sample(jax.random.key(0), count, sampler))
        assert x.shape == (count, 2)
        assert np.all((x >= box.lower) & (x <= box.upper))
    stratified = np.asarray(box.sample(jax.random.key(1), 50, "stratified"))
    for axis, width in ((0, 2.0), (1, 2.0)):
        slabs = np.floor((stratified[:, axis] - box.lower[axis]) / width * 50)
        assert sorted(slabs) == list(range(50))
    np.testing.assert_allclose(box.to_reference(jnp.asarray([[2.0, -1.0]])), [[1.0, -1.0]])


@pytest.mark.parametrize(("s", "eps", "decay"), [(0.0, 0.5, 4.8), (0.2, 0.2, 1.0)])
def test_explicit_finite_differences_converge_to_newton_at_second_order(field, s, eps, decay):
    """Two independent methods: in time by differences, and Newton on Chebyshev nodes."""
    problem, errors = BurgersSteady("unit"), []
    for points in (33, 65):
        lam = Lam(s, eps)
        x, u, _ = finite_differences.march(problem, field, lam, points, decay, 1.5, 1e-8)
        errors.append(np.max(np.abs(u - problem.reference(field, x[:, None], lam))))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.2)
