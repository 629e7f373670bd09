"""Gaussian fields have the covariance that they name; derivatives and fits are exact."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.derivatives import GRADIENT, LAPLACIAN, spelling
from hop.derivatives import jet as differentiate
from hop.domain import Box
from hop.errors import UserError
from hop.laws import Law
from hop.laws.gaussian_field import GaussianField
from hop.laws.named import NAMED

pytestmark = pytest.mark.usefixtures("float64")

BOX = Box((-1.0, 0.5, 0.0), (1.0, 2.0, 0.8))
OTHER = {"zero": "free", "free": "zero", "periodic": "free"}
ENDS = [
    *[(end,) for end in OTHER],
    ("zero", "periodic"),
    ("free", "zero"),
    ("periodic", "periodic"),
    ("free", "zero", "periodic"),
    ("free", "free", "free"),
    ("periodic", "periodic", "periodic"),
]


def box(dim):
    return Box(BOX.lower[:dim], BOX.upper[:dim])


def inside(dim, count, seed=0):
    """Random points of the box."""
    unit = np.random.default_rng(seed).uniform(size=(count, dim))
    return np.asarray(BOX.lower[:dim]) + unit * np.subtract(BOX.upper, BOX.lower)[:dim]


def gaussian(domain, ends, modes=4, **options):
    """A law whose modes are all of some size."""
    return GaussianField(domain, ends, length=0.4, modes=modes, **options)


def drawn(law, seed, n):
    """Sensor values of samples."""
    return np.array(jax.jit(lambda: law.values(law.sample(jax.random.key(seed), n)))())


def covariance(law, x):
    modes = np.asarray(jax.jit(lambda x: law.field(jnp.eye(law.size))(x))(x))
    return modes.T @ np.diag(law.spectrum) @ modes


def images(end, x, y, low, length, ell):
    """The sum of exp(−r²/2ℓ²) over the images of y in the walls of an interval."""
    x, y, total = x - low, y - low, 0.0
    for n in range(-8, 9):
        period = length if end == "periodic" else 2 * length
        total = total + np.exp(-((x - y + n * period) ** 2) / (2 * ell**2))
        if end != "periodic":
            sign = -1 if end == "zero" else 1
            total = total + sign * np.exp(-((x + y + n * period) ** 2) / (2 * ell**2))
    return total


def image_sum(ends, x, ell, std):
    """Of the box, the covariance whose mean variance is std²."""
    covariances, mean_variance, constant = [], 1.0, 1.0
    for end, column, low, high in zip(ends, x.T, BOX.lower, BOX.upper, strict=False):
        args = (low, high - low, ell)
        covariances.append(images(end, column[:, None], column[None, :], *args))
        middles = low + (np.arange(4000) + 0.5) / 4000 * (high - low)
        mean_variance *= images(end, middles, middles, *args).mean()
        constant *= np.sqrt(2 * np.pi) * ell / (high - low)
    if set(ends) != {"periodic"}:
        constant = 0.0
    found = functools.reduce(np.multiply, covariances) - constant
    return std**2 * found / (mean_variance - constant)


@pytest.mark.parametrize("ends", ENDS, ids="-".join)
def test_squared_exponential_is_the_sum_over_mirror_images(ends):
    law = GaussianField(box(len(ends)), ends, length=0.5, std=1.5)
    x = inside(len(ends), 12)
    found = covariance(law, x)
    np.testing.assert_allclose(found, image_sum(ends, x, 0.5, 1.5), atol=1e-7)
    # The test bites: walls of another kind, and 2% of length.
    wrong = (*ends[:-1], OTHER[ends[-1]])
    assert np.abs(found - image_sum(wrong, x, 0.5, 1.5)).max() > 0.01
    assert np.abs(found - image_sum(ends, x, 0.51, 1.5)).max() > 1e-3


def green(end, x, y, tau):
    """Of −d²/dx² + τ² on [0, 1]; without its constant part on a circle."""
    low, high = np.minimum(x, y), np.maximum(x, y)
    if end == "zero":
        return np.sinh(tau * low) * np.sinh(tau * (1 - high)) / (tau * np.sinh(tau))
    if end == "free":
        return np.cosh(tau * low) * np.cosh(tau * (1 - high)) / (tau * np.sinh(tau))
    return np.cosh(tau * (0.5 - high + low)) / (2 * tau * np.sinh(tau / 2)) - 1 / tau**2


@pytest.mark.parametrize("end", list(OTHER))
def test_power_law_of_exponent_1_is_greens_function(end):
    law = GaussianField.power(Box((0.0,), (1.0,)), end, 3.0, 4.0, 1.0, modes=3000, sensors=5)
    x = np.random.default_rng(0).uniform(size=(9, 1))
    exact = 3 * green(end, x, x.T, 2.0)
    np.testing.assert_allclose(covariance(law, x), exact, atol=6e-4)  # its tail: 6/(π²·3000)
    assert np.abs(3 * green(end, x, x.T, 2.3) - exact).max() > 2e-3  # the test bites


@pytest.mark.parametrize("ends", ENDS[3:], ids="-".join)
def test_power_law_makes_white_noise_of_its_samples(ends):
    """(−Δ + τ²)^(γ/2) of Σ √λ_j e_j, γ = 2, is σ times an orthonormal family."""
    dim, modes = len(ends), (3, 2, 1)[: len(ends)]
    law = GaussianField.power(box(dim), ends, 4.0, 2.5, 2.0, modes=modes)
    axes, weights = [], np.ones(1)
    for low, high in zip(BOX.lower[:dim], BOX.upper, strict=False):
        nodes, weight = np.polynomial.legendre.leggauss(24)
        axes.append((low + high) / 2 + (high - low) / 2 * nodes)
        weights = np.multiply.outer(weights, weight * (high - low) / 2).ravel()
    points = np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)
    std = np.diag(np.sqrt(law.spectrum))
    jet = jax.jit(lambda x: law.field(jnp.asarray(std)).jet(x, ("", LAPLACIAN)))(points)
    white = np.asarray(2.5 * jet[""] - jet[LAPLACIAN])
    np.testing.assert_allclose((white * weights) @ white.T, 4 * np.eye(law.size), atol=1e-8)


@pytest.mark.parametrize(
    "law",
    [
        *NAMED.values(),
        gaussian(box(2), ("free", "zero"), mean=0.7),
        gaussian(box(3), ("periodic", "zero", "free"), 1),
    ],
    ids=["paper", "unit", "periodic", "plane", "space"],
)
def test_empirical_covariance_is_that_of_the_law(law):
    n, x = 20_000, np.linspace(law.domain.lower, law.domain.upper, 15) * 0.999
    u = np.asarray(jax.jit(lambda x: law.sample(jax.random.key(0), n)(x))(x)) - law.mean
    exact, empirical = covariance(dataclasses.replace(law, mean=0.0), x), u.T @ u / n
    # The entry (i, j) has variance (C_ii C_jj + C_ij²)/n; 6 deviations over 15² correlated entries.
    deviation = np.sqrt((np.outer(np.diag(exact), np.diag(exact)) + exact**2) / n)
    assert np.all(np.abs(empirical - exact) < 6 * deviation + 1e-15)
    # The test bites: one coefficient of 20% less variance would be caught.
    j = int(np.argmax(law.spectrum))
    modes = np.asarray(law.field(jnp.eye(law.size))(jnp.asarray(x))) - law.mean
    wrong = exact - 0.2 * law.spectrum[j] * np.outer(modes[j], modes[j])
    assert not np.all(np.abs(empirical - wrong) < 6 * deviation + 1e-15)


CASES = {  # axes, columns of the points, labels
    "x": (1, ("", "x", "xx", GRADIENT, LAPLACIAN)),
    "y": (2, ("", "x", "y", "yy", "xy", GRADIENT, LAPLACIAN)),
    "t": (2, ("", "x", "t", "xt", GRADIENT, LAPLACIAN)),
    "xy": (3, ("", "y", "xxy", "t", GRADIENT, LAPLACIAN)),
    "xt": (2, ("", "x", "xt", "tt")),
    "yx": (2, ("", "y", "xxy", GRADIENT, LAPLACIAN)),
    "xyz": (3, ("", "z", "xyz", GRADIENT, LAPLACIAN)),
}


@pytest.mark.parametrize(
    ("axes", "shift"), [*((axes, 0) for axes in CASES), ("x", 1), ("x", 2), ("xyz", 1)]
)
def test_derivatives_are_those_of_the_values(axes, shift):
    dim, labels = CASES[axes]
    ends = tuple(itertools.islice(itertools.cycle(OTHER), shift, shift + len(axes)))
    law = gaussian(box(len(axes)), ends, 2, axes=axes, mean=0.3)
    x = jnp.asarray(inside(dim, 5))
    found, exact = jax.jit(lambda f: (f.jet(x, labels), differentiate(f, x, labels)))(
        law.sample(jax.random.key(1), 2)
    )
    assert set(found) == set(labels)
    for label in labels:
        expected = exact[spelling(label)]
        assert found[label].shape == expected.shape
        np.testing.assert_allclose(found[label], expected, atol=1e-9, err_msg=label)


def test_a_derivative_by_a_letter_that_is_no_axis_is_zero():
    field = gaussian(box(1), "free", axes="t").sample(jax.random.key(0), 2)
    x = jnp.asarray(inside(2, 3))
    jet = field.jet(x, ("", "x", "t", GRADIENT, LAPLACIAN))
    np.testing.assert_array_equal(jet[""], field(x[:, 1]))
    assert jet[GRADIENT].shape == (1, 2, 3)  # space alone
    for label in ("x", GRADIENT, LAPLACIAN):
        assert not jet[label].any()


@pytest.mark.parametrize("ends", ENDS, ids="-".join)
def test_a_fit_recovers_the_function_from_any_sensors(ends):
    dim = len(ends)
    law = gaussian(box(dim), ends, (4, 3, 1)[:dim], mean=-0.5)
    x, places = jnp.asarray(inside(dim, 20, seed=1)), inside(dim, 400)

    @jax.jit
    def found():
        field = law.sample(jax.random.key(2), 3)
        fitted = law.fit(law.values(field)), law.fit(field(jnp.asarray(places)), places)
        at_sensors = law.values(field), field(jnp.asarray(law.sensors))
        return at_sensors, field(x), [fit(x) for fit in fitted]

    (values, same), exact, (fitted, from_places) = found()
    np.testing.assert_allclose(values, same, atol=1e-12)
    np.testing.assert_allclose(fitted, exact, atol=1e-9)
    np.testing.assert_allclose(from_places, exact, atol=1e-6)  # places that form no grid
    assert law.unresolved(places) < (0.01 if dim == 1 else 1e-6)
    assert law.unresolved(law.sensors) == 0


def test_places_that_determine_no_function_give_a_likely_one():
    """Fewer places than coefficients: what is found fits, and is close where they are."""
    law = GaussianField(box(2), "free", length=0.4)
    places = inside(2, 60)
    assert len(places) < law.size

    @jax.jit
    def found():
        field = law.sample(jax.random.key(0), 200)
        values = field(jnp.asarray(places))
        fitted = law.fit(values, places)
        return values, fitted(jnp.asarray(places)), fitted.coefficients - field.coefficients

    values, same, error = found()
    np.testing.assert_allclose(same, values, atol=1e-4)
    off = error / law.scale / np.sqrt(3.0)
    expected = law.unresolved(places)
    assert 0 < expected < 0.2
    assert float(jnp.sqrt(jnp.mean(jnp.sum(off**2, 1)))) == pytest.approx(expected, rel=0.2)


def test_unresolved_is_the_share_of_the_waves_that_sensors_are_too_few_for():
    law = gaussian(Box((0.0, 0.0), (1.0, 1.0)), ("zero", "periodic"), 6)
    shares = law.spectrum.reshape(6, 13)
    k = np.array([0, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6])
    untold = shares.sum() - shares[:4][:, k <= 3].sum()
    assert law.unresolved(law.domain.grid(5, 7)) == pytest.approx(
        np.sqrt(untold / shares.sum()), rel=1e-9
    )
    free = gaussian(Box((0.0,), (1.0,)), "free", 6)
    share = np.sqrt(free.spectrum[4:].sum() / free.spectrum.sum())
    assert free.unresolved(np.linspace(0, 1, 4)) == pytest.approx(share)
    assert free.unresolved((np.arange(4) + 0.5) / 4) == pytest.approx(share)
    assert free.unresolved(np.array([0.1, 0.2])) == pytest.approx(
        np.sqrt(free.spectrum[1:].sum() / free.spectrum.sum())
    )


@pytest.mark.parametrize("axis", range(3))
def test_ends_hold_on_every_face(axis):
    ends = tuple(np.roll(["zero", "free", "periodic"], axis).tolist())
    field = gaussian(BOX, ends, 2, mean=1.5).sample(jax.random.key(3), 2)
    x = inside(3, 6)
    sides = []
    for at in (BOX.lower, BOX.upper):
        face = x.copy()
        face[:, 0] = at[0]
        sides.append(field.jet(jnp.asarray(face), ("", "x")))
    low, high = sides
    if ends[0] == "zero":
        np.testing.assert_allclose(jnp.stack([low[""], high[""]]), 1.5, atol=1e-12)
    elif ends[0] == "free":
        np.testing.assert_allclose(jnp.stack([low["x"], high["x"]]), 0.0, atol=1e-12)
    else:
        np.testing.assert_allclose(low[""], high[""], atol=1e-12)
        np.testing.assert_allclose(low["x"], high["x"], atol=1e-11)
    assert jnp.abs(low["x" if ends[0] != "free" else ""]).min() > 1e-6


@pytest.mark.parametrize("ends", [("periodic",), ("periodic", "periodic")], ids=len)
def test_periodic_samples_have_the_mean(ends):
    dim = len(ends)
    law = gaussian(box(dim), ends, 3, mean=2.0)
    (points, weights), volume = law.domain.quadrature(24), np.prod(law.basis.lengths)
    values = law.sample(jax.random.key(0), 4)(jnp.asarray(points))
    np.testing.assert_allclose(values @ weights / volume, 2.0, atol=1e-12)


def test_size_counts_the_mean_and_networks_see_what_is_about_it():
    law = GaussianField(box(2), ("free", "periodic"), length=0.5, std=0.6, mean=0.8)
    assert law.deviation == pytest.approx(0.6)
    assert law.scale == pytest.approx(1.0)
    seen = law.normalise(drawn(law, 0, 2000))
    assert np.mean(seen) == pytest.approx(0.0, abs=0.05)
    assert np.sqrt(np.mean(np.square(seen))) == pytest.approx(1.0, abs=0.05)


def test_samples_are_within_the_law_and_others_are_not():
    law = GaussianField(box(1), "free", length=0.4, mean=3.0, sensors=41)
    values = drawn(law, 0, 5000)
    assert law.outside(values) == law.outside(values.astype(np.float32)) == ""
    clause = "its functions stay within ±7 of mean 3, their second differences between sensors"
    assert law.outside(values - 3 + 9.5).startswith(clause)
    rough = values.copy()
    rough[4200] += 0.5 * (-1) ** np.arange(41)  # past the first block of functions
    assert law.outside(rough).startswith(clause)
    assert law.outside(np.full((1, 41), np.nan)).startswith(clause)
    plane = GaussianField(box(2), "zero", length=0.4, sensors=9)
    values = drawn(plane, 0, 50)
    assert plane.outside(values) == ""
    assert plane.outside(20 * values) == "its functions stay within ±7.8"


def test_a_wave_around_the_end_of_a_period_is_looked_at():
    for sensors, end in ((np.linspace(0, 1, 21), 1), (np.arange(20) / 20, 0)):
        law = GaussianField(Box((0.0,), (1.0,)), "periodic", length=0.2, sensors=sensors)
        values = drawn(law, 0, 500)
        assert law.outside(values) == ""
        ramp = 3 * law.sensors[:, 0]  # straight, but for the jump at the end
        values += ramp - (ramp[:-1].mean() if end else ramp.mean())
        assert bool(law.outside(values)) == bool(end)


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("where", ["grid", "anywhere"])
@pytest.mark.parametrize("mean", [0.0, 2.0])
def test_a_mean_that_the_law_leaves_out_is_told(dim, where, mean):
    places = inside(dim, 90) if where == "anywhere" else 12
    made = functools.partial(
        GaussianField, box(dim), "periodic", length=0.6, mean=mean, modes=2, sensors=places
    )
    law, clause = made(), f"its functions have mean {mean:g}; any other mean is left out"
    values = drawn(law, 0, 50)
    assert law.outside(values) == law.outside(values.astype(np.float32)) == ""
    assert law.outside(mean + 1e-3 * (values - mean)) == ""
    off = values.copy()
    off[17] += 0.1
    assert law.outside(off).startswith(clause)
    assert law.outside(mean + 1e-3 * (off - mean)).startswith(clause)  # of small functions too
    assert law.outside(off - 0.2).startswith(clause)
    assert made(constant=True).outside(off) == ""  # it keeps them
    assert law.times(lambda x: 1 + 0 * x[0]).outside(off).endswith("subtract it first")


def test_default_modes_and_sensors():
    law = GaussianField(Box((0.0, 0.0), (1.0, 2.0)), ("free", "periodic"), length=0.25)
    assert law.basis.modes == (8, 8)  # √(2 log 1e10)/ℓ = 27.1: 8.64 of π, and of 2π/2
    assert law.size == 9 * 17
    np.testing.assert_array_equal(law.sensors, law.domain.grid(17, 18))
    powers = [GaussianField.power(box(d), "zero", 1.0, 1.0, 3.0) for d in (1, 2, 3)]
    assert [law.basis.modes for law in powers] == [(64,), (16, 16), (6, 6, 6)]
    assert powers[2].width == 13**3


def test_laws_are_equal_by_their_numbers_and_can_be_changed():
    law = GaussianField(Box((0.0,), (1.0,)), length=0.5)
    assert isinstance(law, Law)
    assert law == GaussianField(Box((0.0,), (1.0,)), "free", 0.5)
    assert hash(law) == hash(GaussianField(Box((0.0,), (1.0,)), "free", 0.5))
    # Modes and sensors that are left to the law follow what is changed.
    other = dataclasses.replace(law, length=0.25, domain=Box((1.0,), (3.0,)))
    assert other == GaussianField(Box((1.0,), (3.0,)), length=0.25)
    np.testing.assert_array_equal(other.sensors, np.linspace(1, 3, 35)[:, None])
    counted = dataclasses.replace(law, sensors=7)
    assert counted != law
    stretched = dataclasses.replace(counted, domain=Box((0.0,), (2.0,)))
    np.testing.assert_array_equal(stretched.sensors[:, 0], np.linspace(0, 2, 7))
    assert dataclasses.replace(stretched, sensors=None).width > 7
    places = dataclasses.replace(law, sensors=[0.0, 0.25, 1.0])
    np.testing.assert_array_equal(dataclasses.replace(places, std=2.0).sensors, places.sensors)
    with pytest.raises(ValueError, match="read-only"):
        law.sensors[0] = 1.0
    assert "sensors" not in repr(law)
    assert len({law, counted, places, dataclasses.replace(law, mean=1.0)}) == 4


def test_fields_pass_through_compiled_and_vectorised_functions():
    law = gaussian(box(2), ("free", "zero"), 2, mean=0.2)
    x = jnp.asarray(inside(2, 3))
    keys = jax.random.split(jax.random.key(0), 4)
    fields = jax.vmap(lambda key: law.sample(key, 2))(keys)
    (leaf,) = jax.tree.leaves(fields)
    assert leaf.shape == (4, 2, law.size)
    values = jax.jit(jax.vmap(lambda field: field(x)))(fields)
    np.testing.assert_allclose(values[1], law.sample(keys[1], 2)(x), atol=1e-12)
    fit = jax.jit(lambda field: law.fit(law.values(field)))
    np.testing.assert_allclose(fit(law.sample(keys[1], 2))(x), values[1], atol=1e-9)
    assert law.sample(keys[0], 2).count == 2


UNIT = Box((0.0,), (1.0,))
SQUARE = Box((0.0, 0.0), (1.0, 1.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianField(UNIT, "open", length=1.0), "ends='open' is not known"),
        (lambda: GaussianField(SQUARE, ("zero",), length=1.0), "one for all 2 axes"),
        (lambda: GaussianField(UNIT), "needs its correlation length"),
        (lambda: GaussianField(UNIT, length=0.1, std=0.0), "std > 0"),
        (lambda: GaussianField(UNIT, length=0.1, mean=np.nan), "mean=nan must be finite"),
        (lambda: GaussianField(UNIT, length=0.1, kernel="matern"), "kernel='matern' is not known"),
        (lambda: GaussianField(UNIT, length=0.1, kernel="power"), "GaussianField.power"),
        (lambda: GaussianField(UNIT, length=0.1, variance=1.0), "GaussianField.power"),
        (lambda: GaussianField(UNIT, length=1e-7), "greater length"),
        (lambda: GaussianField(UNIT, length=0.1, modes=0), "modes="),
        (lambda: GaussianField(UNIT, length=0.1, sensors=1), "sensors=1 must be 2 or more"),
        (lambda: GaussianField(UNIT, length=0.1, sensors=[0.0, 2.0]), "lie in the law's box"),
        (lambda: GaussianField(SQUARE, length=0.1, sensors=(3, 4, 5)), r"of shape \(m, 2\)"),
        (lambda: GaussianField(UNIT, length=0.1, sensors="all"), "real numbers"),
        (lambda: GaussianField(SQUARE, length=1.0, axes="xx"), "2 different letters"),
        (lambda: GaussianField(Box((0.0,) * 4, (1.0,) * 4), length=1.0), "1 to 3 dimensions"),
        (lambda: GaussianField.power(UNIT, "zero", -1.0, 1.0, 2.0), "needs variance > 0"),
        (lambda: GaussianField.power(UNIT, "free", 1.0, 0.0, 2.0), "give shift > 0"),
        (lambda: gaussian(UNIT, "free").fit(jnp.ones((2, 3))), r"must be \(n, 9\)"),
        (lambda: gaussian(SQUARE, "zero").fit(jnp.ones((1, 2)), np.eye(2)), "give more"),
        (lambda: gaussian(UNIT, "free").fit(jnp.ones((1, 1)), [0.5]), "give more"),
        (
            lambda: gaussian(SQUARE, "zero").sample(jax.random.key(0), 1)(jnp.ones((4, 1))),
            "give others as axes=",
        ),
        (
            lambda: gaussian(SQUARE, "zero").sample(jax.random.key(0), 1)(jnp.ones((4, 2)), 1),
            "use jet",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()
