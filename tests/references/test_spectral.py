"""The spectral solver on Burgers in time: an exact solution, orders, and a mean."""

import dataclasses

import jax
import numpy as np
import pytest

from hop.errors import RunError
from hop.laws.spectral import Series
from hop.problems.burgers_time import BurgersTime, diffusion, transport
from hop.references import spectral

PROBLEM = BurgersTime()


def sine(amplitude=1.0):
    """u₀ = amplitude · sin 2πx."""
    coefficients = np.zeros((1, 128))
    coefficients[0, 64] = amplitude / np.sqrt(2)
    return PROBLEM.inputs["u0"].field(coefficients)


def cole_hopf(x, t, eps):
    """Burgers from u₀ = sin 2πx: with φ the heat kernel's mean of exp(−∫u₀/2ε), u = −2ε φ_x/φ.

    φ(x) = ∫ exp(−G/2ε) dy, G = −cos(2πy)/2π + (x − y)²/2t up to a constant, and u is the mean of
    (x − y)/t under that weight; the trapezoidal rule converges geometrically.
    """
    reach = 1 + 12 * np.sqrt(eps * t)
    y = x[:, None] + reach * np.linspace(-1, 1, 20_001)[None, :]
    g = -np.cos(2 * np.pi * y) / (2 * np.pi) + (x[:, None] - y) ** 2 / (2 * t)
    weight = np.exp(-(g - g.min(axis=1, keepdims=True)) / (2 * eps))
    return np.sum((x[:, None] - y) / t * weight, axis=1) / np.sum(weight, axis=1)


def solve(modes, steps, eps=0.02, nonlinear=transport):
    x = np.linspace(0, 1, 201)
    count = np.array([modes]), np.array([steps])
    return spectral.solve(nonlinear, lambda w: -eps * w**2, sine(), x, np.ones(201), *count)[0]


def test_the_reference_converges_at_fourth_order_in_time_and_geometrically_in_space():
    x = np.linspace(0, 1, 201)
    exact = cole_hopf(x, 1.0, 0.02)
    errors = [np.max(np.abs(solve(128, steps) - exact)) for steps in (50, 100, 200)]
    np.testing.assert_allclose(np.log2(errors[:-1]) - np.log2(errors[1:]), 4.0, atol=0.3)
    # e^{−βK}, β/2π the distance of the nearest pole from the real axis: equal ratios.
    errors = [np.max(np.abs(solve(modes, 1600) - exact)) for modes in (8, 16, 24)]
    rates = np.log(errors[:-1]) - np.log(errors[1:])
    assert rates[1] == pytest.approx(rates[0], rel=0.3), errors
    assert errors[2] < 1e-5, errors


@pytest.mark.parametrize("block", [1, 2, 1024])
def test_the_solver_does_not_depend_on_how_many_go_together(block):
    field, x = PROBLEM.inputs["u0"].sample(jax.random.key(1), 3), PROBLEM.domain.grid(129, 5)
    every = [
        spectral.solve(
            transport, lambda w: -0.01 * w**2, field, x[:, 0], x[:, 1],
            np.full(3, 16), np.full(3, 20), block=size,
        )
        for size in (16, block)
    ]  # fmt: skip
    np.testing.assert_allclose(*every, atol=1e-12)


def test_an_unstable_march_says_so():
    with pytest.raises(RunError, match="became unstable at 2 steps"):
        spectral.solve(
            transport, lambda w: 0.1 * w**2, sine(), np.zeros(1), np.ones(1),
            np.array([96]), np.array([2]),
        )  # fmt: skip


def test_a_mean_carries_the_solution_along():
    """Burgers from u₀ + c is u(x − ct, t) + c, wherever c is noted."""
    still = sine()
    basis = dataclasses.replace(still.basis, constant=True)
    c = np.concatenate([[[0.2]], still.coefficients], axis=1)
    moving = Series(c, basis, "x", mean=0.1)
    x, t = np.linspace(0, 1, 17), np.full(17, 0.3)
    many = np.array([64]), np.array([200])

    def solved(field, x):
        return spectral.solve(transport, diffusion(0.05), field, x, t, *many)[0]

    np.testing.assert_allclose(solved(moving, x), solved(still, x - 0.09) + 0.3, atol=1e-9)
