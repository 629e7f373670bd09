"""The reference in the plane, found in two ways, and for another equation."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

from hop.derivatives import jet
from hop.domain import Box
from hop.errors import RunError
from hop.problem import Lam, Problem
from hop.problems.allen_cahn_2d import AllenCahn2D
from hop.references import chebyshev_2d

PROBLEM = AllenCahn2D()
QUARTER = Box((0.0, 0.0), (1.0, 1.0))
GRID = PROBLEM.domain.grid(41, 41)

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize(
    ("s", "eps"),
    [(0.0, 0.05), pytest.param(0.0, 0.02, marks=pytest.mark.slow), (0.1, 0.05)],
)
def test_the_reference_converges_geometrically(s, eps):
    x, lam = QUARTER.grid(31, 31), Lam(s, eps)

    def at(nodes):
        return chebyshev_2d.solve(PROBLEM, lam, QUARTER, -1.0, nodes, even=True)(x)[0]

    shipped = PROBLEM.reference({}, x, lam)[0]
    errors = [np.max(np.abs(at(n) - shipped)) for n in (21, 41)]
    assert errors[1] < errors[0] ** 1.5
    finest = at(31 + 2 * int(np.ceil(4.0 / np.sqrt(eps))))
    np.testing.assert_allclose(shipped, finest, atol=3e-9)


@pytest.mark.parametrize("s", [0.0, 0.3])
def test_second_differences_converge_to_the_reference_at_second_order(s):
    """An independent method: Newton on the five-point stencil, from another start, whole square."""
    eps, errors = 0.15, []
    for n in (32, 64):
        x, h = np.linspace(-1, 1, n + 1)[1:-1], 2 / n
        second = sp.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(n - 1, n - 1)) / h**2
        laplacian = sp.kronsum(second, second)
        points = np.stack([m.ravel() for m in np.meshgrid(x, x, indexing="ij")], axis=1)
        u0 = -np.sin(np.pi * points).prod(axis=1)
        u = 0.8 * u0
        for _ in range(12):
            h_u = (1 - s) * (-(eps**2) * (laplacian @ u) + u**3 - u) + s * (u - u0)
            slope = sp.diags_array((1 - s) * (3 * u**2 - 1) + s)
            u = u - spsolve(sp.csc_array(slope - (1 - s) * eps**2 * laplacian), h_u)
        assert np.max(np.abs(h_u)) < 1e-10
        errors.append(np.max(np.abs(u - PROBLEM.reference({}, points, Lam(s, eps))[0])))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("eps", [0.05, 0.02])
def test_the_reference_has_plateaus_joined_by_fronts(eps):
    def u(x, y):
        points = np.stack(np.broadcast_arrays(x, y), axis=1)
        return PROBLEM.reference({}, points, Lam(0.0, eps))[0]

    x = np.linspace(-1, 1, 81)
    # A wall is felt along a front like exp(−√λ d/ε), λ = 3/2 its least odd eigenvalue.
    far = 8 * np.exp(-np.sqrt(1.5) * 0.5 / eps) + 1e-8
    front = np.tanh((0.5 - np.abs(np.abs(x) - 0.5)) / (np.sqrt(2) * eps))
    np.testing.assert_allclose(u(x, 0.5), -np.sign(x) * front, atol=far)
    np.testing.assert_allclose(u(x, 0.3), u(np.array([0.3]), x), atol=1e-12)
    np.testing.assert_allclose(u(np.array([-0.5, 0.5, 0.5]), np.array([-0.5, -0.5, 0.5])),
                               [-1, 1, -1], atol=far)  # fmt: skip


def test_where_zero_is_the_only_solution_the_reference_says_so():
    with pytest.raises(RunError, match="eps=0.3 the only solution"):
        PROBLEM.reference({}, GRID, Lam(0.0, 0.3))
    near = PROBLEM.reference({}, GRID, Lam(0.0, 0.22))[0]
    # Amplitude A of the bifurcating branch: ¾·¾ A² = 1 − 2π²ε² to leading order.
    assert np.max(near) == pytest.approx(4 / 3 * np.sqrt(1 - 2 * np.pi**2 * 0.22**2), rel=0.02)


@dataclasses.dataclass(frozen=True)
class Mixed(Problem):
    """u_xx + 2 u_yy + u_xy + u_x − u³ = f, with a solution that has no symmetry."""

    domain: ClassVar[Box] = Box((0.0, -1.0), (1.0, 2.0))
    derivatives: ClassVar[tuple[str, ...]] = ("", "x", "xx", "yy", "xy")

    @staticmethod
    def solution(p):
        x, y = p[..., 0], p[..., 1]
        return jnp.sin(np.pi * x) * (y + 1) * (y - 2) * jnp.exp(x)

    def _left(self, u):
        return u["xx"] + 2 * u["yy"] + u["xy"] + u["x"] - u[""] ** 3

    def residual(self, u, x, a, lam):
        exact = jet(self.solution, x[:, 0].T, self.derivatives)
        return self._left(u) - self._left(exact)[None, :]


def test_the_solver_serves_other_equations():
    x = Mixed.domain.grid(13, 17)
    found = chebyshev_2d.solve(Mixed(), Lam(0.0, 1.0), Mixed.domain, 0.0, 22)(x)[0]
    np.testing.assert_allclose(found, Mixed.solution(jnp.asarray(x)), atol=1e-10)


def test_halving_the_unknowns_changes_nothing():
    whole, half = (
        chebyshev_2d.solve(PROBLEM, Lam(0.0, 0.1), QUARTER, -1.0, 25, even=even).values
        for even in (False, True)
    )
    np.testing.assert_allclose(whole, half, atol=1e-12)
