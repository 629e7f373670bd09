"""Burgers' equation on a circle, u_t + u u_x = ε u_xx, by the formula of Cole and Hopf.

With φ₀′ = u₀ and G(y) = φ₀(y) + (x − y)²/2t,

    u(x, t) = ∫ (x − y)/t e^{−G/2ε} dy / ∫ e^{−G/2ε} dy.

G″ ≤ max u₀′ + 1/t, so e^{−G/2ε} is nowhere narrower than σ = √(2ε/(max u₀′ + 1/t)). The integrals
are sums over nodes that are σ/2 apart or less, and two or more to the shortest wave of u₀, with
|x − y| ≤ t max |u₀| + 9√(2εt): beyond, e^{−G/2ε} is less than e^{−40} of its largest. As ε falls
their number grows like ε^{−1/2}; the modes and steps of a march grow like 1/ε.
Source: Cole, *Quart. Appl. Math.* 9 (1951) 225; Hopf, *Comm. Pure Appl. Math.* 3 (1950) 201.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop import ambient
from hop.laws.spectral import Series

_STEP, _TAIL = 0.5, 9.0  # the nodes' distance and the reach, in standard deviations
_FINEST = 2**18  # nodes on the circle
_ROUND = 64  # nodes of an integral come in multiples of it, so that few programs are compiled
_AT_ONCE = 64  # points


def solve(
    u0: Series, x: Float[np.ndarray, " q"], t: Float[np.ndarray, " q"], eps: float
) -> Float[np.ndarray, "n q"]:
    """u at the points (x, t), t ≥ 0, for n functions u₀ on a circle, of any mean."""
    with ambient.on_cpu():
        x, t = np.asarray(x, np.float64), np.asarray(t, np.float64)
        u0 = dataclasses.replace(u0, coefficients=np.asarray(u0.coefficients, np.float64))
        lower, length = u0.basis.domain.lower[0], u0.basis.lengths[0]
        steep = float(jnp.abs(u0(jnp.asarray(lower + length * np.arange(4096) / 4096), 1)).max())
        sigma = np.sqrt(2 * eps * t / (1 + steep * t))
        step = np.minimum(_STEP * sigma, length / (2 * u0.basis.modes[0]))
        # Where the finest grid is too coarse, t is so small that its square is nothing.
        late = step * _FINEST >= length
        found = np.empty((u0.count, len(x)))
        found[:, ~late] = _at_first(u0, x[~late], t[~late], eps)
        if late.any():
            found[:, late] = _integrals(u0, x[late], t[late], eps, step[late])
        return found


def _at_first(u0: Series, x: np.ndarray, t: np.ndarray, eps: float) -> np.ndarray:
    """u₀ + t u_t, as it is for very small t."""
    value, slope, bend = (np.asarray(u0(jnp.asarray(x), order)) for order in range(3))
    return value + t * (eps * bend - value * slope)


def _integrals(
    u0: Series, x: np.ndarray, t: np.ndarray, eps: float, step: np.ndarray
) -> np.ndarray:
    """u by the integrals, with nodes so far apart at each point, or less.

    They are nodes of one grid of the circle, on which φ₀ is known, each so many of its steps apart.
    """
    lower, length = u0.basis.domain.lower[0], u0.basis.lengths[0]
    nodes = 2 ** math.ceil(math.log2(length / step.min()))
    h = length / nodes
    values = np.asarray(u0(jnp.asarray(lower + h * np.arange(nodes))))
    mean = values.mean(axis=1)
    omega = 2 * np.pi * np.fft.rfftfreq(nodes, h)
    omega[0] = 1.0  # of the mean, which is taken off
    phi = np.fft.irfft(np.fft.rfft(values - mean[:, None]) / (1j * omega), nodes)
    stride = np.floor(step / h).astype(int)
    reach = t * np.abs(values).max() + _TAIL * np.sqrt(2 * eps * t)
    count = _ROUND * math.ceil((reach / (stride * h)).max() / _ROUND)
    points = (x - lower, t, stride)
    return np.asarray(_means(phi, mean, *map(jnp.asarray, points), h, eps, count))


@functools.partial(jax.jit, static_argnames="count")
def _means(
    phi: Array, mean: Array, x: Array, t: Array, stride: Array, h: Any, eps: Any, count: int
) -> Float[Array, "n q"]:
    """The quotient for every function and point, from the 2 · count + 1 nodes about the point."""
    nodes = phi.shape[1]

    def of(given: tuple[Array, Array]) -> Array:
        phi, mean = given

        def at(point: tuple[Array, Array, Array]) -> Array:
            x, t, stride = point
            j = jnp.round(x / h).astype(int) + jnp.arange(-count, count + 1) * stride
            back = x - j.astype(float) * h
            exponent = -(phi[j % nodes] - mean * back + back**2 / (2 * t)) / (2 * eps)
            weight = jnp.exp(exponent - exponent.max())
            return (weight * back).sum() / (t * weight.sum())

        return jax.lax.map(at, (x, t, stride), batch_size=_AT_ONCE)

    return jax.lax.map(of, (phi, mean))
