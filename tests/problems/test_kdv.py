"""Korteweg–de Vries: solitons, what is kept, and the reference."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hop.ansatz import Ansatz, columns
from hop.derivatives import closure, jet
from hop.laws.spectral import Basis, Series
from hop.networks.fno import FNO
from hop.problem import Lam
from hop.problems.kdv import KdV, dispersion, transport
from hop.references import spectral

PROBLEM = KdV()
BENCHMARK = KdV("benchmark")
EPS = 0.022**2

pytestmark = pytest.mark.usefixtures("float64")


def soliton(points, height=1.5, base=0.1, eps=EPS):
    """On the line; in the circle but for 1e-10."""
    x, t = points[:, 0], points[:, 1]
    place = x + 0.3 - (base + height / 3) * t
    return (base + height / jnp.cosh(math.sqrt(height / (12 * eps)) * place) ** 2)[None]


@pytest.mark.parametrize("s", [0.0, 0.6])
def test_the_residual_of_a_soliton_is_zero(s):
    """At s its time is 1 − s times as fast."""
    points = jax.random.uniform(jax.random.key(0), (200, 2))
    slow = jnp.array([[1.0, 1 - s]])
    u = jet(lambda points: soliton(slow * points), points, closure(PROBLEM.derivatives))
    h = PROBLEM.residual(u, columns(points), {}, Lam(s, EPS))
    np.testing.assert_allclose(h, 0, atol=1e-10 * float(jnp.max(jnp.abs(u["t"]))))


def test_in_the_reference_a_soliton_travels():
    places = np.linspace(-1, 1, 256, endpoint=False)
    start = np.asarray(soliton(jnp.asarray(np.stack([places, 0 * places], axis=1))))[0]
    waves = np.fft.rfft(start, norm="forward")[:100]
    basis = Basis(PROBLEM.inputs["u0"].domain, ("periodic",), (99,), constant=True)
    parts = [math.sqrt(2) * waves[:1].real, 2 * waves[1:].real, -2 * waves[1:].imag]
    u0 = Series(np.concatenate(parts)[None], basis, "x")
    x = PROBLEM.domain.grid(65, 3)
    for s in (0.0, 0.5):
        found = PROBLEM.reference({"u0": u0}, x, Lam(s, EPS))
        np.testing.assert_allclose(found, soliton(jnp.asarray(x * [1, 1 - s])), atol=1e-6)


@functools.cache
def solved():
    field = PROBLEM.inputs["u0"].sample(jax.random.key(1), 3)
    x = PROBLEM.domain.grid(513, 4)
    return field, x, PROBLEM.reference({"u0": field}, x, Lam(0.0, EPS)).reshape(3, 4, 513)


def test_the_reference_keeps_u_and_its_square():
    field, x, u = solved()
    np.testing.assert_allclose(u[:, 0], field(jnp.asarray(x[:513, 0])), atol=1e-12)
    np.testing.assert_allclose(u[..., :-1].mean(axis=-1), 0, atol=1e-13)
    energy = np.mean(u[..., :-1] ** 2, axis=-1)
    np.testing.assert_allclose(energy, energy[:, :1] + 0 * energy, rtol=1e-6)
    assert np.abs(u).max() > 1.2 * np.abs(u[:, 0]).max()  # solitons have formed


def test_the_reference_is_converged():
    field, x, u = solved()
    many = np.full(3, 300), np.full(3, 6000)
    finer = spectral.solve(transport, dispersion(EPS), field, x[:, 0], x[:, 1], *many)
    assert np.linalg.norm(finer - u.reshape(3, -1)) < 1e-6 * np.linalg.norm(finer)


def test_the_benchmark_starts_as_a_cosine():
    x = BENCHMARK.domain.grid(33, 1)
    start = np.cos(np.pi * x[:, 0])[None]
    np.testing.assert_allclose(BENCHMARK.reference({}, x, Lam(0.0, EPS)), start, atol=1e-12)
    lifted = BENCHMARK.lift(jnp.ones((1, 33)), columns(jnp.asarray(x)), {}, Lam(0.0, EPS))
    np.testing.assert_allclose(lifted, start, atol=1e-12)


def test_a_fourier_operator_has_third_derivatives():
    """∂_xxx by jets beside those of Fourier interpolation in x."""
    ansatz = Ansatz(PROBLEM, FNO(4, 1, (4,), 2, 2, (3,)), harmonics=4)
    law = PROBLEM.inputs["u0"]
    params = ansatz.init(jax.random.key(0))
    inputs = ansatz.inputs({"u0": law.values(law.sample(jax.random.key(1), 2))})
    x = jnp.asarray(np.linspace(-1, 1, 128, endpoint=False))
    points = jnp.stack([x, jnp.full_like(x, 0.4)], axis=1)
    u = jax.jit(lambda: ansatz.jet(params, inputs, points, Lam(0.0, EPS)))()
    omega = np.pi * np.arange(65)
    third = np.fft.irfft((1j * omega) ** 3 * np.fft.rfft(u[""]))
    np.testing.assert_allclose(u["xxx"], third, atol=1e-6 * np.abs(third).max())
