"""The equation itself, H(u, λ_k). Where a stage is pinned, less its part along ψ."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from hop.homotopy import pin
from hop.homotopy.terms import Stage, Term, View

__all__ = ["Residual"]


@dataclasses.dataclass(frozen=True)
class Residual(Term):
    """Attributes: w: w_H. At 0, a stage without predecessor, which has no tangent, uses 1."""

    w: float = 1.0

    name: ClassVar[str] = "residual"

    def weight(self, stage: Stage, done: ArrayLike) -> Array:
        return jnp.where(stage.tangent > 0, self.w, self.w or 1.0)

    def rows(self, view: View) -> Array:
        return view.h

    def together(self, rows: Array, view: View) -> Array:
        if view.stage.pin is None:
            return rows
        places = jnp.asarray(pin.grid(view.ansatz.problem), view.x.dtype)
        return view.stage.pin.project(rows, view.x, places)
