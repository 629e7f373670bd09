"""The spectral reference in the plane: an exact solution, orders, and what it refuses."""

import numpy as np
import pytest

from hop.domain import Box
from hop.errors import RunError
from hop.laws.gaussian_field import GaussianField
from hop.problems.burgers_2d import convection, diffusion
from hop.references import spectral_2d

NU = 0.02
TORUS = Box((0.0, 0.0), (1.0, 1.0), periodic=("x", "y"))
LAW = GaussianField(TORUS, "periodic", length=0.1, modes=20)


def cole_hopf(x, t):
    """−2ν ∇ log φ for the heat kernel's φ = 2 + e^{−κ²νt} cos κx + ½ e^{−2κ²νt} sin κ(x + y)."""
    k = 2 * np.pi
    one, two = np.exp(-(k**2) * NU * t), np.exp(-2 * k**2 * NU * t) / 2
    phi = 2 + one * np.cos(k * x[:, 0]) + two * np.sin(k * x.sum(1))
    along_y = k * two * np.cos(k * x.sum(1))
    along_x = along_y - k * one * np.sin(k * x[:, 0])
    return -2 * NU * np.stack([along_x, along_y]) / phi


@pytest.fixture(scope="module")
def start():
    from hop import ambient

    with ambient.numerics(np.float64):
        values = cole_hopf(LAW.sensors, np.zeros(len(LAW.sensors)))
        return tuple(LAW.fit(value[None]) for value in values)


def solve(start, x, t, modes=20, steps=40, nonlinear=convection):
    return spectral_2d.solve(nonlinear, diffusion(NU), start, x, t, modes, steps)


def test_it_agrees_with_cole_and_hopf_on_grids_and_elsewhere(start):
    rng = np.random.default_rng(0)
    scattered = rng.random((40, 2)), rng.choice([0.0, 0.3, 1.0], size=40)
    grid = TORUS.grid(5, 7), np.full(35, 0.6)
    for x, t in (scattered, grid):
        u, exact = solve(start, x, t), cole_hopf(x, t)
        assert u.shape == (2, 1, len(x))
        np.testing.assert_allclose(u[:, 0], exact, atol=2e-6)
        assert np.abs(exact).max() > 0.05


def test_it_converges_at_fourth_order_in_time_and_geometrically_in_space(start):
    x, t = TORUS.grid(9, 9), np.ones(81)
    exact = solve(start, x, t, 20, 64)
    errors = [np.abs(solve(start, x, t, 20, steps) - exact).max() for steps in (2, 4, 8)]
    np.testing.assert_allclose(np.log2(errors[:-1]) - np.log2(errors[1:]), 4.0, atol=0.5)
    errors = [np.abs(solve(start, x, t, modes, 64) - exact).max() for modes in (4, 8, 12)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_a_march_that_blows_up_is_a_failed_run(start):
    with pytest.raises(RunError, match="unstable at 1 steps"):
        solve(start, TORUS.grid(3), np.ones(9), 4, 1, lambda u, u_x, u_y: 1e80 * u**2)
