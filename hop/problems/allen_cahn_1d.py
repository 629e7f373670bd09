"""Steady Allen–Cahn on [0, 1], one function without input.

    H(u; ε) = ε² u″ + u − u³ = 0,  u(0) = −1, u(1) = 1.

The solution is odd about ½, with an interface of width ε there. The linearisation's eigenvalue of
smallest modulus is about −96 exp(−√2/ε): at small ε the residual hardly feels a shifted interface.
Source: Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 4.1.
"""

import dataclasses
import math
from typing import ClassVar

import numpy as np
from jax import Array

from hop.derivatives import Jet
from hop.domain import Box
from hop.errors import UserError
from hop.problems import Condition, Lam
from hop.references import chebyshev

__all__ = ["AllenCahn1D"]


@dataclasses.dataclass(frozen=True)
class AllenCahn1D:
    """Options of the problem.

    Attributes:
      conditions_by: "lift" makes u = 2x − 1 + x(1 − x)·network; "loss" adds the boundary values to
        the loss instead.
    """

    conditions_by: str = "lift"

    domain: ClassVar[Box] = Box((0.0,), (1.0,))
    labels: ClassVar[tuple[str, ...]] = ("", "x", "xx")
    random_field: ClassVar[None] = None

    def __post_init__(self):
        if self.conditions_by not in ("lift", "loss"):
            raise UserError(
                f"problem.conditions_by={self.conditions_by!r} is not known; use 'lift' or 'loss'"
            )

    def residual(self, u: Jet, x: Array, a: None, lam: Lam) -> Array:
        return lam.eps**2 * u["xx"] + u[""] - u[""] ** 3

    def lift(self, network: Array, x: Array, a: None) -> Array:
        (x,) = x
        return 2 * x - 1 + x * (1 - x) * network if self.conditions_by == "lift" else network

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        if self.conditions_by == "lift":
            return ()
        return (Condition(np.array([[0.0], [1.0]]), np.array([[-1.0, 1.0]])),)

    def reference(self, a: None, x: np.ndarray, lam: Lam) -> np.ndarray:
        eps = float(lam.eps)
        # On the half interval, extended oddly: the whole one does not fix the interface's place in
        # float64 for ε ≤ 0.04.
        walk = chebyshev.walk_to(Lam(0.0, eps))
        nodes = 32 + math.ceil(8 / math.sqrt(eps))
        half = chebyshev.solve(self, None, walk, (0.5, 1.0), (0.0, 1.0), nodes)
        return np.sign(x[:, 0] - 0.5) * half(0.5 + np.abs(x[:, 0] - 0.5))
