"""Least squares, damped and truncated."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hop import least_squares

pytestmark = pytest.mark.usefixtures("float64")


@settings(max_examples=20, deadline=None)
@given(
    shape=st.sampled_from([(7, 4), (4, 7), (5, 5)]),
    seed=st.integers(0, 99),
    mu=st.floats(1e-8, 1e3),
)
def test_damped_steps_solve_the_augmented_problem(shape, seed, mu):
    rng = np.random.default_rng(seed)
    matrix, r = rng.standard_normal(shape), rng.standard_normal(shape[0])
    both = jnp.asarray(matrix), jnp.asarray(r)
    augmented = np.vstack([matrix, np.sqrt(mu) * np.eye(shape[1])])
    right = np.concatenate([-r, np.zeros(shape[1])])
    expected = np.linalg.lstsq(augmented, right)[0]
    other = rng.standard_normal(shape[0])
    anew = np.linalg.lstsq(augmented, np.concatenate([-other, np.zeros(shape[1])]))[0]
    for prepared, squared in ((mu, True), (1e-18, False)):  # by Cholesky, and by QR
        problem = least_squares.prepare(*both, jnp.asarray(prepared))
        assert bool(problem.squared) == squared
        delta, fall, root = least_squares.damped(problem, jnp.asarray(mu))
        np.testing.assert_allclose(delta, expected, rtol=1e-6, atol=1e-8)
        after = np.sum((matrix @ np.asarray(delta) + r) ** 2)
        assert float(fall) == pytest.approx(np.sum(r**2) - after, rel=1e-6, abs=1e-9)
        # Of another r by the same factor. J enters squared: not for the smallest μ of a wide one.
        if mu > 1e-6:
            found = least_squares.damped_anew(problem, root, jnp.asarray(other), jnp.asarray(mu))
            np.testing.assert_allclose(found, anew, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("shape", [(60, 30), (30, 60)])
@pytest.mark.parametrize("mu", [1e-8, 1.01e-13])  # of |J|²
@pytest.mark.parametrize("off", [False, True])
def test_squares_keep_the_digits_of_a_jacobian_of_no_rank(shape, mu, off):
    """As far down as squares are taken δ is as good as by QR, beside the exact one.

    Also where r lies mostly `off` the range of J, and δ cancels.
    """
    rng, k = np.random.default_rng(0), min(shape)
    left, _ = np.linalg.qr(rng.standard_normal((shape[0], k)))
    right, _ = np.linalg.qr(rng.standard_normal((shape[1], k)))
    sigma = 10.0 ** -np.linspace(0, 20, k)
    c = rng.standard_normal(k) * (1e-3 if off else sigma)
    c[-1] = 1.0 if off else c[-1]
    matrix, r = jnp.asarray((left * sigma) @ right.T), jnp.asarray(left @ c)
    mu = mu * float(jnp.sum(matrix**2))
    exact = -right @ (sigma * c / (sigma**2 + mu))
    fall = np.sum(c**2 * (1 - (mu / (sigma**2 + mu)) ** 2))
    squares, core = (least_squares.prepare(matrix, r, jnp.float64(m)) for m in (mu, 0))
    assert bool(squares.squared)
    assert not bool(core.squared)
    errors, again = [], []
    for problem in (squares, core):
        delta, found, root = least_squares.damped(problem, jnp.float64(mu))
        errors.append(np.linalg.norm(delta - exact) / np.linalg.norm(exact))
        assert float(found) == pytest.approx(fall, rel=1e-2)  # it only steers the damping
        anew = least_squares.damped_anew(problem, root, r, jnp.float64(mu))
        again.append(np.linalg.norm(anew - exact) / np.linalg.norm(exact))
    assert errors[0] < 10 * errors[1] + 1e-12
    assert again[0] < 10 * errors[1] + 1e-12


@pytest.mark.parametrize("shape", [(9, 5), (5, 9)])
def test_truncated_steps_are_the_pseudo_inverses(shape):
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.standard_normal((shape[0], 5)))
    right, _ = np.linalg.qr(rng.standard_normal((shape[1], 5)))
    sigma = 1e3 * np.array([1.0, 1e-2, 1e-4, 1e-7, 1e-9])
    matrix, r = (left * sigma) @ right.T, rng.standard_normal(shape[0])
    core = least_squares.reduce(jnp.asarray(matrix), jnp.asarray(r))
    for rtol, kept in ((1e-12, 5), (1e-8, 4), (1e-3, 2)):
        expected = -right[:, :kept] @ ((left.T @ r)[:kept] / sigma[:kept])
        found = least_squares.truncated(core, rtol)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8 * np.abs(expected).max())
