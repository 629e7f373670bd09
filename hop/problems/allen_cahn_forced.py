"""Allen–Cahn with a random force, an interval, the operator f ↦ u on one of several branches:

    ε² u″ + u − u³ = f on [0, 1],  u(0) = −1,  u(1) = 1.

For ε > 1/π there is one solution. As ε falls, solutions become many: a front of width ε can stand
wherever f, smoothed at that width, is zero, and f falling there makes it stable; the walls repel
fronts, so that one can stand before a wall as well. Each stable place is a local minimum of

    E(u) = ∫ ½ε² u′² + ¼(u² − 1)² + f u.

The operator is the branch that begins with the one solution at large ε and goes on as ε falls.
The reference follows it by strides in ε that are halved wherever it bends sharply.

The ansatz, with the network's outputs N and D, is

    u = v + (2x − 1) + w (tanh((x − ½ + D) / √2ε) − (2x − 1) + N),
    w = (1 − e^(−2x/ε)) (1 − e^(−2(1−x)/ε)),  ε² v″ − 2v = f, v = 0 at both ends:

D moves the front, v is how the wells ±1 answer to a small force, known from the modes of f.

At points the residual hardly tells where the front is, nor that a solution is not stable. So two
soft conditions go with it. Multiplied by u′ and integrated, the equation is a balance of forces on
the front, exactly

    ½ε² (u′(1)² − u′(0)²) = ∫ f u′,

and divided by √ε, about its error as one of u. The other is the energy, as √(E + ½ + ∫f²), which is
never 0. Solutions are stationary points of E, so it moves none of them; but where a branch loses
its stability, the network leaves it downhill, as the path does.

Sources: Hale, Sakamoto, *Japan J. Appl. Math.* 5 (1988), 367–405, on where fronts stand and are
stable; Carr, Pego, *Comm. Pure Appl. Math.* 42 (1989), 523–576, on how slowly they move.
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
from hop.errors import check_range
from hop.laws import Field, Law, how_many
from hop.laws.gaussian_field import GaussianField
from hop.laws.spectral import as_series
from hop.problem import Condition, Lam, Problem
from hop.references import numerov
from hop.references.newton import SMALL, Found, Guess

__all__ = ["AllenCahnForced"]

_BOX = Box((0.0,), (1.0,))
_ALONE = 0.5  # ε at which the one solution is found from the straight line
_GAUSS, _OF_GAUSS = np.polynomial.legendre.leggauss(72)
_NODES = np.concatenate([[0.0], (1 + _GAUSS) / 2, [1.0]])[:, None]
_WEIGHTS = np.concatenate([[0.0], _OF_GAUSS / 2, [0.0]])[:, None]


@dataclasses.dataclass(frozen=True)
class AllenCahnForced(Problem):
    """The Allen–Cahn equation with a random force. `Lam.s` is not used.

    Attributes:
      downhill: the weight of the energy among the soft conditions; 0 leaves it out.
    """

    downhill: float = 3.0

    domain: ClassVar[Box] = _BOX
    outputs: ClassVar[int] = 2
    derivatives: ClassVar[tuple[str, ...]] = ("", "xx")
    inputs: ClassVar[Mapping[str, Law]] = {
        "f": GaussianField(_BOX, ends="zero", length=0.15, std=0.1)
    }

    def __post_init__(self):
        check_range("problem", "not be negative", downhill=self.downhill)

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return lam.eps**2 * u["xx"] + u[""] - u[""] ** 3 - a["f"][""]

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        def rows(u: Any, a: Mapping[str, Jet], lam: Lam) -> Array:
            (u,), f = u, a["f"][""]
            weights = jnp.asarray(_WEIGHTS, f.dtype)
            balance = _balance(u["x"], f, weights, lam.eps) / jnp.sqrt(lam.eps)
            height = _energy(u, f, weights, lam.eps) + 0.5 + f**2 @ weights  # 3/16 or more
            return jnp.stack([balance, math.sqrt(self.downhill) * jnp.sqrt(height)])

        return (Condition((_NODES,), ("", "x"), rows),)

    def known(self, fields: Mapping[str, Field], x: Array, lam: Lam) -> Mapping[str, Array]:
        force = as_series(fields["f"])
        eps = jnp.reshape(jnp.asarray(lam.eps, x.dtype), (-1, 1))
        squares = jnp.asarray(force.basis.eigenvalues, x.dtype)[None, :]
        waves = force.basis.along(0, x[:, 0]) / (2 + eps**2 * squares)
        return {"v": -jnp.matmul(force.coefficients, waves.T, precision="highest")}

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        (x,), (shape, place), eps = x, network, lam.eps
        line, inside = 2 * x - 1, (1 - jnp.exp(-2 * x / eps)) * (1 - jnp.exp(-2 * (1 - x) / eps))
        front = jnp.tanh((x - 0.5 + place) / (math.sqrt(2) * eps))
        return a["v"] + line + inside * (front - line + shape)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        return self.newton(a, lam).checked(lam)(x)

    def newton(
        self,
        a: Mapping[str, Field],
        lam: Lam,
        guess: Guess | None = None,
        small: float = SMALL,
        nodes: int = 0,
        stride: float = numerov.STRIDE,
    ) -> Found:
        """By so many steps; by default twenty to ε, and 400 or more. Without a guess by strides."""
        count, eps = how_many(a), float(lam.eps)
        nodes = nodes or max(400, math.ceil(20 / eps))
        ends = np.tile([-1.0, 1.0], (count, 1))
        if guess is not None:
            return numerov.newton(_curvature, self.domain, a, lam, ends, nodes, guess, small)

        def line(x: np.ndarray) -> np.ndarray:
            return np.tile(2 * x[:, 0] - 1, (count, 1))

        first = max(_ALONE, eps)
        return numerov.follow(
            _curvature, self.domain, a, first, lam, ends, nodes, line, small, stride
        )


def _balance(slope: Array, f: Array, weights: Array, eps: Any) -> Array:
    """½ε² (u′(1)² − u′(0)²) − ∫ f u′, (n, 1), from values at `_NODES`."""
    walls = (slope[:, -1:] ** 2 - slope[:, :1] ** 2) / 2
    return eps**2 * walls - (f * slope) @ weights


def _energy(u: Jet, f: Array, weights: Array, eps: Any) -> Array:
    """E, (n, 1), likewise."""
    return ((eps * u["x"]) ** 2 / 2 + (u[""] ** 2 - 1) ** 2 / 4 + f * u[""]) @ weights


def _curvature(u: Array, a: Mapping[str, Array], lam: Lam) -> Array:
    """u″."""
    return (a["f"] - u + u**3) / lam.eps**2
