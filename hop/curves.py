"""Two derivatives carried as one, along a curve.

An equation in time often reads u_t in one sum with u_xx and nowhere else, as u_t + u u_x − ε u_xx
does. Along the curve h ↦ (x + h, t + κ h²/2) the second derivative of u is u_xx + κ u_t: with
κ = −1/ε it is that sum, but for a factor. So the jet of u along the curve, which is u, u_x and
this, is all that the residual needs, and every layer carries one label less. The same curve serves
Δu, since u_xx is one of its terms, and (x + h, t + κ h³/6) serves u_xxx. Whether a residual allows
it is read off the residual's own program (`curve_of`).
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

from hop.derivatives import AXES, GRADIENT, LAPLACIAN, Jet, in_space

# Primitives by name: those that are affine in what they are given, and those of which numbers that
# are not 0 make none that is, or that is too small for a float at any usual ε.
_LINEAR = {"broadcast_in_dim", "convert_element_type", "copy", "neg", "reshape", "squeeze"}
_AFFINE = _LINEAR | {"add", "add_any", "sub"}
_NOT_ZERO = _LINEAR | {"div", "mul", "rsqrt", "sqrt"}
_HIGHEST = 4  # power of ε, by one `integer_pow`


class Curve(NamedTuple):
    """The curves h ↦ x + h e_i + (κ h^k / k!) e_d, one through each point; without a label, lines.

    A jet along them is of the first d − 1 coordinates alone: the last one follows.

    Attributes:
      label: the derivative along it: the letter of x_i k times, as "xx", or Δ, for i = 1, k = 2.
      letter: of x_d.
      rate: κ, (1, q).
      start: the points (q, d).
    """

    label: str = ""
    letter: str = ""
    rate: Any = None
    start: Any = None

    def labels(self, labels: Iterable[str]) -> tuple[str, ...]:
        """Those of a jet along the curves."""
        return tuple(label for label in labels if label != self.letter or not label)

    def free(self, x: Array) -> Array:
        """The coordinates of the points that a jet along the curves is of."""
        return x[:, :-1] if self.label else x

    def points(self, free: Array) -> Array:
        """The points on the curves whose first coordinates are these."""
        if not self.label:
            return free
        letters = "xx" if self.label == LAPLACIAN else self.label
        h, order = (free - self.start[:, :-1])[:, AXES[letters[0]]], len(letters)
        last = self.start[:, -1] + self.rate[0] * h**order / math.factorial(order)
        return jnp.concatenate([free, last[:, None]], axis=1)

    def on(self, f: Callable[[Array], Array]) -> Callable[[Array], Array]:
        """f on the curves, as a map of their free coordinates."""
        return lambda free: f(self.points(free))

    def along(self, jet: Jet) -> Jet:
        """The jet along the curves from that along the axes."""
        if not self.label:
            return jet
        both = jet[self.label] + self.rate * jet[self.letter]
        return {k: jet[k] for k in self.labels(jet)} | {self.label: both}

    def spelled(self, jet: Jet) -> Jet:
        """A jet along the curves as a residual reads it: all in one derivative, 0 in the other."""
        return jet | {self.letter: jnp.zeros_like(jet[""])} if self.label else jet


LINES = Curve()
_T = TypeVar("_T")


def curve_of(
    equation: Callable[..., Array],
    labels: Sequence[str],
    x: Array,
    a: Mapping[str, Jet],
    lam: Any,
) -> Curve:
    """The curves along which a residual needs one derivative less, or lines if there are none.

    It must be affine in both derivatives, with factors of λ and the place alone. That of the higher
    one must be known not to be 0: a product of powers of ε.

    Args:
      equation: (u, x (q, d), a, λ) → (n, q), pointwise.
      labels: what it reads of u, closed.
      x: points (q, d).
      a: the jets of the inputs there.
      lam: λ, a `hop.problem.Lam`.
    """
    found = _pair(labels, "t" if "t" in labels else "xyz"[x.shape[1] - 1 : x.shape[1]])
    if found is None:
        return LINES
    zero = jnp.zeros((1, len(x)), x.dtype)
    u = dict.fromkeys(labels, zero)
    if GRADIENT in u:
        u[GRADIENT] = jnp.zeros((in_space(labels, x.shape[1]), *zero.shape), x.dtype)
    inputs = jax.tree.map(lambda v: jnp.zeros((*v.shape[:-2], 1, v.shape[-1]), v.dtype), a)

    def residual(read: Jet, rest: Any, place: Any) -> Array:
        (u, a), (x, *lam_) = rest, place
        return equation(u | read, x, a, type(lam)(*lam_))

    def factor(label: str, *given: Any) -> Array:
        """∂H/∂u_D."""
        one = jnp.ones_like(zero)
        return jax.jvp(lambda v: residual({label: v}, *given), (zero,), (one,))[1]

    rest, place = (u, inputs), (x, lam.s, lam.eps)
    of_high, of_low = (functools.partial(factor, label) for label in found)
    try:
        program = jax.make_jaxpr(residual)(dict.fromkeys(found, zero), rest, place)
        high, low = (_kind(jax.make_jaxpr(of)(rest, place)) for of in (of_high, of_low))
    except jax.errors.JAXTypeError:  # it asks for numbers, as in `if`, and is left as it is
        return LINES
    for_each_point = program.out_avals[0].shape in (zero.shape, (1, 1))
    if not (for_each_point and _affine(program) and high.alone and high.not_zero and low.alone):
        return LINES
    label, letter = found
    rate = of_low(rest, place) / of_high(rest, place)
    return Curve(label, letter, jnp.broadcast_to(rate, zero.shape), x)


def _pair(labels: Sequence[str], letter: str) -> tuple[str, str] | None:
    """A derivative along one axis, or Δ, and the first in the last coordinate, if there are both.

    Neither may be a part of a further label, as u_t is of u_xt; of Δ, u_xx is a part.
    """
    spelled = [label for label in labels if label not in (GRADIENT, LAPLACIAN)]

    def last(label: str) -> bool:
        return label in spelled and not any(label in other for other in spelled if other != label)

    if (len(spelled) < len(labels) and letter != "t") or not (letter and last(letter)):
        return None  # ∇ and Δ are over all coordinates but t
    if LAPLACIAN in labels:
        return None if any("xx" in label for label in spelled) else (LAPLACIAN, letter)
    axes = [label for label in spelled if len(label) > 1 and len(set(label)) == 1]
    high = next((label for label in axes if last(label) and letter not in label), None)
    return None if high is None else (high, letter)


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

    def rule(eqn: Any, given: list[Kind]) -> Kind:
        low = eqn.primitive.name == "integer_pow" and abs(eqn.params["y"]) <= _HIGHEST
        kept = low or eqn.primitive.name in _NOT_ZERO
        kept = kept and _is_float(eqn) and all(kind.not_zero for kind in given)
        return Kind(all(kind.alone for kind in given), kept)

    def constant(value: Any) -> Kind:
        known = not isinstance(value, jax.core.Tracer)
        return Kind(True, known and bool(np.all(np.asarray(value) != 0)))

    of_place = [Kind(True, False), Kind(True, False), Kind(True, True)]
    others = len(program.jaxpr.invars) - len(of_place)
    return _follow(program, [Kind(False, False)] * others + of_place, rule, constant)


def _affine(program: ClosedJaxpr) -> bool:
    """Whether a program is affine in its first two arguments together."""

    def rule(eqn: Any, given: list[int]) -> int:
        """The degree in them: 0, 1, or 2 for all else."""
        name = eqn.primitive.name
        if not any(given):
            return 0
        if name == "mul":
            degree = sum(given)
        elif name == "div" and not given[1]:
            degree = given[0]
        else:
            degree = max(given) if name in _AFFINE else 2
        return min(degree, 2) if _is_float(eqn) else 2

    others = len(program.jaxpr.invars) - 2
    return _follow(program, [1, 1] + [0] * others, rule, lambda value: 0) < 2


def _is_float(eqn: Any) -> bool:
    """Whether an equation makes numbers of 32 bits or more: others drop what is small."""
    dtypes = [var.aval.dtype for var in eqn.outvars]
    return all(jnp.issubdtype(d, jnp.floating) and jnp.finfo(d).bits >= 32 for d in dtypes)


def _follow(
    program: ClosedJaxpr,
    inputs: list[_T],
    rule: Callable[[Any, list[_T]], _T],
    constant: Callable[[Any], _T],
) -> _T:
    """What holds of a program's one output, step by step from what holds of its inputs."""

    def through(program: ClosedJaxpr, inputs: list[_T]) -> list[_T]:
        jaxpr = program.jaxpr
        known: dict[Any, _T] = dict(zip(jaxpr.invars, inputs, strict=True))
        known |= zip(jaxpr.constvars, map(constant, program.consts), strict=True)

        def read(var: Any) -> _T:
            return constant(var.val) if isinstance(var, Literal) else known[var]

        for eqn in jaxpr.eqns:
            given, inner = [read(var) for var in eqn.invars], eqn.params.get("jaxpr")
            if eqn.primitive.name in ("jit", "pjit") and isinstance(inner, ClosedJaxpr):
                made = through(inner, given)
            else:
                made = [rule(eqn, given)] * len(eqn.outvars)
            known |= zip(eqn.outvars, made, strict=True)
        return [read(var) for var in jaxpr.outvars]

    (found,) = through(program, inputs)
    return found
