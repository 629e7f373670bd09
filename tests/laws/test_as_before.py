"""The named laws give the numbers of the fields that were before them, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.errors import UserError
from hop.fields import RANDOM_FIELDS, Field
from hop.laws.named import NAMED

pytestmark = pytest.mark.parametrize("name", ["paper", "unit", "periodic"])


def pair(name):
    return RANDOM_FIELDS[name], NAMED[name]


@pytest.mark.parametrize("x64", [False, True])
def test_samples_values_and_derivatives(name, x64):
    old, new = pair(name)
    with jax.enable_x64(x64):
        key = jax.random.key(5)
        drawn = new.sample(key, 3)
        np.testing.assert_array_equal(drawn.coefficients, old.sample(key, 3))
        np.testing.assert_array_equal(new.sample(key, 1).coefficients, old.sample(key)[None])
        before = Field(drawn.coefficients, old.basis)
        x = jax.random.uniform(jax.random.key(1), (40, 2))
        for order in range(4):
            np.testing.assert_array_equal(drawn(x[:, 0], order), before(x[:, 0], order))
        labels = ("", "x", "xx", "t", "xt")
        for label, values in before.jet(x, labels).items():
            np.testing.assert_array_equal(drawn.jet(x, labels)[label], values)
        compiled = jax.jit(lambda f, x: f(x))
        np.testing.assert_array_equal(compiled(drawn, x[:, 0]), compiled(before, x[:, 0]))
        values = before(jnp.asarray(old.sensors))
        np.testing.assert_array_equal(new.values(drawn), values)
        np.testing.assert_array_equal(new.normalise(values), values / old.rms)


@pytest.mark.parametrize("x64", [False, True])
def test_fits(name, x64):
    old, new = pair(name)
    with jax.enable_x64(x64):
        uneven = np.sort(np.random.default_rng(0).uniform(size=150))
        for places in (old.sensors, uneven, old.sensors[::5]):
            values = jax.random.normal(jax.random.key(2), (3, len(places)))
            before = Field.fit(values, places, old.basis, old.modes)
            np.testing.assert_array_equal(new.fit(values, places).coefficients, before.coefficients)
            assert new.unresolved(places) == old.unresolved(places)
        with pytest.raises(UserError, match="2 sensors cannot determine a field; give more"):
            new.fit(jnp.ones((1, 2)), np.array([0.0, 1.0]))


def test_numbers(name):
    old, new = pair(name)
    np.testing.assert_array_equal(new.spectrum, old.spectrum)
    np.testing.assert_array_equal(new.sensors[:, 0], old.sensors)
    assert new.scale == old.rms
    assert (new.name, new.size, new.width) == (name, len(old.spectrum), old.sensor_count)
