"""Derivatives by forward mode, carried as jets.

A **jet** is the value of a function with some of its derivatives, as a dict from a label to an
array. The label spells the derivative: `""` is the value, `"x"` is u_x, `"xx"` is u_xx, `"xt"` is
u_xt. The letters x, y, z name the first, second and third column of the points, t the last.
`LAPLACIAN` is Δu over space, `GRADIENT` the first derivatives in space, (d, …): all columns, but
the last where a label beside them names t.

For an operator u(a)(y) = Σ_p B_p(a) T_p(y) only the trunk T is differentiated (`jet`), and one
matrix product per derivative carries it to every function. A pointwise map of such sums (a lift,
a nonlinear decoder) is differentiated by `push`, which needs no derivative of the network.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.errors import UserError

Jet = dict[str, Array]

LAPLACIAN, GRADIENT = "Δ", "∇"

AXES = {"x": 0, "y": 1, "z": 2, "t": -1}


def closure(labels: Iterable[str]) -> tuple[str, ...]:
    """The labels with the value and every derivative that they imply, shortest first.

    `closure(["xx"])` is `("", "x", "xx")`; a label has its letters in the order x, y, z, t.
    """
    found = {""} | {
        "".join(part)
        for label in labels
        for order in range(len(label) + 1)
        for part in itertools.combinations(spelling(label), order)
    }
    return tuple(sorted(found, key=lambda label: (len(label), label)))


def spelling(label: str) -> str:
    """The letters of a derivative in the order x, y, z, t, as labels have them."""
    return "".join(sorted(label, key="xyzt".find))


def spelled(labels: Iterable[str]) -> tuple[str, ...]:
    """The closure of the labels that letters spell, without Δ and ∇."""
    return closure(label for label in labels if label not in (LAPLACIAN, GRADIENT))


def for_chain_rule(labels: Iterable[str]) -> tuple[str, ...]:
    """What a function's jet must hold for that of a map of it: the closure, and ∇ beside Δ."""
    wanted = closure(labels)
    return closure((*wanted, GRADIENT)) if LAPLACIAN in wanted else wanted


def in_space(labels: Iterable[str], dim: int) -> int:
    """How many of `dim` columns of the points ∇ and Δ are over."""
    return dim - any("t" in label for label in labels)


def jet(f: Callable[[Array], Array], x: Array, labels: Iterable[str]) -> Jet:
    """Value and derivatives of `f` at `x`, by nested forward mode.

    Args:
      f: maps points (..., d) to values; row i of the output depends on row i of the input alone.
      x: points (..., d). A single point (d,) may also feed any number of outputs.
      labels: the derivatives asked for; the result holds their closure.

    Returns:
      label → array of the shape of `f(x)`; ∇ has the axes before it, (d, …).
    """
    wanted, rest = closure(labels), spelled(labels)
    if rest != wanted:
        over_axes = {GRADIENT: gradient, LAPLACIAN: laplacian}
        space = in_space(wanted, x.shape[-1])
        found = {k: of(f, x, space) for k, of in over_axes.items() if k in wanted}
        return jet(f, x, rest) | found
    return _pushed(f, (_places(x, wanted),), wanted)


def gradient(f: Callable[[Array], Array], x: Array, space: int) -> Array:
    """∇f at x (..., d) over its first `space` columns, the axes first: (space, …)."""

    def along(axis: Array) -> Array:
        return jax.jvp(f, (x,), (jnp.broadcast_to(axis, x.shape),))[1]

    return jax.vmap(along)(jnp.eye(space, x.shape[-1], dtype=x.dtype))


def laplacian(f: Callable[[Array], Array], x: Array, space: int | None = None) -> Array:
    """Δf at x: the sum of the second derivatives along its axes, one axis after the other.

    It serves any f. The sum keeps one axis in memory at a time, and reverse mode computes each
    anew, which is three times as fast as all of them side by side in d = 20; where value, gradient
    and Laplacian can pass the layers of a network together (`activate`, `push`), that is faster
    still (`benchmarks/laplacian.py`).

    Args:
      f: as in `jet`.
      x: points (..., d).
      space: how many of the columns are summed over, from the first; all by default.
    """

    def add(total: Array, axis: Array) -> tuple[Array, None]:
        along = jnp.broadcast_to(axis, x.shape)

        def slope(y: Array) -> Array:
            return jax.jvp(f, (y,), (along,))[1]

        return total + jax.jvp(slope, (x,), (along,))[1], None

    axes = jnp.eye(space or x.shape[-1], x.shape[-1], dtype=x.dtype)
    axes = axes.reshape(-1, *(1,) * (x.ndim - 1), x.shape[-1])
    start = jax.eval_shape(f, x)
    step = jax.checkpoint(add, prevent_cse=False)
    return jax.lax.scan(step, jnp.zeros(start.shape, start.dtype), axes)[0]


def push(
    f: Callable[..., Array], jets: tuple[Mapping[str, Array], ...], x: Array, labels: Iterable[str]
) -> Jet:
    """The jet of x ↦ f(F_1(x), …, F_r(x), x) from the jets of the F_i, by the chain rule.

    Forward mode runs over f alone.

    Args:
      f: a pointwise map of arrays (…, q) and of the points (q, d).
      jets: the jets of F_1 … F_r, each holding the closure of `labels`.
      x: points (q, d).
      labels: the derivatives asked for; the result holds their closure. Δ needs ∇ of the F_i.
    """
    names = spelled(labels)
    out = _pushed(f, (*({k: j[k] for k in names} for j in jets), _places(x, names)), names)
    if closure(labels) == names:
        return out

    def along(axis: Array, slopes: tuple[Array, ...]) -> tuple[Array, Array]:
        """First and second derivative of h ↦ f(F + h F_k, x + h e_k)."""
        moved = jnp.broadcast_to(axis, x.shape)

        def slope(h: Array) -> Array:
            at = [j[""] + h * s for j, s in zip(jets, slopes, strict=True)]
            _, change = jax.jvp(f, (*at, x + h * axis[None, :]), (*slopes, moved))
            return change

        return jax.jvp(slope, (jnp.zeros((), x.dtype),), (jnp.ones((), x.dtype),))

    axes = jnp.eye(in_space(names, x.shape[-1]), x.shape[-1], dtype=x.dtype)
    first, second = jax.vmap(along)(axes, tuple(j[GRADIENT] for j in jets))
    if GRADIENT in labels:
        out[GRADIENT] = first
    if LAPLACIAN in labels:
        values = (*(j[""] for j in jets), x)
        curved = (*(j[LAPLACIAN] for j in jets), jnp.zeros_like(x))
        out[LAPLACIAN] = second.sum(axis=0) + jax.jvp(f, values, curved)[1]
    return out


def _pushed(
    f: Callable[..., Array], jets: Sequence[Mapping[str, Array]], names: tuple[str, ...]
) -> Jet:
    """The jet of a pointwise f of functions, for a closure of labels without Δ and ∇.

    As a letter's coordinate moves, each entry of a jet moves by the entry that has this letter
    more. What a jet lacks is zero.
    """
    out = {} if len(names) > 1 else {"": f(*(j[""] for j in jets))}
    for letter in sorted({label[0] for label in names if label}):
        inner = closure(label[1:] for label in names if label.startswith(letter))
        here = [{label: j[label] for label in inner if label in j} for j in jets]
        there = [{k: j[letter + k] for k in inner if letter + k in j} for j in jets]
        moving = [{k: at[k] for k in moves} for at, moves in zip(here, there, strict=True)]

        def moved(some: list[Jet], here: list[Jet] = here, inner: Any = inner) -> Jet:
            return _pushed(f, [at | moves for at, moves in zip(here, some, strict=True)], inner)

        values, slopes = jax.jvp(moved, (moving,), (there,))
        out |= values | {letter + label: slope for label, slope in slopes.items()}
    return {label: out[label] for label in names}


def _places(x: Array, names: Iterable[str]) -> Jet:
    """The jet of x ↦ x: along a letter's axis it moves in that direction, at every point."""
    axes = jnp.asarray(np.eye(x.shape[-1]), x.dtype)
    moved = {name: jnp.broadcast_to(axes[AXES[name]], x.shape) for name in names if name in AXES}
    return {"": x} | moved


def pull(
    jet_there: Mapping[str, Array],
    there: Callable[[Array], Array],
    x: Array,
    labels: Iterable[str],
) -> Jet:
    """The jet of x ↦ F(τ(x)) from that of F at the points τ(x), by the chain rule.

    Args:
      jet_there: of F, at the points τ(x) (q, d), or at one point for all: every derivative up to
        the order of `labels`, where τ may mix the coordinates.
      there: τ, which takes points (q, d) row by row.
      x: points (q, d).
      labels: the derivatives asked for, without Δ and ∇.

    Raises:
      UserError: Δ or ∇ is asked for.
    """
    names, start = spelled(labels), there(x)
    given = {k: jet_there[k] for k in spelled(jet_there)}
    if closure(labels) != names:
        raise UserError(
            "a lift that reads the network elsewhere (`traces`) has no Δ or ∇; let derivatives "
            "name second derivatives, as 'xx' and 'yy'"
        )

    def displaced(h: Array) -> Array:
        return _taylor(given, (there(x + h[None, :]) - start).T)

    return jet(displaced, jnp.zeros(x.shape[-1], x.dtype), names)


def activate(f: Callable[[Array], Array], jet: Jet) -> Jet:
    """The jet of x ↦ f(F(x)) from that of F, for an f of one array: `push`, but quicker for Δ.

    A jet with Δ holds ∇ too.

    ∂_k f(F) = f′(F) F_k and Δ f(F) = f″(F) Σ_k F_k² + f′(F) ΔF.
    """
    out = _pushed(f, (jet,), spelled(jet))
    if GRADIENT in jet:
        first = _slope(f)
        slope = first(jet[""])
        out[GRADIENT] = slope[None] * jet[GRADIENT]
        if LAPLACIAN in jet:
            squared = jnp.sum(jet[GRADIENT] ** 2, axis=0)
            out[LAPLACIAN] = _slope(first)(jet[""]) * squared + slope * jet[LAPLACIAN]
    return out


def _slope(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """f′ of a pointwise f."""
    return lambda z: jax.jvp(f, (z,), (jnp.ones_like(z),))[1]


def partials(f: Callable[[Jet], Array], jet: Jet) -> Jet:
    """∂f/∂(each entry of the jet), label → array, for an f that is pointwise in the jet."""
    out = {}
    for label in jet:
        tangent = {k: jnp.full_like(v, float(k == label)) for k, v in jet.items()}
        out[label] = jax.jvp(f, (jet,), (tangent,))[1]
    return out


def rescale(jet: Mapping[str, Array], scale: np.ndarray) -> Jet:
    """The jet in x from the jet in y = scale · x + constant, `scale` (d,), equal in size for Δ."""

    def factor(label: str, value: Array) -> Any:
        if label == GRADIENT:
            space = jnp.asarray(scale[: len(value)], value.dtype)
            return space.reshape(-1, *(1,) * (value.ndim - 1))
        if label == LAPLACIAN:
            return float(scale[0]) ** 2
        return math.prod(float(scale[AXES[c]]) for c in label)

    return {label: value * factor(label, value) for label, value in jet.items()}


def mirror(letter: str, dim: int) -> np.ndarray:
    """Signs (d,) of the axes under the reflection of one: −1 at the letter's axis, 1 elsewhere."""
    signs = np.ones(dim)
    signs[AXES[letter]] = -1
    return signs


def _taylor(jet: Mapping[str, Array], h: Array) -> Array:
    """Σ_label jet[label] h^label / label!, the polynomial with the jet's derivatives at h = 0.

    h (d, q) is a displacement for each point.
    """
    total = jet[""]
    for label, value in jet.items():
        if label:
            factor = 1 / math.prod(math.factorial(label.count(c)) for c in set(label))
            moved: Any = factor * math.prod(h[AXES[c]] for c in label)
            total = total + value * moved.reshape((1,) * (value.ndim - 1) + moved.shape)
    return total
