"""The formula of Cole and Hopf: beside the spectral solver, and what Burgers keeps."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from hop.laws.spectral import Series
from hop.problem import Lam
from hop.problems.burgers_time import BurgersTime, diffusion, transport
from hop.references import cole_hopf, spectral

PROBLEM = BurgersTime()
LAW = PROBLEM.inputs["u0"]


@pytest.mark.parametrize(
    ("eps", "modes", "steps"), [(0.1, 64, 800), (0.01, 96, 800), (1e-3, 512, 3000)]
)
def test_it_agrees_with_the_spectral_solver(eps, modes, steps):
    """Two independent methods, at times in any order and at points of no grid."""
    rng, field = np.random.default_rng(0), LAW.sample(jax.random.key(3), 2)
    x, t = rng.random(60), rng.choice([0.05, 0.3, 1.0], size=60)
    ours = cole_hopf.solve(field, x, t, eps)
    many = np.full(2, modes), np.full(2, steps)
    theirs = spectral.solve(transport, diffusion(eps), field, x, t, *many)
    np.testing.assert_allclose(ours, theirs, atol=2e-8)
    assert np.abs(ours).max() > 0.1


@pytest.mark.parametrize("eps", [1e-3, 1e-5])
def test_it_has_the_shock_of_a_sine(eps):
    """From sin 2πx at rest: odd about ½, and by entropy's rule u = (x − y)/t, y + t sin 2πy = x."""
    coefficients = np.zeros((1, 128))
    coefficients[0, 64] = 1 / np.sqrt(2)
    x = np.concatenate([np.linspace(0.05, 0.45, 9), [0.5]])
    u = cole_hopf.solve(LAW.field(coefficients), x, np.ones(10), eps)[0]
    assert abs(u[-1]) < 1e-9
    y = x[:-1] / (1 + 2 * np.pi)  # Newton's method from the rarefaction's slope
    for _ in range(50):
        y -= (y + np.sin(2 * np.pi * y) - x[:-1]) / (1 + 2 * np.pi * np.cos(2 * np.pi * y))
    np.testing.assert_allclose(u[:-1], np.sin(2 * np.pi * y), atol=20 * eps)
    near = cole_hopf.solve(LAW.field(coefficients), np.array([0.5 - 40 * eps]), np.ones(1), eps)
    assert near[0, 0] > 0.3  # the shock is no wider


def test_early_times_join_late_ones(float64):
    """Where the grid of nodes would be too fine, u₀ + t u_t takes over."""
    field, eps = LAW.sample(jax.random.key(5), 2), 1e-3
    x = np.full(400, 0.3)
    t = np.concatenate([[0.0], np.geomspace(1e-12, 1e-5, 399)])
    u = cole_hopf.solve(field, x, t, eps)
    exact = (np.asarray(field(jnp.asarray(x[:1]), order)) for order in range(3))
    value, slope, bend = exact
    np.testing.assert_allclose(u, value + t * (eps * bend - value * slope), atol=3e-8)
    np.testing.assert_allclose(u[:, :1], value, atol=1e-14)


def test_a_mean_carries_the_solution_along():
    """Burgers from u₀ + c is u(x − ct, t) + c, wherever c is noted."""
    still = LAW.sample(jax.random.key(2), 1)
    basis = dataclasses.replace(still.basis, constant=True)
    c = np.concatenate([[[0.2]], still.coefficients], axis=1)
    x, t = np.linspace(0, 1, 17), np.full(17, 0.3)
    moved = cole_hopf.solve(Series(c, basis, "x", mean=0.1), x, t, 1e-3)
    np.testing.assert_allclose(moved, cole_hopf.solve(still, x - 0.09, t, 1e-3) + 0.3, atol=1e-9)


@functools.cache
def some_solutions():
    field = LAW.sample(jax.random.key(1), 3)
    x = PROBLEM.domain.grid(129, 5)
    return field, x, PROBLEM.reference({"u0": field}, x, Lam(0.0, 0.01)).reshape(3, 5, 129)


def test_it_keeps_what_burgers_keeps(float64):
    """u₀ at t = 0, the period, the mean; energy and total variation never rise."""
    field, x, u = some_solutions()
    np.testing.assert_allclose(u[:, 0], field(jnp.asarray(x[:129, 0])), atol=1e-12)
    np.testing.assert_allclose(u[..., 0], u[..., -1], atol=1e-12)
    assert np.abs(u[..., :-1].mean(axis=-1)).max() < 1e-14
    energy = np.mean(u[..., :-1] ** 2, axis=-1)
    assert np.all(np.diff(energy, axis=1) < 0)
    variation = np.abs(np.diff(u, axis=-1)).sum(axis=-1)
    assert np.all(np.diff(variation, axis=1) < 1e-12)


def test_it_does_not_depend_on_the_company_or_order(float64):
    field, x, u = some_solutions()
    one = LAW.field(field.coefficients[2:])
    order = np.random.default_rng(0).permutation(len(x))
    alone = PROBLEM.reference({"u0": one}, x[order], Lam(0.0, 0.01))[0]
    np.testing.assert_allclose(alone, u[2].ravel()[order], atol=1e-12)


def test_annotated_shapes_are_checked_in_tests():
    """Here as anywhere in the package: conftest installs the checker."""
    u0 = LAW.sample(jax.random.key(0), 1)
    with pytest.raises(jaxtyping.TypeCheckError, match="typechecking parameter 't'"):
        cole_hopf.solve(u0, np.zeros(3), np.zeros(2), 0.1)
