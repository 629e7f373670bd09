"""References by collocation converge, and agree with an independent solver."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_bvp

from hop.laws.named import NAMED
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady
from hop.references import chebyshev

X = np.linspace(0.0, 1.0, 41)[:, None]

pytestmark = pytest.mark.usefixtures("float64")


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
    u = problem.reference({}, x[:, None], Lam(0.0, eps))
    jets = {"": jnp.asarray(u), "x": jnp.asarray(u @ d.T), "xx": jnp.asarray(u @ d.T @ d.T)}
    h = problem.residual(jets, jnp.asarray(x)[None, None, :], {}, Lam(0.0, eps))
    assert np.max(np.abs(h[0, 1:-1])) < bound
    np.testing.assert_allclose(u[0, [0, -1]], [problem.left, problem.right], atol=1e-9)


@pytest.mark.parametrize("eps", [0.01, 0.001])
def test_the_symmetric_reference_converges_geometrically(eps):
    walk = chebyshev.walk_to(Lam(0.0, eps))
    x = np.linspace(0.5, 1.0, 401)

    def at(nodes):
        return chebyshev.solve(AllenCahn1D(), {}, walk, (0.5, 1.0), (0.0, 1.0), nodes)(x)[0]

    shipped = 32 + int(np.ceil(8 / np.sqrt(eps)))
    finest = at(2 * shipped)
    errors = [np.max(np.abs(at(n) - finest)) for n in (shipped // 2, shipped)]
    assert errors[0] < 1e-4
    assert errors[1] < max(errors[0] ** 1.5, 1e-9)


@pytest.mark.parametrize(
    ("s", "eps"), [(0.0, 0.5), (0.0, 0.1), (0.0, 0.05), (0.5, 0.5), (0.2, 0.2), (0.05, 0.05)]
)
def test_burgers_reference_agrees_with_collocation_by_scipy(field, s, eps):
    one = NAMED["unit"].field(field.coefficients[:1])
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
    ours = BurgersSteady("unit").reference({"u0": one}, X, Lam(s, eps))[0]
    np.testing.assert_allclose(ours, solution.sol(X[:, 0])[0], atol=3e-6)


@pytest.mark.parametrize(("s", "eps"), [(0.05, 0.05), (0.2, 0.2)])
def test_burgers_reference_converges_geometrically(field, s, eps):
    problem = BurgersSteady("unit")
    walk = [Lam(s, max(eps, 2.0**-k)) for k in range(6)]

    def at(nodes):
        return chebyshev.solve(problem, {"u0": field}, walk, (0.0, 1.0), (0.0, 0.0), nodes)(X[:, 0])

    finest = at(200)
    errors = [np.max(np.abs(at(n) - finest)) for n in (32, 64, 128)]
    assert errors[1] < errors[0] / 10
    assert errors[2] < max(errors[1] ** 1.5, 1e-8)
    shipped = problem.reference({"u0": field}, X, Lam(s, eps))
    np.testing.assert_allclose(shipped, finest, atol=1e-7)


@pytest.mark.parametrize("eps", [0.1, 0.03, 0.01, 0.001])
def test_allen_cahn_reference_is_odd_and_near_the_front(eps):
    u = AllenCahn1D().reference({}, X, Lam(0.0, eps))[0]
    front = np.tanh((X[:, 0] - 0.5) / (np.sqrt(2) * eps))
    np.testing.assert_allclose(u, -u[::-1], atol=1e-12)
    # The front misses the ends by 2 exp(−1/(√2 ε)), which bounds the difference.
    np.testing.assert_allclose(u, front, atol=1.01 * 2 * np.exp(-1 / (np.sqrt(2) * eps)) + 1e-10)
