"""Pseudo-spectral solution of u_t = L u + N(u) on the torus [0, 1]², as `hop.references.spectral`.

u = Re Σ û_k e^{2πi k·x} with |k₁|, |k₂| ≤ K. N, quadratic, is evaluated on more than 3K points
along each axis, so that nothing is aliased (the 2/3 rule). L is diagonal; ETDRK4 in time.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from scipy import fft

from hop import ambient
from hop.errors import RunError
from hop.laws import Field
from hop.laws.spectral import as_series
from hop.references.spectral import advance

Quadratic = Callable[[Array, Array, Array], Array]  # u, u_x, u_y (c, n, N, N) → N(u)


def solve(
    nonlinear: Quadratic,
    symbol: Callable[[np.ndarray], np.ndarray],
    u0: tuple[Field, ...],
    x: Float[np.ndarray, "q 2"],
    t: Float[np.ndarray, " q"],
    modes: int,
    steps: int,
    block: int = 8,
) -> Float[np.ndarray, "c n q"]:
    """Values at the points (x, t), in one march for all of them.

    Args:
      nonlinear: N on the grid, of degree two at most, from the values and the slopes; a function of
        a module, since one compilation serves its every use.
      symbol: the eigenvalues of L, real, as a function of |ω|², ω = 2πk.
      u0: n functions of each unknown by their periodic modes.
      x, t: the points; tensor grids, and points that share few times, are cheap.
      modes: K.
      steps: in a unit of time, at least.
      block: functions at a time.

    Raises:
      RunError: the march became unstable.
    """
    along = 2 * np.pi * np.arange(-modes, modes + 1)
    omega = np.stack(np.meshgrid(along[modes:], along))  # (2, 2K + 1, K + 1): x fastest
    count = u0[0].count
    values = np.empty((len(u0), count, len(x)))
    with ambient.on_cpu(), jax.numpy_dtype_promotion("standard"):
        for first in range(0, count, block):
            some = np.arange(first, min(first + block, count))
            padded = np.resize(some, min(block, count))  # one shape, so one compilation
            start = jnp.stack([_spectrum(field, padded, modes) for field in u0])
            rates = np.tile(symbol((omega**2).sum(0)).ravel(), (len(u0), 1))
            found = _march(_in_fourier(nonlinear), rates, start, omega, x, t, steps)
            values[:, some] = found[:, : len(some)]
    if not np.isfinite(values).all():
        raise RunError(f"the reference's march became unstable at {steps} steps")
    return values


@functools.lru_cache(maxsize=16)
def _in_fourier(nonlinear: Quadratic) -> Callable[[Array, Array], Array]:
    """N of spectra (c, n, K′), the waves in one axis as `advance` has them, and of ω."""

    def whole(spectrum: Array, omega: Array) -> Array:
        waves, modes = omega.shape[1:], omega.shape[2] - 1
        points = fft.next_fast_len(3 * modes + 1, real=True)

        def on_grid(spectrum: Array) -> Array:
            up, down = spectrum[..., modes:, :], spectrum[..., :modes, :]
            gap = jnp.zeros((*up.shape[:-2], points - waves[0], waves[1]), up.dtype)
            ordered = jnp.concatenate([up, gap, down], axis=-2)  # as the transform has them
            return jnp.fft.irfft2(ordered, (points, points), norm="forward")

        u = spectrum.reshape(*spectrum.shape[:-1], *waves)
        slopes = [on_grid(1j * each[None, None] * u) for each in omega]
        found = jnp.fft.rfft2(nonlinear(on_grid(u), *slopes), norm="forward")[..., : waves[1]]
        found = jnp.concatenate([found[..., -modes:, :], found[..., : modes + 1, :]], axis=-2)
        return found.reshape(spectrum.shape)

    return whole


def _spectrum(field: Field, rows: np.ndarray, modes: int) -> Array:
    """û (n, K′) of some of the functions."""
    field = as_series(field)
    count = 2 * max(modes, *field.basis.modes) + 1
    line = [jnp.asarray(np.linspace(0, 1, count, endpoint=False))] * 2
    chosen = jnp.asarray(np.asarray(field.coefficients, np.float64)[rows])
    values = field.basis.on_grid(chosen, line) + field.mean
    found = jnp.fft.rfft2(values.reshape(-1, count, count), norm="forward")[..., : modes + 1]
    found = jnp.concatenate([found[:, -modes:], found[:, : modes + 1]], axis=1)
    return found.reshape(len(rows), -1)


def _march(
    nonlinear: Callable[[Array, Array], Array],
    rates: np.ndarray,
    spectrum: Array,
    omega: np.ndarray,
    x: np.ndarray,
    t: np.ndarray,
    steps: int,
) -> np.ndarray:
    """Values (c, n, q) at the points."""
    values, now = np.empty((*spectrum.shape[:-1], len(x))), 0.0
    times, which = np.unique(t, return_inverse=True)
    for i, time in enumerate(times):
        if time > now:
            count = math.ceil((time - now) * steps - 1e-9)
            step = jnp.asarray((time - now) / count)
            spectrum = advance(nonlinear, spectrum, jnp.asarray(omega), rates, step, count)
            now = time
        here = np.flatnonzero(which == i)
        u = np.asarray(spectrum).reshape(*spectrum.shape[:-1], *omega.shape[1:])
        values[..., here] = _read(u, omega, x[here])
    return values


def _read(u: np.ndarray, omega: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Re Σ û_k e^{iω·x} at the points, of û (c, n, 2K + 1, K + 1); on grids axis by axis."""
    twice = np.where(omega[0, 0] > 0, 2.0, 1.0)  # for the waves that the half spectrum leaves out
    axes, places = zip(*(np.unique(column, return_inverse=True) for column in x.T), strict=True)
    grid = len(axes[0]) * len(axes[1]) == len(x)
    across, up = axes if grid else x.T
    partial = u @ (twice[:, None] * np.exp(1j * np.outer(omega[0, 0], across)))
    waves = np.exp(1j * np.outer(up, omega[1, :, 0]))
    if grid:
        return (waves @ partial).real[..., places[1], places[0]]
    return np.einsum("qk,cnkq->cnq", waves, partial).real
