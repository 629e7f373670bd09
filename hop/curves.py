"""Two derivatives carried as one, along a curve.

An equation in time often reads u_t in one sum with u_xx and nowhere else, as u_t + u u_x − ε u_xx
does. Along the curve h ↦ (x + h, t + κ h²/2) the second derivative of u is u_xx + κ u_t: with
κ = −1/ε it is that sum, but for a factor. So the jet of u along the curve, which is u, u_x and
this, is all that the residual needs, and every layer carries one label less. Whether a residual is
such is read off it (`along`).
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import ClosedJaxpr, Literal

from hop.derivatives import AXES, GRADIENT, LAPLACIAN, Jet

# Primitives by name: what keeps a number that is not 0 so, and what is affine in an argument if the
# others are numbers; a product of two arguments shows in its derivative.
_BOTH = {
    "broadcast_in_dim", "convert_element_type", "copy", "div", "mul", "neg", "reshape", "squeeze",
}  # fmt: skip
_NOT_ZERO = _BOTH | {"integer_pow", "rsqrt", "sqrt"}
_AFFINE = _BOTH | {"add", "add_any", "sub"}


class Curve(NamedTuple):
    """The curves h ↦ x + h e_i + (κ h^k / k!) e_j, one through each point; without a label, lines.

    Attributes:
      label: the derivative along it, the letter of x_i k times, as "xx".
      letter: that of x_j, in which it bends.
      rate: κ, (1, q).
      start: the points (q, d).
    """

    label: str = ""
    letter: str = ""
    rate: Any = None
    start: Any = None

    def labels(self, labels: Iterable[str]) -> tuple[str, ...]:
        """Those of a jet along the curve."""
        return tuple(label for label in labels if not label or label != self.letter)

    def bend(self, points: Array) -> Array:
        """The places on the curves of points that were moved from their starts along x_i."""
        if not self.label:
            return points
        h, order = (points - self.start)[:, AXES[self.label[0]]], len(self.label)
        moved = self.rate[0] * h**order / math.factorial(order)
        axis = np.eye(points.shape[1])[AXES[self.letter]]
        return points + moved[:, None] * jnp.asarray(axis, points.dtype)[None, :]

    def on(self, f: Callable[[Array], Array]) -> Callable[[Array], Array]:
        """The map of points whose jet along the axes is that of f along the curve."""
        return lambda points: f(self.bend(points))

    def along(self, jet: Jet) -> Jet:
        """The jet along the curve from that along the axes."""
        if not self.label:
            return jet
        both = jet[self.label] + self.rate * jet[self.letter]
        return {k: jet[k] for k in self.labels(jet)} | {self.label: both}

    def split(self, jet: Jet) -> Jet:
        """A jet along the axes that the residual cannot tell from the one along the curve."""
        return jet | {self.letter: jnp.zeros_like(jet[""])} if self.label else jet


LINES = Curve()
T = TypeVar("T")


def along(
    equation: Callable[..., Array],
    labels: Sequence[str],
    x: Array,
    a: Mapping[str, Jet],
    lam: Any,
) -> Curve:
    """The curve along which a residual needs one derivative less, or lines if there is none.

    It must be affine in both derivatives, with factors of λ and the place alone, of which that of
    the higher one is never 0: a product of powers of ε and of exponentials.

    Args:
      equation: (u, x (q, d), a, λ) → (n, q), pointwise.
      labels: what it reads of u, closed.
      x: points (q, d).
      a: the jets of the inputs there.
      lam: λ.
    """
    found = _pair(labels)
    if found is None:
        return LINES
    zero = jnp.zeros((1, len(x)), x.dtype)
    u = dict.fromkeys(labels, zero)
    inputs = jax.tree.map(lambda v: jnp.zeros((*v.shape[:-2], 1, v.shape[-1]), v.dtype), a)

    def residual(read: Jet, rest: Any, place: Any) -> Array:
        (u, a), (x, *lam_) = rest, place
        return equation(u | read, x, a, type(lam)(*lam_))

    def factor(label: str, *given: Any) -> Array:
        """∂H/∂u_D."""
        one = jnp.ones_like(zero)
        return jax.jvp(lambda v: residual({label: v}, *given), (zero,), (one,))[1]

    rest, place = (u, inputs), (x, lam.s, lam.eps)
    if not _affine(jax.make_jaxpr(residual)(dict.fromkeys(found, zero), rest, place)):
        return LINES
    of_high, of_low = (functools.partial(factor, label) for label in found)
    high, low = (_kind(jax.make_jaxpr(of)(rest, place)) for of in (of_high, of_low))
    if not (high.alone and high.not_zero and low.alone):
        return LINES
    label, letter = found
    rate = of_low(rest, place) / of_high(rest, place)
    return Curve(label, letter, jnp.broadcast_to(rate, zero.shape), x)


def _pair(labels: Sequence[str]) -> tuple[str, str] | None:
    """A derivative along one axis, and a first derivative, of both of which no other is one."""
    if GRADIENT in labels or LAPLACIAN in labels:
        return None

    def last(label: str) -> bool:
        return not any(
            other != label and all(other.count(c) >= label.count(c) for c in label)
            for other in labels
        )

    ends = [label for label in labels if label and last(label)]
    high = [label for label in ends if len(label) > 1 and len(set(label)) == 1]
    low = [label for label in ends if len(label) == 1]
    return (high[0], low[-1]) if high and low else None


class Kind(NamedTuple):
    """What is known of a number of a program.

    Attributes:
      alone: that it depends on λ and the place alone.
      not_zero: that it is not 0.
    """

    alone: bool
    not_zero: bool


def _kind(program: ClosedJaxpr) -> Kind:
    """Of a program of (rest, (x, s, ε)), which gives one array."""

    def rule(name: str, given: list[Kind]) -> Kind:
        kept = name in _NOT_ZERO and all(kind.not_zero for kind in given)
        return Kind(all(kind.alone for kind in given), kept or name == "exp")

    def constant(value: Any) -> Kind:
        known = not isinstance(value, jax.core.Tracer)
        return Kind(True, known and bool(np.all(np.asarray(value) != 0)))

    of_place = [Kind(True, False), Kind(True, False), Kind(True, True)]
    others = len(program.jaxpr.invars) - len(of_place)
    return _follow(program, [Kind(False, False)] * others + of_place, rule, constant)


def _affine(program: ClosedJaxpr) -> bool:
    """Whether a program is affine in each of its first two arguments, when others are numbers."""

    def rule(name: str, given: list[int]) -> int:
        most = max(given, default=0)
        return most if most != 1 or name in _AFFINE else 2

    others = len(program.jaxpr.invars) - 2
    return _follow(program, [1, 1] + [0] * others, rule, lambda value: 0) < 2


def _follow(
    program: ClosedJaxpr,
    inputs: list[T],
    rule: Callable[[str, list[T]], T],
    constant: Callable[[Any], T],
) -> T:
    """What holds of a program's one output, step by step from what holds of its inputs."""

    def through(program: ClosedJaxpr, inputs: list[T]) -> list[T]:
        jaxpr = program.jaxpr
        known: dict[Any, T] = dict(zip(jaxpr.invars, inputs, strict=True))
        known |= zip(jaxpr.constvars, map(constant, program.consts), strict=True)

        def read(var: Any) -> T:
            return constant(var.val) if isinstance(var, Literal) else known[var]

        for eqn in jaxpr.eqns:
            given, inner = [read(var) for var in eqn.invars], eqn.params.get("jaxpr")
            if eqn.primitive.name in ("jit", "pjit") and isinstance(inner, ClosedJaxpr):
                made = through(inner, given)
            else:
                made = [rule(eqn.primitive.name, given)] * len(eqn.outvars)
            known |= zip(eqn.outvars, made, strict=True)
        return [read(var) for var in jaxpr.outvars]

    (found,) = through(program, inputs)
    return found
