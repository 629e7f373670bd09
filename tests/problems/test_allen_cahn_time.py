"""Allen–Cahn in time: what reaction and diffusion do alone, and the reference."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.ansatz import columns
from hop.derivatives import closure, jet
from hop.laws.spectral import Series
from hop.problem import Lam
from hop.problems.allen_cahn_time import (
    AllenCahnTime,
    benchmark,
    diffusion,
    growth,
    reacted,
    rounded,
)
from hop.references import spectral

PROBLEM = AllenCahnTime()
BENCHMARK = AllenCahnTime("benchmark")
LAM = Lam(0.0, 1e-3)

pytestmark = pytest.mark.usefixtures("float64")


def residual(u, points, lam=LAM):
    return PROBLEM.residual(u, columns(points), {}, lam)


@pytest.mark.parametrize(
    "still",
    [
        lambda x: jnp.tanh(x / math.sqrt(2 * LAM.eps / 5)),
        jnp.ones_like,
        lambda x: -jnp.ones_like(x),
    ],
)
def test_an_interface_and_the_phases_stand_still(still):
    points = jax.random.uniform(jax.random.key(0), (50, 2), minval=-0.1, maxval=0.1)
    u = jet(lambda points: still(points[:, 0])[None], points, closure(PROBLEM.derivatives))
    np.testing.assert_allclose(residual(u, points), 0, atol=1e-8)


def test_the_reaction_alone_solves_the_equation_without_diffusion():
    points = jax.random.uniform(jax.random.key(0), (50, 2))

    def alone(points):
        return reacted(jnp.cos(3 * points[:, :1].T), points[None, :, 1])

    u = jet(alone, points, closure(PROBLEM.derivatives))
    np.testing.assert_allclose(residual(u, points, Lam(0.0, 1e-30)) * 1e-30, 0, atol=1e-12)
    start = alone(points.at[:, 1].set(0.0))
    np.testing.assert_allclose(start, jnp.cos(3 * points[:, :1].T), atol=1e-14)


def test_from_a_constant_the_reference_is_that_of_the_reaction():
    law, c = PROBLEM.inputs["u0"], 0.01
    u0 = Series(np.zeros((1, law.size)), law.basis, "x", mean=c)
    x = PROBLEM.domain.grid(3, 5)
    exact = reacted(jnp.full((1, 15), c), jnp.asarray(x[None, :, 1]))
    np.testing.assert_allclose(PROBLEM.reference({"u0": u0}, x, LAM), exact, atol=1e-8)


@functools.cache
def solved():
    field = PROBLEM.inputs["u0"].sample(jax.random.key(1), 2)
    x = PROBLEM.domain.grid(129, 4)
    return field, x, PROBLEM.reference({"u0": field}, x, Lam(0.0, 1e-4))


def test_the_reference_is_converged():
    field, x, u = solved()
    many = np.full(2, 900), np.full(2, 800)
    finer = spectral.solve(growth, diffusion(1e-4), field, x[:, 0], x[:, 1], *many)
    assert np.linalg.norm(finer - u) < 1e-7 * np.linalg.norm(finer)


def test_without_a_network_little_is_missing():
    """Reaction after diffusion, beside both together."""
    field, x, u = solved()
    x, lam = jnp.asarray(x), Lam(0.0, 1e-4)
    known = {name: part(x) for name, part in PROBLEM.known({"u0": field}, x, lam).items()}
    v = PROBLEM.lift(jnp.zeros((4, 1, 1)), columns(x), known, lam)
    np.testing.assert_allclose(v[:, :129], field(x[:129, 0]), atol=1e-12)
    assert 0 < np.linalg.norm(v - u) < 0.03 * np.linalg.norm(u)


def test_the_benchmark_starts_as_its_formula():
    """In the lift; and the series of the reference does, but for the kink at ±1."""
    x = np.stack([np.linspace(-1, 1, 41), np.zeros(41)], axis=1)
    start = x[None, :, 0] ** 2 * np.cos(np.pi * x[None, :, 0])
    lifted = BENCHMARK.lift(jnp.ones((4, 1, 41)), columns(jnp.asarray(x)), {}, LAM)
    np.testing.assert_allclose(lifted, start, atol=1e-12)
    series = benchmark()(jnp.asarray(x[1:-1, 0]))
    np.testing.assert_allclose(series, start[:, 1:-1], atol=1e-5)


def test_the_benchmark_diffuses_and_its_kink_is_rounded():
    """What is left of w_t − ε w_xx beside the kink is of the size of ε², and of ε within it."""
    points = jnp.asarray([[0.0, 0.5], [0.6, 0.2], [-0.3, 0.1], [1.0, 0.1], [-0.98, 0.5]])

    def part(i):
        return lambda x: rounded(x[None, :, 0], LAM.eps * x[None, :, 1])[i]

    w = jet(part(0), points, ("", "t", "x", "xx"))
    left = np.abs(w["t"] - LAM.eps * w["xx"])[0]
    assert left[:3].max() < 500 * LAM.eps**2
    assert left[3:].max() < 10 * LAM.eps
    assert np.abs(w["xx"]).max() > 100
    np.testing.assert_allclose(part(1)(points), w["x"], atol=100 * LAM.eps)
