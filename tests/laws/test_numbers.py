"""Laws of numbers: their samples, and what networks see of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.derivatives import GRADIENT, LAPLACIAN
from hop.errors import UserError
from hop.laws.log_uniform import LogUniform
from hop.laws.normal import Normal
from hop.laws.uniform import Uniform

LAWS = [Uniform(-1.0, 3.0), LogUniform(1e-3, 10.0)]
EACH = pytest.mark.parametrize("law", LAWS, ids=["uniform", "log"])


@EACH
@pytest.mark.parametrize("x64", [False, True])
def test_samples_fill_the_range_evenly(law, x64):
    n = 20_000
    with jax.enable_x64(x64):
        values = law.values(law.sample(jax.random.key(0), n))
        unit = np.asarray(law.normalise(values))
        assert values.shape == (n, law.width) == (n, law.size)
        assert law.low <= values.min() < values.max() <= law.high
        assert law.outside(np.asarray(values)) == ""
        assert values.dtype == (np.float64 if x64 else np.float32)
    # Of the uniform law on [−√3, √3], within 5 deviations.
    assert np.mean(unit) == pytest.approx(0.0, abs=5 / n**0.5)
    assert np.mean(unit**2) == pytest.approx(1.0, abs=5 * 0.8**0.5 / n**0.5)
    assert np.mean(unit**4) == pytest.approx(1.8, abs=0.08)
    assert np.sqrt(np.mean(np.square(values))) == pytest.approx(law.scale, rel=0.03)


@EACH
def test_size_is_that_of_the_quadrature(law):
    values, weights = law.spread(None)
    assert weights.sum() == pytest.approx(1.0)
    assert np.sqrt(values[0] ** 2 @ weights) == pytest.approx(law.scale, rel=1e-12)


@EACH
def test_a_number_is_a_constant_function(law):
    field, x = law.sample(jax.random.key(1), 3), jnp.ones((4, 3))
    assert field.count == 3
    jet = field.jet(x, ("", "x", "tt", GRADIENT, LAPLACIAN))
    np.testing.assert_array_equal(jet[""], np.repeat(field.coefficients, 4, axis=1))
    np.testing.assert_array_equal(field(x), jet[""])
    np.testing.assert_array_equal(field(x[:, 0]), jet[""])
    assert not field(x[:, 0], 1).any()
    assert jet[GRADIENT].shape == (2, 3, 4)
    assert not any(jet[label].any() for label in ("x", "tt", GRADIENT, LAPLACIAN))


@EACH
def test_a_fit_takes_numbers_as_they_are(law):
    values = law.values(law.sample(jax.random.key(2), 5))
    np.testing.assert_array_equal(law.values(law.fit(values)), values)
    np.testing.assert_array_equal(law.field(values).coefficients, values)
    with pytest.raises(UserError, match=r"must be \(n, 1\)"):
        law.fit(jnp.ones(3))


@EACH
def test_it_has_no_places(law):
    assert law.domain is law.sensors is None
    assert (law.width, law.axes, law.letters, law.name) == (1, "", "", "")
    assert law.unresolved([0.5]) == 0.0


def test_numbers_outside_are_told():
    law = LogUniform(0.1, 10.0)
    assert law.outside(np.array([[0.1], [10.0]], np.float32)) == ""
    for wrong in (0.09, 10.1, 0.0, -1.0, np.nan):
        assert law.outside(np.array([[1.0], [wrong]])) == "it lies in [0.1, 10]"
    assert Uniform(0.0, 2.0).outside(np.array([[-0.01]])) == "it lies in [0, 2]"


@EACH
def test_normalise_has_derivatives(law):
    slope = jax.grad(lambda v: law.normalise(v).sum())(jnp.array([[0.5, 2.0]]))
    assert np.all(np.asarray(slope) > 0)


def test_laws_are_equal_by_their_numbers():
    assert Uniform(1.0, 2.0) == Uniform(1.0, 2.0)
    assert hash(Uniform(1.0, 2.0)) == hash(Uniform(1.0, 2.0))
    assert len({Uniform(1.0, 2.0), LogUniform(1.0, 2.0), Uniform(1.0, 3.0)}) == 3
    assert dataclasses.replace(LogUniform(1.0, 2.0), high=4.0).high == 4.0


@pytest.mark.parametrize("law", [Uniform, LogUniform])
def test_what_is_no_range_is_refused(law):
    for low, high in ((2.0, 1.0), (1.0, 1.0), (1.0, np.inf), (np.nan, 1.0)):
        with pytest.raises(UserError, match="finite low to a higher high"):
            law(low, high)
    with pytest.raises(UserError, match="low > 0"):
        LogUniform(0.0, 1.0)


def test_normal_numbers_are_independent_and_stored_once():
    law, n = Normal(3), 20_000
    field, x = law.sample(jax.random.key(0), n), jnp.ones((4, 2))
    values = np.asarray(law.values(field))
    assert values.shape == (n, *law.shape) == (n, law.width) == (n, law.size) == (n, 3)
    np.testing.assert_allclose(np.cov(values.T), np.eye(3), atol=5 / n**0.5)
    nodes, weights = law.spread(None)
    np.testing.assert_allclose(nodes**4 @ weights, 3.0)
    found = field.jet(x, ("", "x", GRADIENT, LAPLACIAN))
    assert found[""].shape == found["x"].shape == found[LAPLACIAN].shape == (3, n, 1)
    assert found[GRADIENT].shape == (2, 3, n, 1)
    np.testing.assert_array_equal(found[""][..., 0].T, values)
    assert not any(found[label].any() for label in ("x", GRADIENT, LAPLACIAN))
    assert law.outside(values) == ""
    assert law.outside(np.array([[0.0, 0.0, np.nan]])) == "its numbers lie in [-5.5, 5.5]"
    with pytest.raises(UserError, match=r"must be \(n, 3\)"):
        law.fit(values[:, :2])
    with pytest.raises(UserError, match="hop.Normal.count=0 must be at least 1"):
        Normal(0)


def test_a_map_of_normal_numbers_keeps_their_shape():
    law = Normal(3).map(jnp.exp)
    field = law.sample(jax.random.key(0), 5)
    assert (law.width, law.shape, law.values(field).shape) == (3, (3,), (5, 3))
    assert law.scale == pytest.approx(np.exp(1.0), rel=1e-3)  # E[e^2z] = e^2
    np.testing.assert_allclose(law.values(law.fit(law.values(field))), law.values(field), rtol=1e-5)


def test_one_normal_number_is_a_constant_function():
    law, x = Normal(), jnp.ones((4, 2))
    assert (law.width, law.shape) == (1, ())
    assert law.sample(jax.random.key(0), 5)(x).shape == (5, 4)
