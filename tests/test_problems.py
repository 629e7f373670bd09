"""Exact solutions have zero residual; references converge and agree with an independent solver."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_bvp
from scipy.optimize import brentq

from hop.derivatives import jet
from hop.domain import Box
from hop.errors import RunError, UserError
from hop.evaluation import Judge
from hop.fields import RANDOM_FIELDS, Field
from hop.operators import default_grid
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady
from hop.problems.helmholtz import Helmholtz
from hop.problems.high_frequency import HighFrequency
from hop.references import chebyshev, double_well, finite_differences

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


@settings(deadline=None, max_examples=5)
@given(st.integers(1, 5), st.floats(0.02, 1.0))
def test_helmholtz_solution_is_exact(dim, eps):
    """Residual and boundary values, at any ε; the residual of another ε's solution is not zero."""
    with jax.enable_x64(True):
        problem = Helmholtz(dim, boundary_points=2 * dim + 3)
        x = np.random.default_rng(0).uniform(-1, 1, (7, dim))

        def h(lam):
            u = jet(lambda p: jnp.sin(p.sum(axis=1) / (dim * eps)), jnp.asarray(x), problem.labels)
            u = {label: value[None, :] for label, value in u.items()}
            return float(
                jnp.max(jnp.abs(problem.residual(u, jnp.asarray(x.T)[:, None], None, lam)))
            )

        assert h(Lam(0.0, eps)) < 1e-12
        assert h(Lam(0.0, 1.1 * eps)) > 1e-3 / dim
        (condition,) = problem.conditions(Lam(0.0, eps))
        exact = problem.reference(None, condition.points, Lam(0.0, eps))
        np.testing.assert_allclose(condition.values, exact, atol=1e-12)


def test_helmholtz_boundary_points_are_spread_over_the_faces():
    (condition,) = Helmholtz().conditions(Lam(0.0, 0.1))
    x = condition.points
    assert x.shape == (1000, 20)
    assert np.abs(x).max() == 1
    on = np.concatenate([np.sum(x == -1.0, axis=0), np.sum(x == 1.0, axis=0)])
    assert on.tolist() == [25] * 40
    inner = np.sort(np.where(np.abs(x) < 1, x, np.nan), axis=0)[:950]  # 50 lie on the two faces
    np.testing.assert_allclose(inner, np.linspace(-1, 1, 950)[:, None] + np.zeros(20), atol=0.1)


def test_conditions_move_with_eps_under_jit():
    problem = Helmholtz(2, 8)

    def values(eps):
        return problem.conditions(Lam(0.0, eps))[0].values[0, 0]

    eps, h = 0.3, 1e-5
    slope = (values(eps + h) - values(eps - h)) / (2 * h)
    assert float(jax.jit(jax.grad(values))(eps)) == pytest.approx(float(slope), rel=1e-6)
    assert abs(slope) > 0.1


@pytest.mark.parametrize("eps", [1 / 15, 1 / 200])
def test_high_frequency_fit(eps):
    problem, lam = HighFrequency(), Lam(0.0, eps)
    assert residual(problem, lambda x: jnp.sin(np.pi * x / eps), lam) < 1e-12
    assert residual(problem, lambda x: jnp.sin(np.pi * x / eps), Lam(0.0, 1.1 * eps)) > 1e-2
    points, weights = Judge(problem, None, None).quadrature(eps)
    assert len(points) > 20 / eps
    r = problem.reference(None, points, lam)
    assert float(r[0] ** 2 @ weights) == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize(
    ("problem", "eps", "bound"),
    [
        (AllenCahn1D(), 0.1, 1e-6),
        (AllenCahn1D(left=-0.5, right=0.5), 0.1, 1e-6),
        (AllenCahn1D(left=-2.0, right=1.1), 0.1, 1e-4),
        (AllenCahn1D(left=1.1, right=-2.0), 0.2, 1e-4),
        (AllenCahn1D(left=0.5, right=2.0), 0.2, 1e-4),
    ],
)
def test_allen_cahn_reference_solves_the_equation(problem, eps, bound):
    """Derivatives by the Chebyshev matrix, which amplifies the rounding of u by some 1e7."""
    x = (1 - np.cos(np.pi * np.arange(101) / 100)) / 2
    d = chebyshev.differentiation_matrix(x)
    u = problem.reference(None, x[:, None], Lam(0.0, eps))
    jets = {"": jnp.asarray(u), "x": jnp.asarray(u @ d.T), "xx": jnp.asarray(u @ d.T @ d.T)}
    h = problem.residual(jets, jnp.asarray(x)[None, None, :], None, Lam(0.0, eps))
    assert np.max(np.abs(h[0, 1:-1])) < bound
    np.testing.assert_allclose(u[0, [0, -1]], [problem.left, problem.right], atol=1e-9)


def test_the_first_integral_agrees_with_newton():
    problem, lam = AllenCahn1D(left=-2.0, right=1.1), Lam(0.0, 0.1)
    newton = chebyshev.solve(problem, None, chebyshev.walk_to(lam), (0.0, 1.0), (-2.0, 1.1), 160)
    np.testing.assert_allclose(problem.reference(None, X, lam), newton(X[:, 0]), atol=2e-9)
    symmetric = double_well.solve(0.01, -1.0, 1.0)(X[:, 0])
    ours = AllenCahn1D().reference(None, X, Lam(0.0, 0.01))[0]
    np.testing.assert_allclose(symmetric, ours, atol=2e-9)


@pytest.mark.parametrize(("eps", "bound"), [(0.1, 5e-3), (0.05, 1e-5), (0.02, 1e-9), (0.005, 1e-9)])
def test_the_asymmetric_interface_is_where_asymptotics_put_it(eps, bound):
    u = double_well.solve(eps, -2.0, 1.1)
    place = brentq(lambda x: u(np.array([x]))[0], 0.3, 0.7, xtol=1e-14)
    assert place == pytest.approx(0.5 + eps / (2 * np.sqrt(2)) * np.log(7), abs=bound)


def test_allen_cahn_without_a_monotone_solution_in_reach_says_so():
    for eps, left, right in ((0.05, 0.2, 0.5), (1e-4, -2.0, 1.1), (0.1, 0.3, 0.3)):
        with pytest.raises(RunError, match="eps is too small, or the solution turns"):
            double_well.solve(eps, left, right)


@pytest.mark.parametrize("eps", [0.01, 0.001])
def test_the_symmetric_reference_converges_geometrically(eps):
    walk = chebyshev.walk_to(Lam(0.0, eps))
    x = np.linspace(0.5, 1.0, 401)

    def at(nodes):
        return chebyshev.solve(AllenCahn1D(), None, walk, (0.5, 1.0), (0.0, 1.0), nodes)(x)[0]

    shipped = 32 + int(np.ceil(8 / np.sqrt(eps)))
    finest = at(2 * shipped)
    errors = [np.max(np.abs(at(n) - finest)) for n in (shipped // 2, shipped)]
    assert errors[0] < 1e-4
    assert errors[1] < max(errors[0] ** 1.5, 1e-9)


@pytest.mark.parametrize("problem", [BurgersSteady(), AllenCahn1D(), AllenCahn1D(-2.0, 1.1)])
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
    with pytest.raises(UserError, match="use one of lift, loss"):
        AllenCahn1D(conditions_by="soft")
    with pytest.raises(UserError, match="use one of none, odd"):
        AllenCahn1D(symmetry="even")
    with pytest.raises(UserError, match="opposite ends, not left=-2 and right=1.1; use 'none'"):
        AllenCahn1D(left=-2.0, right=1.1, symmetry="odd")
    with pytest.raises(UserError, match="must be finite"):
        AllenCahn1D(left=float("nan"))
    with pytest.raises(UserError, match="use one of none, odd"):
        BurgersSteady(symmetry="even")
    with pytest.raises(UserError, match="use at least 2·problem.dim = 40"):
        Helmholtz(boundary_points=39)
    with pytest.raises(UserError, match="at least 1"):
        Helmholtz(dim=0)


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
    mirrored = box.reflect(jnp.asarray([[0.5, 0.25]]), np.array([-1.0, 1.0]))
    np.testing.assert_allclose(mirrored, [[1.5, 0.25]])


def test_boxes_of_many_dimensions():
    """The mean of cos(k·x) over [−1, 1]^d is Π sin k_i / k_i."""
    dim = 6
    box = Box((-1.0,) * dim, (1.0,) * dim)
    points, weights = box.quadrature(2**13)
    assert np.all((points >= -1) & (points <= 1))
    assert weights.sum() == pytest.approx(2**dim)
    k = np.linspace(0.2, 1.2, dim)
    exact = np.prod(2 * np.sin(k) / k)
    assert weights @ np.cos(points @ k) == pytest.approx(exact, rel=3e-3)  # at random: 2e-2
    assert np.array_equal(points[:1024], box.quadrature(1024)[0])
    grid = default_grid(Helmholtz())
    assert grid.shape == (1024, 20)
    points, _ = Judge(Helmholtz(), None, None).quadrature(0.02)
    assert points.shape == (2**13, 20)


@pytest.mark.parametrize(("s", "eps", "decay"), [(0.0, 0.5, 4.8), (0.2, 0.2, 1.0)])
def test_explicit_finite_differences_converge_to_newton_at_second_order(field, s, eps, decay):
    """Two independent methods: in time by differences, and Newton on Chebyshev nodes."""
    problem, errors = BurgersSteady("unit"), []
    for points in (33, 65):
        lam = Lam(s, eps)
        x, u, _ = finite_differences.march(problem, field, lam, points, decay, 1.5, 1e-8)
        errors.append(np.max(np.abs(u - problem.reference(field, x[:, None], lam))))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.2)
