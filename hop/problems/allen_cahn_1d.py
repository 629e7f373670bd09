"""Steady Allen–Cahn on [0, 1], one function without input.

    H(u; ε) = ε² u″ + u − u³ = 0,  u(0) = left, u(1) = right,

by default −1 and 1. An interface of width ε joins the two wells. Where the ends are opposite, u is
odd about ½ and the interface stands there; for left = −2, right = 1.1 it stands at
½ + (ε/2√2) ln 7, up to exponentially small terms. The linearisation's eigenvalue of smallest
modulus is about −96 exp(−√2/ε): at small ε the residual hardly feels a shifted interface.
Source: Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 4.1.
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
from hop.laws import Field
from hop.problem import Condition, Lam
from hop.problems import Dirichlet
from hop.references import chebyshev, double_well
from hop.references.newton import SMALL, Found, Guess

__all__ = ["AllenCahn1D"]


@dataclasses.dataclass(frozen=True)
class AllenCahn1D(Dirichlet):
    """The steady Allen–Cahn equation on an interval.

    Attributes:
      left: u(0).
      right: u(1).
      conditions_by: as in `Dirichlet`; "lift" makes u = left (1 − x) + right x + x(1 − x)·network.
      symmetry: as in `Dirichlet`; "odd" needs left = −right.
    """

    left: float = -1.0
    right: float = 1.0

    domain: ClassVar[Box] = Box((0.0,), (1.0,))
    derivatives: ClassVar[tuple[str, ...]] = ("", "x", "xx")
    weak_derivatives: ClassVar[tuple[str, ...]] = ("", "x")

    def __post_init__(self):
        super().__post_init__()
        if not (math.isfinite(self.left) and math.isfinite(self.right)):
            raise UserError(
                f"problem.left={self.left} and problem.right={self.right} must be finite"
            )
        if self.odd and self.left != -self.right:
            raise UserError(
                f"problem.symmetry='odd' needs opposite ends, not left={self.left:g} and "
                f"right={self.right:g}; use 'none'"
            )

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return lam.eps**2 * u["xx"] + u[""] - u[""] ** 3

    def weak(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Mapping[str, Array]:
        return {"": u[""] - u[""] ** 3, "x": -(lam.eps**2) * u["x"]}

    def energy(self, a: Mapping[str, Any], lam: Lam) -> Mapping[str, Any]:
        return {"": 1.0, "x": lam.eps**2}

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        (x,) = x
        if self.conditions_by == "loss":
            return network
        return self.left * (1 - x) + self.right * x + x * (1 - x) * network

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        if self.conditions_by == "lift":
            return ()
        ends, g = np.array([[0.0], [1.0]]), jnp.array([[self.left, self.right]], float)
        return (Condition((ends,), ("",), lambda u, a, lam: u[0][""] - g),)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        if self.left != -self.right:
            return double_well.solve(float(lam.eps), self.left, self.right)(x[:, 0])[None, :]
        return self.newton(a, lam).checked(lam)(x)

    def newton(
        self,
        a: Mapping[str, Field],
        lam: Lam,
        guess: Guess | None = None,
        small: float = SMALL,
    ) -> Found:
        lam = Lam(0.0, float(lam.eps))
        walk = chebyshev.walk_to(lam) if guess is None else [lam]
        if self.left != -self.right:
            ends, nodes = (self.left, self.right), 32 + math.ceil(8 / lam.eps)
            return chebyshev.newton(self, a, walk, (0.0, 1.0), ends, nodes, (), guess, small)
        # On the half interval, extended oddly: the whole one does not fix the interface's place in
        # float64 for ε ≤ 0.04.
        ends, nodes = (0.0, self.right), 32 + math.ceil(8 / math.sqrt(lam.eps))
        half = chebyshev.newton(self, a, walk, (0.5, 1.0), ends, nodes, (), guess, small)
        return half.read(lambda x: np.sign(x[:, 0] - 0.5), lambda x: 0.5 + np.abs(x - 0.5))
