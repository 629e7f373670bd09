"""Steady viscous Burgers with a source, the operator u₀ ↦ u.

    H(u; s, ε) = (1 − s) [(u²/2)_x − ε u_xx − f] + s (u − u₀) = 0  on [0, 1],
    f = π sin(πx) cos(πx),  u(0) = u(1) = 0.

At s = 1 the solution is u₀ itself; u(s) is one implicit Euler step of size (1 − s)/s from u₀ along
u_t + (u²/2)_x = ε u_xx + f; at s = 0 it is the steady state, which for ε > 0 is unique: there the
operator is constant in u₀. Source: Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 4.4.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.derivatives import Jet
from hop.domain import Box
from hop.errors import UserError
from hop.laws import Field, Law, how_many
from hop.laws.named import NAMED
from hop.problem import Condition, Lam
from hop.problems import Dirichlet
from hop.references import chebyshev
from hop.references.newton import SMALL, Found, Guess

__all__ = ["BurgersSteady"]


@dataclasses.dataclass(frozen=True)
class BurgersSteady(Dirichlet):
    """The steady Burgers equation with a source.

    Attributes:
      field: the law of u₀, "paper" or "unit"; or "none" for the one function u₀ = 0, whose
        solution at s = 0 is that of all.
      conditions_by: as in `Dirichlet`; "lift" multiplies the network by x(1 − x).
      symmetry: as in `Dirichlet`. Only the solution at s = 0 is odd: use "odd" there, or on a path
        whose other places are mere starting points.
    """

    field: str = "paper"

    domain: ClassVar[Box] = Box((0.0,), (1.0,))
    derivatives: ClassVar[tuple[str, ...]] = ("", "x", "xx")
    weak_derivatives: ClassVar[tuple[str, ...]] = ("", "x")

    def __post_init__(self):
        super().__post_init__()
        laws = {"none": "zero", **{name: law.ends for name, law in NAMED.items()}}
        if laws.get(self.field) != "zero":
            raise UserError(
                f"problem.field={self.field!r} does not vanish at x = 0 and 1, as "
                "steady Burgers needs; use 'paper', 'unit' or 'none'"
            )

    @property
    def inputs(self) -> Mapping[str, Law]:
        return {} if self.field == "none" else {"u0": NAMED[self.field]}

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        (x,) = x
        steady = u[""] * u["x"] - lam.eps * u["xx"] - _source(x)
        return (1 - lam.s) * steady + lam.s * _less(u[""], a)

    def weak(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Mapping[str, Array]:
        (x,) = x
        flux = lam.eps * u["x"] - u[""] ** 2 / 2
        value = lam.s * _less(u[""], a) - (1 - lam.s) * _source(x)
        return {"": value, "x": (1 - lam.s) * flux}

    def energy(self, a: Mapping[str, Any], lam: Lam) -> Mapping[str, Any]:
        return {"": 1.0, "x": lam.eps}

    def initial(self, x: Array, a: Mapping[str, Array]) -> Array:
        return a["u0"] if a else jnp.zeros_like(x[0])

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        (x,) = x
        return x * (1 - x) * network if self.conditions_by == "lift" else network

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        if self.conditions_by == "lift":
            return ()
        return (Condition((np.array([[0.0], [1.0]]),), ("",), lambda u, a, lam: u[0][""]),)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        count = how_many(a)
        if a and lam.s == 0:  # one solve serves every function
            law = self.inputs["u0"]
            a = {"u0": law.field(np.zeros((1, law.size)))}
        values = self.newton(a, lam).checked(lam)(x)
        return np.broadcast_to(values, (count, len(x)))

    def newton(
        self,
        a: Mapping[str, Field],
        lam: Lam,
        guess: Guess | None = None,
        small: float = SMALL,
    ) -> Found:
        lam = Lam(float(lam.s), float(lam.eps))
        walk, ends = chebyshev.walk_to(lam) if guess is None else [lam], (0.0, 0.0)
        if lam.s > 0:
            # 144 nodes resolve the 64 modes of u₀, 6/ε the shock.
            nodes = max(144, 32 + math.ceil(6 / lam.eps))
            return chebyshev.newton(self, a, walk, (0.0, 1.0), ends, nodes, (), guess, small)
        # At s = 0 the solution is unique and the equation odd about ½, so u is odd. The half
        # interval fixes the shock's place, which the whole one does not in float64 for ε ≤ 0.02,
        # and puts the shock where the nodes are dense.
        nodes = 32 + math.ceil(6 / math.sqrt(lam.eps))
        half = chebyshev.newton(self, a, walk, (0.0, 0.5), ends, nodes, (), guess, small)
        return half.read(lambda x: np.sign(0.5 - x[:, 0]), lambda x: np.minimum(x, 1 - x))


def _less(u: Array, a: Mapping[str, Jet]) -> Array:
    """u − u₀."""
    return u - a["u0"][""] if a else u


def _source(x: Array) -> Array:
    """f."""
    return (math.pi / 2) * jnp.sin(2 * math.pi * x)
