"""The start of a window of time (`hop.homotopy.marching`), where the last one ended:

    u(·, start) − u_{k−1}(·, end),

and u(·, start) − u₀ at a stage without predecessor; at the places of the collocation points.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from hop.ansatz import columns
from hop.homotopy.marching import Evolution
from hop.homotopy.terms import Term, View


class Initial(Term):
    """The start of an evolution in the loss, w_0 · ½⟨|·|²⟩ of the difference."""

    name: ClassVar[str] = "initial"
    at_one_eps: ClassVar[bool] = True

    def rows(self, view: View) -> Array:
        problem = view.ansatz.problem
        assert isinstance(problem, Evolution)
        start, end = problem.ends(view.x)
        jets = view.ansatz.input_jet(view.inputs, start, view.stage.lam, ())
        a = {name: jet[""] for name, jet in jets.items()}
        ended = view.value(view.anchor, end, view.stage.previous)
        given = jnp.where(view.stage.follows > 0, ended, problem.initial(columns(start), a))
        return view.value(view.params, start, view.stage.lam) - jax.lax.stop_gradient(given)
