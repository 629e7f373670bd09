"""The equation itself, H(u, λ_k). Where a stage is pinned, less its part along ψ."""

from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from hop.errors import UserError
from hop.homotopy import pin
from hop.homotopy.terms import Term, View


class Residual(Term):
    """The residual at points in the loss, w_H · ½⟨|H|²⟩."""

    name: ClassVar[str] = "residual"
    needed: ClassVar[bool] = True

    def rows(self, view: View) -> Array:
        return view.weighed(view.h)

    def together(self, rows: Array, view: View) -> Array:
        if view.stage.pin is None:
            return rows
        points = jnp.asarray(pin.grid(view.ansatz.problem), view.x.dtype)
        return view.stage.pin.project(rows, view.x, points)


class WholeResidual(Residual):
    """The same of an equation that is not pointwise, as one with integrals of u."""

    pointwise: ClassVar[bool] = False

    def check(self, experiment: Any) -> None:
        if not experiment.sampler.even:
            raise UserError(
                f"the points of a step are the quadrature of {type(experiment.problem).__name__}, "
                f"and those of sampler {experiment.config.train.sampler!r} are not random and "
                "even; set config.train.sampler='stratified'"
            )
