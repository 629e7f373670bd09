"""Allen–Cahn on [−1, 1]² from a smooth start to its steady state, one function without input.

    H(u; s, ε) = (1 − s) [−ε² Δu + u³ − u] + s (u − u₀) = 0,  u₀ = −sin πx sin πy,
    u = 0 on the boundary.

At s = 1 the solution is u₀; u(s) is one implicit Euler step of size (1 − s)/s from u₀ along
u_t = ε² Δu + u − u³; at s = 0 it is a steady state. All of them are odd in x and in y, and negative
on the quarter [0, 1]², where the negative solution is unique (Brezis, Oswald, *Nonlinear Anal.* 10
(1986), 55–64): four plateaus near ±1 with layers of width ε between them and at the boundary.
Among functions that are not odd the steady state is a saddle: the linearisation has the eigenvalue
−0.41, even in x and in y, and two that are nearly 0, which move the interfaces sideways.
Source: Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 4.2.
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
from hop.errors import RunError
from hop.laws import Field
from hop.problem import Condition, Lam
from hop.problems import Dirichlet
from hop.references import chebyshev_2d
from hop.references.newton import SMALL, Found, Guess

__all__ = ["AllenCahn2D"]


_ON_SIDE = 101  # points of the soft condition on each side
_QUARTER = Box((0.0, 0.0), (1.0, 1.0))


@dataclasses.dataclass(frozen=True)
class AllenCahn2D(Dirichlet):
    """The steady Allen–Cahn equation in a square.

    Attributes:
      conditions_by: as in `Dirichlet`; "lift" makes u = (1 − x²)(1 − y²)·network.
      symmetry: as in `Dirichlet`. Without it the steady state is one of many that least squares
        can find.
    """

    symmetry: str = dataclasses.field(default="odd", kw_only=True)

    domain: ClassVar[Box] = Box((-1.0, -1.0), (1.0, 1.0))
    derivatives: ClassVar[tuple[str, ...]] = ("", "xx", "yy")
    weak_derivatives: ClassVar[tuple[str, ...]] = ("", "x", "y")

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        steady = -(lam.eps**2) * (u["xx"] + u["yy"]) + u[""] ** 3 - u[""]
        return (1 - lam.s) * steady + lam.s * (u[""] - self.initial(x, {}))

    def weak(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Mapping[str, Array]:
        flux = (1 - lam.s) * lam.eps**2
        value = (1 - lam.s) * (u[""] ** 3 - u[""]) + lam.s * (u[""] - self.initial(x, {}))
        return {"": value, "x": flux * u["x"], "y": flux * u["y"]}

    def energy(self, a: Mapping[str, Any], lam: Lam) -> Mapping[str, Any]:
        return {"": 1.0, "x": lam.eps**2, "y": lam.eps**2}

    def initial(self, x: Array, a: Mapping[str, Array]) -> Array:
        return -jnp.sin(math.pi * x[0]) * jnp.sin(math.pi * x[1])

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        x, y = x
        return (1 - x**2) * (1 - y**2) * network if self.conditions_by == "lift" else network

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        if self.conditions_by == "lift":
            return ()
        along, end = np.linspace(-1, 1, _ON_SIDE), np.ones(_ON_SIDE)
        sides = ((-end, along), (end, along), (along, -end), (along, end))
        points = np.concatenate([np.stack(side, axis=1) for side in sides])
        return (Condition((points,), ("",), lambda u, a, lam: u[0][""]),)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        return self.newton(a, lam).checked(lam)(x)

    def newton(
        self,
        a: Mapping[str, Field],
        lam: Lam,
        guess: Guess | None = None,
        small: float = SMALL,
    ) -> Found:
        s, eps = float(lam.s), float(lam.eps)
        if s == 0 and eps >= 1 / (math.sqrt(2) * math.pi):
            raise RunError(
                f"at s=0, eps={eps:g} the only solution that is odd in x and in y is 0: there is "
                "no error relative to it"
            )
        # On the quarter H is convex in −u and −1 a supersolution, from which Newton's iterates
        # fall monotonically to the one negative solution.
        nodes = 27 + 2 * math.ceil(3.5 / math.sqrt(eps))
        start = -1.0 if guess is None else guess
        quarter = chebyshev_2d.newton(self, Lam(s, eps), _QUARTER, start, nodes, True, a, small)
        return quarter.read(lambda x: np.sign(x).prod(axis=1), np.abs)
