"""Bases of test functions: what they and their derivatives are orthogonal in, and their ends."""

import numpy as np
import pytest

from hop.bases import Polynomials, Waves

ENDS = (0.5, 2.0)


@pytest.mark.parametrize("count", [5, 48])
@pytest.mark.parametrize("m", [0, 1, 2])
@pytest.mark.parametrize("kind", [Polynomials, Waves])
def test_functions_and_their_derivatives_are_orthogonal(kind, m, count):
    basis = kind(*ENDS, count, m)
    values, slopes = basis.at(basis.nodes), basis.at(basis.nodes, m)
    gram, energy = (values * basis.weights) @ values.T, (slopes * basis.weights) @ slopes.T
    np.testing.assert_allclose(gram, np.eye(count), atol=1e-9)
    mu = np.diag(basis.mu) if m else np.eye(count)
    np.testing.assert_allclose(energy, mu, atol=1e-9 * max(1, np.max(mu)))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", [Polynomials, Waves])
def test_derivatives_are_those_of_the_functions(kind, order):
    """By central differences; and the first μ is that of the sine, a function of the limit."""
    basis, x, h = kind(*ENDS, 7, 2), np.linspace(0.6, 1.9, 9), 1e-5
    difference = (basis.at(x + h, order - 1) - basis.at(x - h, order - 1)) / (2 * h)
    np.testing.assert_allclose(basis.at(x, order), difference, rtol=1e-5, atol=1e-5)


def test_polynomials_vanish_at_the_ends_as_often_as_they_are_differentiated():
    basis, ends = Polynomials(*ENDS, 8, 2), np.array(ENDS)
    for order in (0, 1):
        np.testing.assert_allclose(basis.at(ends, order), 0, atol=1e-10)
    assert np.abs(basis.at(ends, 2)).min() > 1  # and no more often, or they could not be dense
    np.testing.assert_allclose(
        Polynomials(*ENDS, 24, 1).mu[:4], (np.pi * np.arange(1, 5) / 1.5) ** 2, rtol=1e-8
    )  # −φ″ = μ φ: sines
