"""The Fourier neural operator: it moves with its inputs, its jets, and what it refuses."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.ansatz import Ansatz
from hop.derivatives import GRADIENT, LAPLACIAN, closure
from hop.domain import Box, tensor
from hop.errors import UserError
from hop.laws.gaussian_field import GaussianField
from hop.laws.uniform import Uniform
from hop.networks import Perceptron, evaluate
from hop.networks.fno import FNO
from hop.problem import Lam, Problem

SQUARE = Box((0.0, 1.0), (2.0, 2.0), periodic=("x", "y"))
PLACES = tensor([2 * np.arange(12) / 12, 1 + np.arange(16) / 16])
FIELD = GaussianField(SQUARE, "periodic", length=0.5, modes=3, sensors=PLACES)
CLOSED = GaussianField(SQUARE, "periodic", length=0.5, modes=3, sensors=(9, 9))
LAM = Lam(0.0, 0.1)
LABELS = ("", "t", "x", "xt", "xx", "xy", "yy", GRADIENT, LAPLACIAN)


@dataclasses.dataclass(frozen=True)
class InPlane(Problem):
    """Two functions on a torus, one read at both ends of each axis, and a number."""

    domain = Box((0.0, 1.0, 0.0), (2.0, 2.0, 3.0), periodic=("x", "y"))
    unknowns = ("p", "q")
    derivatives = ("t", "x", "y")
    inputs = {"f": FIELD, "g": CLOSED, "r": Uniform(1.0, 2.0)}  # noqa: RUF012

    def residual(self, u, x, a, lam):
        return u[""]


class WithFeatures(InPlane):
    def trunk_features(self, x, lam):
        return (x[0], x[1], x[0], x[1])


NET = FNO(width=5, layers=2, trunk=(7,), rank=4, channels=3, decoder=(6,))
ANSATZ = Ansatz(InPlane(), NET, harmonics=2)


@functools.cache
def at_random():
    """Parameters, two samples of each input, and points."""

    def draw():
        params = jax.tree.map(lambda leaf: leaf + 0.1, ANSATZ.init(jax.random.key(0)))
        laws = InPlane.inputs.items()
        drawn = {name: law.sample(jax.random.key(i), 2) for i, (name, law) in enumerate(laws)}
        return (
            params,
            drawn,
            InPlane.domain.from_unit(jax.random.uniform(jax.random.key(5), (6, 3))),
        )

    return jax.jit(draw)()


def embed(x):
    """What the layers see: waves of x and of y, and t."""
    y = InPlane.domain.to_reference(x)
    angles = jnp.pi * y[:, :2, None] * jnp.arange(1.0, 3.0)[None, None, :]
    waves = jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=2)
    return jnp.concatenate([waves.reshape(len(x), -1), y[:, 2:]], axis=1)


@functools.partial(jax.jit, static_argnums=2)
def features(fields, x, labels):
    """Of the parameters at random."""
    params, _, _ = at_random()
    laws = InPlane.inputs
    seen = {name: laws[name].normalise(laws[name].values(f)) for name, f in fields.items()}
    return NET.on(InPlane.domain, laws).features(params, seen, x, labels, embed)


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def moved_by(step, labels):
    """Features of the functions, and of the same moved, at points that move along."""
    _, fields, x = at_random()
    by, laws = jnp.asarray(step)[None, :], InPlane.inputs

    @jax.jit
    def move(fields):
        new = {k: laws[k].fit(fields[k](jnp.asarray(laws[k].sensors) - by)) for k in ("f", "g")}
        return fields | new

    moved = move(fields)
    there = x + jnp.pad(by, ((0, 0), (0, 1)))
    return (
        features(fields, x, labels),
        features(moved, there, labels),
        features(fields, there, labels),
    )


def test_it_moves_with_its_inputs():
    """By a step of the layers' grid, 6 × 8 points here, up to rounding."""
    before, after, still = moved_by([2 / 3, 1 / 8], ("t", "x"))
    for label, value in before.items():
        np.testing.assert_allclose(after[label], value, rtol=1e-9, atol=1e-10, err_msg=label)
        assert np.abs(still[label] - value).max() > 0.1


def test_steps_between_the_points_of_the_layers_are_nearly_exact():
    """Up to what σ makes beyond those that the grid resolves."""
    before, after, _ = (found[""] for found in moved_by([2 / 7, 1 / 5], ("",)))
    assert 1e-6 < np.abs(after - before).max() < 0.1 * np.abs(before).max()


@functools.partial(jax.jit, static_argnums=2)
def u_of(fields, x, labels):
    """The jet of both unknowns."""
    params, _, _ = at_random()
    laws = InPlane.inputs
    given = ANSATZ.inputs({name: laws[name].values(field) for name, field in fields.items()})
    return ANSATZ.jet(params, given, x, LAM, labels)


def test_its_jets_are_those_of_forward_mode():
    """Of features and decoder, which carry them by hand."""
    _, fields, x = at_random()
    found = u_of(fields, x, LABELS)
    assert set(found) == set(closure(LABELS))

    def at(point):
        return u_of(fields, point[None, :], ("",))[""][:, :, 0]

    first = np.moveaxis(jax.jit(jax.vmap(jax.jacfwd(at)))(x), 0, 2)  # (c, n, q, d)
    second = np.moveaxis(jax.jit(jax.vmap(jax.jacfwd(jax.jacfwd(at))))(x), 0, 2)
    axes = {"x": 0, "y": 1, "t": 2}
    exact = {letter: first[..., i] for letter, i in axes.items()}
    exact |= {a + b: second[..., axes[a], axes[b]] for a, b in ("xt", "xx", "xy", "yy")}
    exact[GRADIENT] = np.stack([exact["x"], exact["y"]])
    exact[LAPLACIAN] = exact["xx"] + exact["yy"]
    for label, value in exact.items():
        np.testing.assert_allclose(found[label], value, rtol=1e-8, atol=1e-9, err_msg=label)


def test_the_decoder_is_a_perceptron_of_features_inputs_and_time():
    params, fields, x = at_random()
    F = features(fields, x, ("",))[""]
    a = {name: InPlane.inputs[name].normalise(f(x)) for name, f in fields.items()}
    t = InPlane.domain.to_reference(x)[:, 2:]
    seen = jnp.concatenate([F, *(a[name][None] for name in "fgr"), 0 * F[:1] + t.T[None]])
    D = Perceptron((6, 2), "swish")
    u = jnp.moveaxis(evaluate(D, params["decoder"], jnp.moveaxis(seen, 0, -1)), -1, 0)
    u = u + params["bias"][:, None, None]
    np.testing.assert_allclose(u_of(fields, x, ("",))[""], u, rtol=1e-10, atol=1e-12)


def test_every_input_and_every_parameter_matters():
    params, fields, x = at_random()
    laws = InPlane.inputs
    given = {name: laws[name].values(field) for name, field in fields.items()}

    def total(params, given):
        u = ANSATZ.jet(params, ANSATZ.inputs(given), x, LAM, ("",))[""]
        assert u.shape == (2, 2, 6)
        return jnp.sum(u**2)

    for slope in jax.tree.leaves(jax.jit(jax.grad(total, (0, 1)))(params, given)):
        assert np.abs(slope).max() > 1e-6


def test_what_does_not_fit_is_refused():
    circle = Box((0.0, 0.0), (1.0, 1.0), periodic=("x",))
    line, laws = Box((0.0,), (1.0,)), {"f": FIELD}
    scattered = dataclasses.replace(FIELD, sensors=PLACES[:-1])
    for domain, given, words in (
        (SQUARE, {"f": scattered}, "sensors of 'f' on an equally spaced grid of x, y"),
        (circle, laws, "sensors of 'f' on an equally spaced grid of x"),
        (SQUARE, {}, "needs an input function"),
        (line, laws, "needs a box with periodic coordinates"),
    ):
        with pytest.raises(UserError, match=re.escape(words)):
            NET.on(domain, given)
    with pytest.raises(UserError, match="harmonics=6 is too many for 'f', which has 12 sensors"):
        Ansatz(InPlane(), NET, harmonics=6).init(jax.random.key(0))
    with pytest.raises(UserError, match="positive widths"):
        FNO(rank=0)
    with pytest.raises(UserError, match="FNO has no use"):
        Ansatz(WithFeatures(), NET, harmonics=2).init(jax.random.key(0))
    with pytest.raises(UserError, match="must know the box"):
        NET.init(jax.random.key(0), 5, {"f": 12})
