"""Derivatives by forward mode, carried as jets.

A **jet** is the value of a function with some of its derivatives, as a dict from a label to an
array. The label spells the derivative: `""` is the value, `"x"` is u_x, `"xx"` is u_xx, `"xt"` is
u_xt. The letters x, y, z name the first, second and third column of the points, t the last.
`LAPLACIAN` is Δu over all the columns.

For an operator u(a)(y) = Σ_p B_p(a) T_p(y) only the trunk T is differentiated (`jet`), and one
matrix product per derivative carries it to every function. A pointwise map of such sums (a lift,
a nonlinear decoder) is differentiated by `push`, which needs no derivative of the network.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Jet = dict[str, Array]

LAPLACIAN = "Δ"

_AXES = {"x": 0, "y": 1, "z": 2, "t": -1}


def closure(labels: Iterable[str]) -> tuple[str, ...]:
    """The labels with the value and every derivative that they imply, shortest first.

    `closure(["xx"])` is `("", "x", "xx")`.
    """
    found = {""} | {
        "".join(part)
        for label in labels
        for order in range(len(label) + 1)
        for part in itertools.combinations(sorted(label), order)
    }
    return tuple(sorted(found, key=lambda label: (len(label), label)))


def jet(f: Callable[[Array], Array], x: Array, labels: Iterable[str]) -> Jet:
    """Value and derivatives of `f` at `x`, by nested forward mode.

    Args:
      f: maps points (..., d) to values; row i of the output depends on row i of the input alone.
      x: points (..., d). A single point (d,) may also feed any number of outputs.
      labels: the derivatives asked for; the result holds their closure.

    Returns:
      label → array of the shape of `f(x)`.
    """
    wanted = closure(labels)
    if LAPLACIAN in wanted:
        rest = [label for label in wanted if label != LAPLACIAN]
        return jet(f, x, rest) | {LAPLACIAN: laplacian(f, x)}
    letters = sorted({label[0] for label in wanted if label})
    if not letters:
        return {"": f(x)}
    out: Jet = {}
    for letter in letters:
        rest = [label[1:] for label in wanted if label.startswith(letter)]
        tangent = jnp.zeros_like(x).at[..., _AXES[letter]].set(1)
        values, slopes = jax.jvp(lambda y, rest=rest: jet(f, y, rest), (x,), (tangent,))
        out |= values | {letter + label: slope for label, slope in slopes.items()}
    return {label: out[label] for label in wanted}


def laplacian(f: Callable[[Array], Array], x: Array) -> Array:
    """Δf at x: the sum of the second derivatives along the axes, one axis after the other.

    The sum keeps one axis in memory at a time, and reverse mode computes each anew, which is three
    times as fast as all of them side by side in d = 20 (`benchmarks/laplacian.py`).

    Args:
      f: as in `jet`.
      x: points (..., d).
    """

    def add(total: Array, axis: Array) -> tuple[Array, None]:
        along = jnp.broadcast_to(axis, x.shape)

        def slope(y: Array) -> Array:
            return jax.jvp(f, (y,), (along,))[1]

        return total + jax.jvp(slope, (x,), (along,))[1], None

    axes = jnp.eye(x.shape[-1], dtype=x.dtype).reshape(-1, *(1,) * (x.ndim - 1), x.shape[-1])
    start = jax.eval_shape(f, x)
    step = jax.checkpoint(add, prevent_cse=False)
    return jax.lax.scan(step, jnp.zeros(start.shape, start.dtype), axes)[0]


def push(
    f: Callable[..., Array], jets: tuple[Mapping[str, Array], ...], x: Array, labels: Iterable[str]
) -> Jet:
    """The jet of x ↦ f(F_1(x), …, F_r(x), x) from the jets of the F_i, by the chain rule.

    Each F_i is replaced by its Taylor polynomial about the point, which has the same derivatives
    there, and forward mode runs over the displacement h alone.

    Args:
      f: a pointwise map of arrays (…, q) and of the points (q, d).
      jets: the jets of F_1 … F_r, each holding the closure of `labels`.
      x: points (q, d).
      labels: the derivatives asked for, but not Δ; the result holds their closure.
    """

    def displaced(h: Array) -> Array:
        return f(*(_taylor(j, h) for j in jets), x + h[None, :])

    return jet(displaced, jnp.zeros(x.shape[-1], x.dtype), labels)


def partials(f: Callable[[Jet], Array], jet: Jet) -> Jet:
    """∂f/∂(each entry of the jet), label → array, for an f that is pointwise in the jet."""
    out = {}
    for label in jet:
        tangent = {k: jnp.full_like(v, float(k == label)) for k, v in jet.items()}
        out[label] = jax.jvp(f, (jet,), (tangent,))[1]
    return out


def rescale(jet: Mapping[str, Array], scale: np.ndarray) -> Jet:
    """The jet in x from the jet in y = scale · x + constant, `scale` (d,), but not Δ."""
    return {
        label: value * math.prod(float(scale[_AXES[c]]) for c in label)
        for label, value in jet.items()
    }


def mirror(letter: str, dim: int) -> np.ndarray:
    """Signs (d,) of the axes under the reflection of one: −1 at the letter's axis, 1 elsewhere."""
    signs = np.ones(dim)
    signs[_AXES[letter]] = -1
    return signs


def _taylor(jet: Mapping[str, Array], h: Array) -> Array:
    """Σ_label jet[label] h^label / label!, the polynomial with the jet's derivatives at h = 0."""
    total = jet[""]
    for label, value in jet.items():
        if label:
            factor = 1 / math.prod(math.factorial(label.count(c)) for c in set(label))
            total = total + value * (factor * math.prod(h[_AXES[c]] for c in label))
    return total
