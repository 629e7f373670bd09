"""Pointwise maps of laws: their derivatives, fits and sizes, and how they combine."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.derivatives import GRADIENT, LAPLACIAN, spelling
from hop.derivatives import jet as differentiate
from hop.domain import Box
from hop.errors import UserError
from hop.laws.gaussian_field import GaussianField
from hop.laws.log_uniform import LogUniform
from hop.laws.uniform import Uniform

pytestmark = pytest.mark.usefixtures("float64")

LINE, PLANE = Box((0.0,), (1.0,)), Box((0.0, -1.0), (1.0, 1.0))
BASE = GaussianField(LINE, "free", length=0.4, std=0.7, mean=0.2, modes=5)
FLAT = GaussianField(PLANE, ("zero", "free"), length=0.6, modes=3)


def bump(x):
    return x[0] * (1 - x[0])


def tent(x):
    """Zero on two sides of the plane, and of shape (1, q)."""
    return (x[:1] * (1 - x[:1])) * (2 + x[1:])


def identity(values):
    return values


LAWS = {
    "exp": BASE.map(jnp.exp),
    "tanh": BASE.map(jnp.tanh),
    "times": BASE.times(bump),
    "exp times": BASE.map(jnp.exp).times(bump),
    "times sinh": BASE.times(bump).map(jnp.sinh, jnp.arcsinh),
    "in time": dataclasses.replace(BASE, axes="t").times(bump).map(jnp.exp),
    "plane": FLAT.map(jnp.exp),
    "plane times": FLAT.times(tent),
}
EACH = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def drawn(law, seed, n):
    """Sensor values of samples."""
    return np.array(jax.jit(lambda: law.values(law.sample(jax.random.key(seed), n)))())


def points(count=6):
    unit = np.random.default_rng(0).uniform(size=(count, 2))
    return jnp.asarray(unit * [1, 2] - [0, 1])


@EACH
@pytest.mark.parametrize(
    "labels", [("", "x", "xy", "yy", GRADIENT, LAPLACIAN), ("xt", "t", GRADIENT, LAPLACIAN)]
)
def test_derivatives_are_those_of_the_values(law, labels):
    if ("xt" in labels) != (law.axes == "t"):
        labels = ("x", GRADIENT)  # as the second column of the points has one name
    x = points()
    found, exact = jax.jit(lambda f: (f.jet(x, labels), differentiate(f, x, labels)))(
        law.sample(jax.random.key(0), 2)
    )
    assert set(found) == set(labels)
    for label in labels:
        expected = exact[spelling(label)]
        assert found[label].shape == expected.shape
        np.testing.assert_allclose(found[label], expected, atol=1e-9, err_msg=label)


@EACH
def test_a_fit_recovers_the_function(law):
    elsewhere, x = law.domain.grid(14), points()
    at = jnp.asarray(elsewhere if law.domain.dim == 2 else elsewhere[:, 0])

    @jax.jit
    def found():
        field = law.sample(jax.random.key(1), 3)
        fitted = law.fit(law.values(field)), law.fit(field(at), elsewhere)
        return field(x), [fit(x) for fit in fitted], law.field(field.coefficients)(x)

    exact, fitted, same = found()
    np.testing.assert_array_equal(same, exact)
    for values in fitted:
        np.testing.assert_allclose(values, exact, atol=1e-9)


@EACH
def test_a_field_is_a_pytree_of_its_coefficients(law):
    field = law.sample(jax.random.key(1), 3)
    (leaf,) = jax.tree.leaves(field)
    assert leaf is field.coefficients
    assert leaf.shape == (field.count, law.size) == (3, law.base.size)
    values = jax.jit(lambda f: f(points()))(field)
    np.testing.assert_allclose(values, field(points()), atol=1e-12)


@EACH
def test_size_is_that_of_samples(law):
    n, x = 4000, law.domain.quadrature(41)
    places = jnp.asarray(x[0]) if law.domain.dim == 2 else jnp.asarray(x[0][:, 0])
    values = jax.jit(lambda: law.sample(jax.random.key(2), n)(places))()
    squares = np.square(values) @ x[1] / x[1].sum()
    error = np.std(squares) / n**0.5 / np.mean(squares)
    assert np.mean(squares) == pytest.approx(law.scale**2, rel=5 * error + 0.01)


@EACH
def test_samples_are_within_the_law_and_others_are_not(law):
    values = drawn(law, 3, 300)
    for real in (np.float64, np.float32):
        assert law.outside(values.astype(real)) == ""
    assert law.outside(values + 1e9) != ""
    assert law.outside(np.where(values == values[0, 0], np.nan, values)) != ""
    rough = values.copy()
    rough[200, 1:-1] *= 1 + 0.7 * (-1) ** np.arange(law.width - 2)
    if law.domain.dim == 1:
        assert "second differences" in law.outside(rough) or "range" in law.outside(rough)


def test_what_is_outside_is_said_of_the_function_before_the_map():
    law = BASE.map(jnp.exp)
    assert (
        law.outside(np.full((1, law.width), -1.0)) == "its values are in the range of the map exp"
    )
    clause = BASE.outside(np.full((1, law.width), 100.0))
    assert law.outside(np.full((1, law.width), 1e4)) == f"before the map exp, {clause}"
    assert law.outside(np.zeros((1, law.width))) == f"before the map exp, {clause}"  # log 0 = −∞
    law = BASE.map(jnp.tanh)
    for value in (1.5, -2.0, np.nan):
        assert "range of the map tanh" in law.outside(np.full((1, law.width), value))
    law = BASE.times(bump)
    assert "vanish" in law.outside(np.ones((1, law.width)))


def test_networks_see_what_the_map_was_made_of():
    law = BASE.map(jnp.exp)
    values = law.values(law.sample(jax.random.key(0), 4))
    np.testing.assert_allclose(law.normalise(values), BASE.normalise(jnp.log(values)))
    slope = jax.grad(lambda v: law.normalise(v).sum())(values)
    np.testing.assert_allclose(slope, 1 / values / BASE.deviation)
    scaled = BASE.times(bump)
    values = scaled.values(scaled.sample(jax.random.key(0), 4))
    np.testing.assert_allclose(scaled.normalise(values), values / scaled.scale)


def test_tanh_of_values_at_its_ends_has_a_finite_fit():
    law = BASE.map(jnp.tanh)
    for real in (np.float32, np.float64):
        seen = jnp.ones((1, law.width), real)
        assert np.isfinite(np.asarray(law.normalise(seen))).all()
        assert np.isfinite(np.asarray(law.fit(seen).coefficients)).all()


@pytest.mark.parametrize("law", [Uniform(-1.0, 2.0), LogUniform(0.5, 3.0)])
def test_numbers_can_be_mapped(law):
    mapped, x = law.map(jnp.exp), points()
    field = mapped.sample(jax.random.key(0), 20_000)
    values = mapped.values(field)
    assert (mapped.width, mapped.size, mapped.sensors) == (1, 1, None)
    np.testing.assert_allclose(values, jnp.exp(field.coefficients))
    np.testing.assert_allclose(mapped.fit(values).coefficients, field.coefficients, atol=1e-12)
    assert np.sqrt(np.mean(np.square(values))) == pytest.approx(mapped.scale, rel=0.03)
    few = mapped.field(field.coefficients[:3])
    jet = few.jet(x, ("", "x", GRADIENT, LAPLACIAN))
    np.testing.assert_allclose(jet[""], jnp.repeat(values[:3], len(x), axis=1))
    assert not any(jet[label].any() for label in ("x", GRADIENT, LAPLACIAN))
    assert mapped.outside(np.asarray(values)) == ""
    assert mapped.outside(np.array([[100.0]])).startswith("before the map exp, it lies in [")


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("name", ["exp", "times"])
def test_derivatives_by_their_order(name, order):
    field, x = LAWS[name].sample(jax.random.key(0), 2), points()[:, 0]
    exact = field.jet(x[:, None], ("x" * order,))["x" * order]
    np.testing.assert_allclose(field(x, order), exact, atol=1e-9)


def test_maps_keep_the_places_of_their_law():
    law = dataclasses.replace(BASE, axes="t", name="own").map(jnp.exp).times(bump)
    assert (law.axes, law.letters, law.name, law.domain) == ("t", "t", "", LINE)
    np.testing.assert_array_equal(law.sensors, BASE.sensors)
    few = BASE.sensors[::4]
    assert law.unresolved(few) == BASE.unresolved(few) > 0


def test_maps_are_equal_by_their_law_and_function():
    assert BASE.map(jnp.exp) == dataclasses.replace(BASE).map(jnp.exp)
    assert hash(BASE.map(jnp.exp)) == hash(dataclasses.replace(BASE).map(jnp.exp))
    laws = {BASE, BASE.map(jnp.exp), BASE.map(jnp.tanh), BASE.times(bump), BASE.times(tent)}
    assert len(laws) == 5
    moved = dataclasses.replace(BASE.map(jnp.exp), base=FLAT)
    assert moved == FLAT.map(jnp.exp)
    assert moved.domain is PLANE


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="inverse of the map identity is not known; give it"):
        BASE.map(identity)
    with pytest.raises(UserError, match="a number has no places"):
        Uniform(0.0, 1.0).times(bump)
    wrong = BASE.times(lambda x: x[0, :3])
    with pytest.raises(UserError, match="gives shape"):
        wrong.sample(jax.random.key(0), 2)(points())
    with pytest.raises(UserError, match=r"must be \(n, 11\)"):
        BASE.times(bump).fit(jnp.ones((2, 3)))
    with pytest.raises(UserError, match="use jet"):
        LAWS["exp"].sample(jax.random.key(0), 2)(points(), 1)
