"""The first integral of Allen–Cahn."""

import numpy as np
import pytest
from scipy.optimize import brentq

from hop.errors import RunError
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.references import chebyshev, double_well

X = np.linspace(0.0, 1.0, 41)[:, None]

pytestmark = pytest.mark.usefixtures("float64")


def test_the_first_integral_agrees_with_newton():
    problem, lam = AllenCahn1D(left=-2.0, right=1.1), Lam(0.0, 0.1)
    newton = chebyshev.solve(problem, {}, chebyshev.walk_to(lam), (0.0, 1.0), (-2.0, 1.1), 160)
    np.testing.assert_allclose(problem.reference({}, X, lam), newton(X[:, 0]), atol=2e-9)
    symmetric = double_well.solve(0.01, -1.0, 1.0)(X[:, 0])
    ours = AllenCahn1D().reference({}, X, Lam(0.0, 0.01))[0]
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
