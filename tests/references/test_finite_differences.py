"""Explicit finite differences."""

import numpy as np
import pytest

from hop.problem import Lam
from hop.problems.burgers_steady import BurgersSteady
from hop.references import finite_differences

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize(("s", "eps", "decay"), [(0.0, 0.5, 4.8), (0.2, 0.2, 1.0)])
def test_explicit_finite_differences_converge_to_newton_at_second_order(field, s, eps, decay):
    """Two independent methods: in time by differences, and Newton on Chebyshev nodes."""
    problem, errors = BurgersSteady("unit"), []
    for points in (33, 65):
        lam = Lam(s, eps)
        x, u, _ = finite_differences.march(problem, {"u0": field}, lam, points, decay, 1.5, 1e-8)
        errors.append(np.max(np.abs(u - problem.reference({"u0": field}, x[:, None], lam))))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.2)
