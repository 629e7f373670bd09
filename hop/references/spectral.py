"""Pseudo-spectral solution of u_t = L u + N(u) on a circle, u(0) = u₀; u may be several.

The circle is the interval of u₀, of length ℓ from x₀ on: u = Σ_{|k| ≤ K} û_k e^{iω(x − x₀)} with ω
= 2πk/ℓ. L is diagonal in k and stiff: exponential time differencing of fourth order integrates it
exactly (ETDRK4: Cox, Matthews, *J. Comput. Phys.* 176 (2002), 430–455; its coefficients by contour
integrals: Kassam, Trefethen, *SIAM J. Sci. Comput.* 26 (2005), 1214–1233). N is evaluated on more
than 3K points, so that no product of two factors is aliased into |k| ≤ K (the 2/3 rule). The error
falls geometrically in K once the layers are resolved, and like Δt⁴.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Complex, Float, Int
from scipy import fft

from hop import ambient
from hop.errors import RunError
from hop.laws import Field
from hop.laws.spectral import Series, as_series

# û (n, K + 1), of several unknowns (c, n, K + 1), and ω (K + 1,) → the transform of N(u)
Nonlinear = Callable[[Array, Array], Array]

_CONTOUR = 32  # points of the contour integrals


def solve(
    nonlinear: Nonlinear,
    symbol: Callable[[np.ndarray], np.ndarray],
    u0: Field | tuple[Field, ...],
    x: Float[np.ndarray, " q"],
    t: Float[np.ndarray, " q"],
    modes: Int[np.ndarray, " n"],
    steps: Int[np.ndarray, " n"],
    block: int = 16,
) -> Float[np.ndarray, "n q"] | Float[np.ndarray, "c n q"]:
    """Values at the points (x, t), in one march for all of them.

    Args:
      nonlinear: N, in Fourier space; a function of a module, since one compilation serves its
        every use.
      symbol: the eigenvalues of L as a function of ω, real or complex; of several unknowns
        (c, K + 1).
      u0: n functions by their periodic modes; of several unknowns a tuple of these, on one circle.
      x, t: the points; tensor grids and points that share few times are cheap.
      modes: K for each function, at least; the functions with the same K and steps go together.
      steps: in a unit of time, at least, for each function.
      block: functions at a time. The spectra of 16 stay in the processor's cache; with few modes
        and few steps some hundred are quicker.

    Raises:
      RunError: the march became unstable.
    """
    with (
        ambient.on_cpu(),
        jax.numpy_dtype_promotion("standard"),  # real symbols times complex spectra
    ):
        each = tuple(map(as_series, u0 if isinstance(u0, tuple) else (u0,)))
        coefficients = np.stack([_by_waves(field) for field in each])
        (low,), (length,) = each[0].basis.domain.lower, each[0].basis.lengths
        values = np.empty((len(each), len(modes), len(x)))
        kinds, kind = np.unique(np.stack([modes, steps]), axis=1, return_inverse=True)
        for i, (least, rate) in enumerate(kinds.T):
            members = np.flatnonzero(kind.ravel() == i)
            size = min(block, 1 << (len(members) - 1).bit_length())
            for first in range(0, len(members), size):
                some = members[first : first + size]
                padded = np.resize(some, size)  # few shapes, so few compilations
                start = _spectrum(coefficients[:, padded], _modes(int(least)))
                start = start if isinstance(u0, tuple) else start[0]
                found = _march(nonlinear, symbol, start, length, x - low, t, int(rate))
                values[:, some] = found[..., : len(some), :]
    if not np.isfinite(values).all():
        raise RunError(f"the reference's march became unstable at {steps.max()} steps")
    return values if isinstance(u0, tuple) else values[0]


def pointwise(f: Callable[[Array], Array], degree: int) -> Nonlinear:
    """N(u) = f(u), a polynomial of this degree in the unknowns, free of aliasing."""

    def nonlinear(spectrum: Array, omega: Array) -> Array:
        points = fft.next_fast_len((degree + 1) * (len(omega) - 1) + 1, real=True)
        values = f(jnp.fft.irfft(spectrum, points, norm="forward"))
        return jnp.fft.rfft(values, norm="forward")[..., : len(omega)]

    return nonlinear


def divergence(flux: Callable[[Array], Array]) -> Nonlinear:
    """N(u) = −f(u)_x for a quadratic flux f, free of aliasing."""

    def nonlinear(spectrum: Array, omega: Array) -> Array:
        points = _points(len(omega) - 1)
        values = flux(jnp.fft.irfft(spectrum, points, norm="forward"))
        return -1j * omega[None, :] * jnp.fft.rfft(values, norm="forward")[:, : len(omega)]

    return nonlinear


def _points(modes: int) -> int:
    """The points on which a quadratic term is evaluated: more than 3K, and quick to transform."""
    return fft.next_fast_len(3 * modes + 1, real=True)


def _modes(least: int) -> int:
    """The most modes that as many points serve."""
    return (_points(least) - 1) // 3


def jumps(field: Series) -> Float[np.ndarray, " n"]:
    """max u − min u of each function, rounded up to powers of √2: functions of few kinds."""
    (low,), (high,) = field.basis.domain.lower, field.basis.domain.upper
    with ambient.numerics(np.float64):
        jump = np.ptp(np.asarray(field(jnp.linspace(low, high, 513))), axis=1)
    return 2 ** (np.ceil(2 * np.log2(np.maximum(jump, 0.1))) / 2)


def _by_waves(field: Series) -> Float[np.ndarray, "n K"]:
    """The coefficients of 1, and of all cosines and sines times √2."""
    (length,) = field.basis.lengths
    waves = np.array(field.coefficients, np.float64) / math.sqrt(length)
    if not field.basis.constant:
        waves = np.pad(waves, ((0, 0), (1, 0)))
    waves[:, 0] += field.mean
    return waves


def _spectrum(coefficients: np.ndarray, modes: int) -> Complex[Array, "c n K"]:
    cosines, sines = np.split(coefficients[..., 1:], 2, axis=-1)
    spectrum = np.zeros((*cosines.shape[:-1], modes + 1), np.complex128)
    spectrum[..., 0] = coefficients[..., 0]
    spectrum[..., 1 : cosines.shape[-1] + 1] = ((cosines - 1j * sines) / math.sqrt(2))[..., :modes]
    return jnp.asarray(spectrum)


def _march(
    nonlinear: Nonlinear,
    symbol: Callable[[np.ndarray], np.ndarray],
    spectrum: Complex[Array, "*c n K"],
    length: float,
    x: np.ndarray,
    t: np.ndarray,
    rate: int,
) -> np.ndarray:
    """Values (…, n, q) at the points, by at least `rate` steps in a unit of time.

    x counts from the circle's start.
    """
    modes = spectrum.shape[-1] - 1
    omega = 2 * np.pi * np.arange(modes + 1) / length
    values = np.empty((*spectrum.shape[:-1], len(x)))
    now, places = 0.0, np.empty(0)
    times, which = np.unique(t, return_inverse=True)
    for i, time in enumerate(times):
        if time > now:
            count = math.ceil((time - now) * rate)
            step = jnp.asarray((time - now) / count)
            spectrum = advance(nonlinear, spectrum, omega, symbol(omega), step, count)
            now = time
        here = np.flatnonzero(which == i)
        if not np.array_equal(x[here], places):
            places = x[here]
            angles = places[:, None] * omega[None, 1:]
            waves = math.sqrt(2) * np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
        values[..., here] = _values(spectrum, jnp.asarray(waves))
    return values


@functools.partial(jax.jit, static_argnums=0)
def advance(
    nonlinear: Nonlinear, spectrum: Array, omega: Array, symbol: Array, step: Array, count: Any
) -> Array:
    """`count` steps of ETDRK4, in the notation of Kassam and Trefethen.

    Args:
      nonlinear: N of the spectrum and of `omega`, which goes to it alone.
      spectrum: (…, n, K).
      symbol: (…, K).
      step, count: Δt, and how many.
    """
    z = step * symbol
    around = jnp.exp(2j * jnp.pi * (jnp.arange(_CONTOUR) + 0.5) / _CONTOUR)
    r = z[..., None] + around.reshape(*(1,) * z.ndim, -1)
    e = jnp.exp(r)

    def mean(values: Array) -> Array:
        made = jnp.mean(values, axis=-1)
        return step * (made if jnp.iscomplexobj(z) else made.real)[..., None, :]

    e1, e2 = jnp.exp(z)[..., None, :], jnp.exp(z / 2)[..., None, :]
    q = mean((jnp.exp(r / 2) - 1) / r)
    f1 = mean((-4 - r + e * (4 - 3 * r + r**2)) / r**3)
    f2 = mean((2 + r + e * (r - 2)) / r**3)
    f3 = mean((-4 - 3 * r - r**2 + e * (4 - r)) / r**3)

    def one(_: Array, v: Array) -> Array:
        nv = nonlinear(v, omega)
        a = e2 * v + q * nv
        na = nonlinear(a, omega)
        b = e2 * v + q * na
        nb = nonlinear(b, omega)
        c = e2 * a + q * (2 * nb - nv)
        return e1 * v + f1 * nv + 2 * f2 * (na + nb) + f3 * nonlinear(c, omega)

    return jax.lax.fori_loop(0, count, one, spectrum)


@jax.jit
def _values(spectrum: Array, waves: Array) -> Array:
    """u = û₀ + 2 Re Σ_{k > 0} û_k e^{iωx} from the waves √2 cos ωx, √2 sin ωx (q, 2K) at x."""
    rest = math.sqrt(2) * spectrum[..., 1:]
    parts = jnp.concatenate([rest.real, -rest.imag], axis=-1)
    return spectrum[..., :1].real + jnp.matmul(parts, waves.T)
