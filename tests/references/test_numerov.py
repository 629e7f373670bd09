"""Numerov's differences: their order, and agreement with another discretisation."""

import jax.numpy as jnp
import numpy as np
import pytest

from hop.domain import Box
from hop.laws.gaussian_field import GaussianField
from hop.problem import Lam
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.references import numerov

X = np.linspace(0.0, 1.0, 41)[:, None]

pytestmark = pytest.mark.usefixtures("float64")


LAW = GaussianField(Box((0.0,), (2.0,)), length=1.0)
RATE = (3 * np.pi / 2) ** 2  # of e_3, a cosine: e_3″ = −RATE e_3


def made(u, a, lam):
    """Of the solution e_3, which is the input."""
    return jnp.exp(u) - jnp.exp(a["f"]) - RATE * a["f"]


def test_errors_are_of_fourth_order():
    f = LAW.field(np.eye(LAW.size)[3:4])
    x, lam = LAW.domain.grid(41), Lam(0.0, 1.0)
    exact, errors = np.asarray(f(jnp.asarray(x))), []
    for nodes in (80, 160):
        ends = exact[:, [0, -1]]
        found = numerov.newton(made, LAW.domain, {"f": f}, lam, ends, nodes, lambda x: 0 * x.T)
        errors.append(np.abs(found.checked(lam)(x) - exact).max())
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.1)
    assert errors[1] < 1e-6


def test_it_agrees_with_collocation():
    problem, lam = AllenCahn1D(), Lam(0.0, 0.1)
    ends = np.array([[-1.0, 1.0]])

    def well(u, a, lam):
        return (u**3 - u) / lam.eps**2

    def guess(x):
        return np.tanh(10 * (x.T - 0.5))

    found = numerov.newton(well, problem.domain, {}, lam, ends, 400, guess)
    np.testing.assert_allclose(found.checked(lam)(X), problem.reference({}, X, lam), atol=1e-6)
