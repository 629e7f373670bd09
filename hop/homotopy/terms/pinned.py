"""The phase condition of a pinned stage (`hop.homotopy.pin`). Not a part of the paper."""

from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from hop.ansatz import Ansatz, Inputs
from hop.errors import UserError
from hop.homotopy import pin, slow_mode
from hop.homotopy.terms import Stage, Term, View
from hop.samplers import Points


class Pinned(Term):
    """The pin in the loss. A stage that is not pinned has a row that is 0."""

    name: ClassVar[str] = "pin"
    at_one_eps: ClassVar[bool] = True
    pointwise: ClassVar[bool] = False

    def points(self, ansatz: Ansatz, inputs: Inputs, stage: Stage) -> Points:
        x = jnp.asarray(pin.grid(ansatz.problem), float)
        return Points(x, jnp.zeros(len(x)))

    def rows(self, view: View) -> Array:
        assert view.stage.pin is not None
        return view.stage.pin.row(view.value(view.params, view.x, view.stage.lam))

    def check(self, experiment: Any) -> None:
        slow_mode.check_serves(experiment.problem, "pin")
        if experiment.problem.inputs:
            raise UserError(
                "config.strategy.pin serves one function, and this problem has input functions; "
                "set it to 0"
            )
