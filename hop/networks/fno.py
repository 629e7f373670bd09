"""A Fourier neural operator that is read at any point, for boxes with periodic coordinates.

    u(a)(x, s) = D(F_1, …, F_J, a(x), s),  F_j(a)(x, s) = Σ_q W_jq(s) Z_q(a)(x),
    Z_q(a)(x) = Re Σ_k c_qk(a) e^{ik·x},

x the periodic coordinates and s the others, as t; D and W multilayer perceptrons. The coefficients
c are those of Fourier layers over the sensor values of all inputs, their channels,

    v ← σ(v A + (S ∗ v) B + b),

S a circular convolution for each channel, given by its Fourier coefficients (Li et al., *Fourier
neural operator*, ICLR 2021, arXiv 2010.08895, where S mixes the channels as well; here A and B do).
The last layer, without σ and A, gives Z. No part depends on the place but by a(x) and e^{ik·x}: a
shift of the inputs shifts u. What depends on x is known in closed form, so derivatives are exact,
and one matrix product each carries them to all functions.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.derivatives import GRADIENT, LAPLACIAN, Jet, closure, in_space, jet, spelled
from hop.domain import Box
from hop.errors import UserError
from hop.laws import Law
from hop.laws.spectral import grid_axes, kept
from hop.networks import (
    ACTIVATIONS,
    ByPerceptron,
    Embedding,
    Labels,
    Params,
    Perceptron,
    Values,
    check_architecture,
    dense,
    hidden,
    identity,
)

__all__ = ["FNO"]

_Grid = tuple[tuple[int, int], ...]
_FINER = 3  # points of the layers' grid for each harmonic, at least: σ makes higher ones


@dataclasses.dataclass(frozen=True)
class FNO(ByPerceptron):
    """A Fourier neural operator that is read at any point.

    The wave numbers k go up to `config.ansatz.harmonics` along each periodic coordinate.

    The layers work on every p-th sensor, with p as large as `harmonics` allows. Shifts by such a
    step are exact; others are up to what the layers' grid does not resolve.

    Attributes:
      width: the number of channels of v.
      layers: how many Fourier layers have the activation.
      trunk: hidden widths of W.
      rank: the number of functions Z_q.
      channels: the number J of features, which all outputs share.
      decoder: hidden widths of D.
      activation: between the layers, σ too.
    """

    width: int = 32
    layers: int = 3
    trunk: tuple[int, ...] = (64, 64)
    rank: int = 24
    channels: int = 24
    decoder: tuple[int, ...] = (32, 32)
    activation: str = "swish"

    letters: ClassVar[str] = ""  # of the periodic coordinates, once the network has a place
    # Of each input the sensors along these, the first one last, and how many of them differ, as the
    # ends of an axis are one; () of a number.
    grids: ClassVar[tuple[tuple[str, _Grid], ...]] = ()

    def __post_init__(self):
        numbers = {name: (getattr(self, name),) for name in ("width", "layers", "rank", "channels")}
        widths = {"trunk": self.trunk, "decoder": self.decoder, **numbers}
        check_architecture(widths, self.activation)

    def on(self, domain: Box, laws: Mapping[str, Law]) -> "FNO":
        """The network for inputs of these laws, in a box that is periodic.

        Raises:
          UserError: it is not, or an input is not given on a grid of it.
        """
        if not domain.circles:
            raise UserError(
                "network 'fno' needs a box with periodic coordinates, and this one has none; use "
                "network.name=nonlinear_deeponet"
            )
        grids = tuple((name, _grid(name, laws[name], domain)) for name in sorted(laws))
        if not any(grid for _, grid in grids):
            raise UserError(
                "network 'fno' needs an input function, and this problem has none; use another"
            )
        letters = "".join("xyz"[axis] for axis in domain.circles)
        return _Placed(**dataclasses.asdict(self), letters=letters, grids=grids)

    def _trunk(self) -> Perceptron:
        return Perceptron((*self.trunk, self.channels * self.rank), self.activation)

    def _decoder(self, outputs: int) -> Perceptron:
        return Perceptron((*self.decoder, outputs), self.activation)

    def init(
        self,
        key: Array,
        dim: int,
        sensors: Mapping[str, int],
        outputs: int = 1,
        plain: int | None = None,
        shown: int | None = None,
    ) -> Params:
        if not self.grids:
            raise UserError(
                "network 'fno' must know the box and the sensors of the inputs, and here it is "
                "not told; use network.name=nonlinear_deeponet"
            )
        axes, rest = len(self.letters), dim if plain is None else plain
        harmonics = (dim - rest) // (2 * axes)
        for name, grid in self.grids:
            fewest = min((count for _, count in grid), default=math.inf)
            if fewest <= 2 * harmonics:
                raise UserError(
                    f"config.ansatz.harmonics={harmonics} is too many for {name!r}, which has "
                    f"{fewest} sensors along an axis; use at most {(fewest - 1) // 2}"
                )
        keys = iter(jax.random.split(key, 3 * self.layers + 5))

        def matrix(rows: int, columns: int) -> Array:
            return nn.initializers.xavier_normal()(next(keys), (rows, columns), float)

        def filtered(columns: int) -> Params:
            waves = _local(next(keys), self.width, harmonics, axes)
            return {"waves": waves, "mix": matrix(self.width, columns)}

        def layer() -> Params:
            beside = {"skip": matrix(self.width, self.width), "bias": jnp.zeros(self.width)}
            return filtered(self.width) | beside

        inputs = len(sensors) if shown is None else shown
        seen = jnp.zeros((1, self.channels + inputs + rest))
        return {
            "lift": matrix(len(sensors), self.width),
            "layers": [layer() for _ in range(self.layers)],
            "head": filtered(self.rank),
            "trunk": self._trunk().init(next(keys), jnp.zeros((1, rest)))["params"],
            "decoder": self._decoder(outputs).init(next(keys), seen)["params"],
            "bias": jnp.zeros(() if outputs == 1 else (outputs,)),
        }

    def features(
        self,
        params: Params,
        values: Values,
        y: Array,
        labels: Labels,
        embed: Embedding | None = None,
    ) -> Jet:
        wanted = closure(labels)
        space = "xyz"[: in_space(wanted, y.shape[1])]
        terms = {label: self._terms(label, space) for label in wanted}
        every = [pair for pairs in terms.values() for pair in pairs]
        embed = embed or identity
        z = self._functions(params, values, embed, y, [part for part, _ in every])
        w = self._weights(params, embed, y, [part for _, part in every])

        def feature(label: str) -> Array:
            found = [jnp.einsum("ijr,inr->jni", w[b], z[a]) for a, b in terms[label]]
            return jnp.stack(found) if label == GRADIENT else sum(found[1:], found[0])

        return {label: feature(label) for label in wanted}

    def _terms(self, label: str, space: str) -> list[tuple[str, str]]:
        """A derivative of Σ W Z as a sum of products: for each the derivatives of Z and of W."""

        def pair(letters: str) -> tuple[str, str]:
            inside = [letter in self.letters for letter in letters]
            chosen = zip(letters, inside, strict=True)
            parts: tuple[list[str], list[str]] = ([], [])
            for letter, periodic in chosen:
                parts[not periodic].append(letter)
            return "".join(parts[0]), "".join(parts[1])

        if label == GRADIENT:
            return [pair(letter) for letter in space]
        if label == LAPLACIAN:  # of Z as one
            return [(LAPLACIAN, ""), *(("", 2 * c) for c in space if c not in self.letters)]
        return [pair(label)]

    def _functions(
        self, params: Params, values: Values, embed: Embedding, y: Array, parts: Labels
    ) -> Jet:
        """The derivatives of Z at the points, label → (q, n, rank), Δ over the periodic ones."""
        names, size = tuple(dict.fromkeys(parts)), self._harmonics(params)
        twice = [2 * letter for letter in self.letters] if LAPLACIAN in names else []
        spelling = spelled([*names, *twice])
        seen = jet(lambda at: embed(at)[:, : 2 * size * len(self.letters)], y, spelling)
        along = {
            (letter, label.count(letter)): _waves(seen[label], axis, size, not label)
            for label in spelling
            for axis, letter in enumerate(self.letters)
            if set(label) <= {letter}
        }

        def wave(label: str) -> Array:
            """∂^label e^{ik·x} (q, K)."""
            if label == LAPLACIAN:
                parts = [wave(each) for each in twice]
                return sum(parts[1:], parts[0])
            factors = [along[letter, label.count(letter)] for letter in reversed(self.letters)]
            factors[-1] = factors[-1][:, size:]

            def times(made: Array, factor: Array) -> Array:
                return (made[:, :, None] * factor[:, None, :]).reshape(len(y), -1)

            return functools.reduce(times, factors)

        waves = jnp.stack([wave(name) for name in names])
        c = self._coefficients(params, values)
        c = jax.lax.collapse(c, 2)
        # Re Σ c e^{ik·x}, all derivatives in one product.
        pairs = jnp.concatenate([c.real, -c.imag], axis=-1).reshape(-1, 2 * waves.shape[-1])
        read = jnp.concatenate([waves.real, waves.imag], axis=-1)
        found = read.reshape(-1, read.shape[-1]) @ pairs.T
        return dict(zip(names, found.reshape(len(names), len(y), *c.shape[:2]), strict=True))

    def _weights(self, params: Params, embed: Embedding, y: Array, parts: Labels) -> Jet:
        """W and its derivatives at the points, label → (q, channels, rank)."""
        skipped = 2 * self._harmonics(params) * len(self.letters)
        module, trunk = self._trunk(), params["trunk"]
        h = hidden(module, trunk, lambda at: embed(at)[:, skipped:], y, spelled(parts))
        made = dense(trunk[f"Dense_{len(self.trunk)}"], h)
        shape = (len(y), self.channels, self.rank)
        return {label: value.reshape(shape) for label, value in made.items()}

    def _harmonics(self, params: Params) -> int:
        return params["head"]["waves"].shape[-1] - 1

    def _coefficients(self, params: Params, values: Values) -> Array:
        """c(a) (n, rank, …) of the wave numbers −K … K, and 0 … K of the last axis."""
        size, act = self._harmonics(params), ACTIVATIONS[self.activation]
        first = next(grid for _, grid in self.grids if grid)
        counts = tuple(_divisor(count, _FINER * size) for _, count in first)
        given = [_on_grid(jnp.asarray(values[k]), grid, counts, size) for k, grid in self.grids]
        v = _mix(params["lift"], jnp.stack(given, axis=1))
        for layer in params["layers"]:
            bias = layer["bias"].reshape(1, -1, *(1,) * len(counts))
            v = act(_values(_filter(layer, v, size), counts) + _mix(layer["skip"], v) + bias)
        return _filter(params["head"], v, size)


@dataclasses.dataclass(frozen=True)
class _Placed(FNO):
    """A Fourier neural operator that knows the sensors of its inputs."""

    letters: str = ""  # type: ignore[misc]
    grids: tuple[tuple[str, _Grid], ...] = ()  # type: ignore[misc]


def _grid(name: str, law: Law, domain: Box) -> _Grid:
    """The sensors of an input along each periodic coordinate, the first one last."""
    if law.domain is None and law.width == 1:
        return ()
    letters = "".join("xyz"[axis] for axis in domain.circles)
    axes = None if law.domain is None or law.letters != letters else grid_axes(law.sensors)
    grid = []
    for axis, places in zip(domain.circles, axes or (), strict=axes is not None):
        low, length = domain.lower[axis], domain.upper[axis] - domain.lower[axis]
        places = np.unique(places)
        turn = (places - low) / length
        distinct = turn[turn < 1 - 1e-9]
        if np.allclose(distinct, np.arange(len(distinct)) / len(distinct), rtol=0, atol=1e-6):
            grid.append((len(turn), len(distinct)))
    if len(grid) != len(domain.circles):
        raise UserError(
            f"network 'fno' needs the sensors of {name!r} on an equally spaced grid of "
            f"{', '.join(letters)} that starts at the lower end; give sensors as counts"
        )
    return tuple(reversed(grid))


def _local(key: Array, width: int, size: int, axes: int) -> Array:
    """Convolutions at the start, (2, width, …), of size 1: a function and its slope, smoothed.

    S_k = e^{−r²|k|²/2K²} (g₀ + i √3 g·k/K) / (1 + d)^½ with normal g and r in [0, 2] for each
    channel. Products of such are what an equation is made of; of noise they are learned slowly.
    """
    along = np.arange(-size, size + 1) / size
    k = np.stack(np.meshgrid(*[along] * (axes - 1), along[size:], indexing="ij"))
    squares = jnp.asarray((k**2).sum(axis=0), float)[None]
    of_g, of_r = jax.random.split(key)
    g = jax.random.normal(of_g, (1 + axes, width), float) / math.sqrt(1 + axes)
    r = jax.random.uniform(of_r, (width, *(1,) * axes), float, 0, 2)
    slope = math.sqrt(3) * jnp.einsum("aw,a...->w...", g[1:], jnp.asarray(k, float))
    value = g[0].reshape(r.shape) + jnp.zeros_like(slope)
    return jnp.exp(-(r**2) * squares / 2)[None] * jnp.stack([value, slope])


def _divisor(count: int, least: int) -> int:
    """The smallest divisor of a number that is `least` or more; itself where that is none."""
    return next((n for n in range(min(least, count), count) if count % n == 0), count)


def _on_grid(values: Array, grid: _Grid, counts: tuple[int, ...], size: int) -> Array:
    """An input (n, m) on another grid, (n, …), without the waves beyond K = `size`."""
    n = len(values)
    if not grid:
        return jnp.broadcast_to(values.reshape(n, *(1,) * len(counts)), (n, *counts))
    v = values.reshape(n, 1, *(full for full, _ in grid))
    for axis, (_, count) in enumerate(grid):
        v = jax.lax.slice_in_dim(v, 0, count, axis=2 + axis)
    return _values(_spectrum(v, size), counts)[:, 0]


def _mix(matrix: Array, v: Array) -> Array:
    """The channels (n, w, …) → (n, w′, …)."""
    return jnp.einsum("wv,nw...->nv...", matrix, v)


def _filter(layer: Params, v: Array, size: int) -> Array:
    """Channels (n, w, …) → the Fourier coefficients of (S ∗ v) B."""
    c = _spectrum(v, size) * jax.lax.complex(*layer["waves"])[None]
    return jax.lax.complex(_mix(layer["mix"], c.real), _mix(layer["mix"], c.imag))


def _spectrum(v: Array, size: int) -> Array:
    """The c of v = Re Σ_k c_k e^{ik·x}, (n, w, …), from values on a grid.

    By matrices: for few waves they are quicker than the fast transform, on every device.
    """
    for axis in range(v.ndim - 2):
        count, k = v.shape[-1], np.arange(-size if axis else 0, size + 1)
        table = np.exp(-2j * np.pi * np.outer(np.arange(count), k) / count) / count
        table[:, k > 0] *= 1 if axis else 2
        real, imag = (jnp.asarray(part, v.real.dtype) for part in (table.real, table.imag))
        made = v @ jax.lax.complex(real, imag) if axis else jax.lax.complex(v @ real, v @ imag)
        v = jnp.moveaxis(made, -1, 2)  # the next axis is then the last
    return v


def _values(c: Array, counts: tuple[int, ...]) -> Array:
    """v = Re Σ_k c_k e^{ik·x} on a grid, (n, w, …)."""
    size = c.shape[-1] - 1
    for axis, count in enumerate(counts, 1):
        last = axis == len(counts)
        k = np.arange(0 if last else -size, size + 1)
        table = np.exp(2j * np.pi * np.outer(k, np.arange(count)) / count)
        real, imag = (jnp.asarray(part, c.real.dtype) for part in (table.real, table.imag))
        c = jnp.moveaxis(c, 2, -1)
        c = c.real @ real - c.imag @ imag if last else c @ jax.lax.complex(real, imag)
    return c


def _waves(seen: Array, axis: int, size: int, constant: bool) -> Array:
    """e^{iθk} (q, 2K + 1), k = −K … K, of one coordinate, or a derivative, from what layers see.

    They see cos πmy and sin πmy of y in [−1, 1], and sensors begin at y = −1: e^{iθ} = −e^{iπy}.
    """
    signs = jnp.asarray((-1.0) ** np.arange(1, size + 1), seen.dtype)[None, :]
    cosines, sines = jnp.split(seen[:, 2 * size * axis : 2 * size * (axis + 1)], 2, axis=1)
    waves = jax.lax.complex(kept(signs * cosines), kept(signs * sines))
    middle = jnp.full_like(waves[:, :1], float(constant))
    return jnp.concatenate([jnp.conj(waves[:, ::-1]), middle, waves], axis=1)
