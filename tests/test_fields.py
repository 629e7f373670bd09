"""Samples follow their spectrum; a field's derivatives and its fit from sensors are exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.errors import UserError
from hop.fields import RANDOM_FIELDS, Field, eigenfunctions

LAWS = list(RANDOM_FIELDS.values())


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_empirical_covariance_is_that_of_the_spectrum(law):
    n = 20_000
    with jax.enable_x64(True):
        x = jnp.linspace(0.0, 1.0, 17)
        u = np.asarray(Field(law.sample(jax.random.key(0), n), law.basis)(x))
        modes = np.asarray(eigenfunctions(law.basis, x, len(law.spectrum)))
    exact = modes @ np.diag(law.spectrum) @ modes.T
    empirical = u.T @ u / n
    # The entry (i, j) has variance (C_ii C_jj + C_ij²)/n; 6 deviations over 17² correlated entries.
    deviation = np.sqrt((np.outer(np.diag(exact), np.diag(exact)) + exact**2) / n)
    assert np.all(np.abs(empirical - exact) < 6 * deviation + 1e-15)
    # The test bites: one coefficient of 20% less variance would be caught.
    wrong = exact - 0.2 * law.spectrum[0] * np.outer(modes[:, 0], modes[:, 0])
    assert not np.all(np.abs(empirical - wrong) < 6 * deviation + 1e-15)


def test_sizes_of_the_named_laws():
    assert RANDOM_FIELDS["unit"].rms == pytest.approx(1.0, rel=1e-12)
    assert RANDOM_FIELDS["paper"].rms == pytest.approx(0.0157, abs=1e-4)
    assert RANDOM_FIELDS["periodic"].rms == pytest.approx(0.214, abs=1e-3)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_are_those_of_the_sum(law, order):
    with jax.enable_x64(True):
        field = Field(law.sample(jax.random.key(1), 2), law.basis)
        x = jnp.linspace(0.05, 0.95, 5)
        point = field
        for _ in range(order):
            point = (lambda g: lambda p: jax.jvp(g, (p,), (jnp.ones_like(p),))[1])(point)
        scale = float(jnp.max(jnp.abs(field(x, order))))
        np.testing.assert_allclose(field(x, order), point(x), atol=1e-10 * scale)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_fit_recovers_the_coefficients_from_any_sensors(law):
    with jax.enable_x64(True):
        field = Field(law.sample(jax.random.key(2), 3), law.basis)
        for places in (law.sensors, np.sort(np.random.default_rng(0).uniform(size=400))):
            fitted = Field.fit(field(jnp.asarray(places)), places, law.basis, law.modes)
            x = jnp.linspace(0.0, 1.0, 33)
            # 101 equally spaced sensors resolve 49 modes; the tail beyond is lost, and aliased.
            lost = law.spectrum[49 : law.modes] if law.basis == "periodic" else np.zeros(1)
            tolerance = 1e-8 * law.rms + 8 * np.sqrt(4 * lost.sum())
            np.testing.assert_allclose(fitted(x), field(x), atol=tolerance)


def test_boundary_values_and_periods():
    ends = jnp.array([0.0, 1.0])
    sine = Field(RANDOM_FIELDS["unit"].sample(jax.random.key(3), 4), "sine")
    np.testing.assert_allclose(sine(ends), 0.0, atol=1e-5)
    wave = Field(RANDOM_FIELDS["periodic"].sample(jax.random.key(3), 4), "periodic")
    np.testing.assert_allclose(wave(ends)[:, 0], wave(ends)[:, 1], atol=1e-4)


def test_too_few_sensors_are_refused():
    with pytest.raises(UserError, match="sensors"):
        Field.fit(jnp.ones((1, 2)), np.array([0.0, 1.0]), "sine")
