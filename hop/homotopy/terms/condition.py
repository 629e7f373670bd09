"""The soft conditions, u − g at the points where the problem asks for them."""

from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from hop.ansatz import Ansatz, Inputs
from hop.homotopy.terms import Stage, Term, View
from hop.samplers import Points


class Condition(Term):
    """w_c · ½⟨|u − g|²⟩."""

    name: ClassVar[str] = "condition"
    needed: ClassVar[bool] = True

    def points(self, ansatz: Ansatz, inputs: Inputs, stage: Stage) -> Points:
        """All of them (b, d), with g (b, 1), or (b, n) where some are the input functions'."""
        given = ansatz.problem.conditions(stage.lam)
        dtype = jnp.result_type(float)
        if not given:
            return Points(jnp.zeros((0, ansatz.problem.domain.dim), dtype), jnp.zeros((0, 1)))

        def values(value: Any, x: Float[Array, "b d"]) -> Float[Array, "m b"]:
            if value is not None:
                return jnp.asarray(value, dtype)
            (jet,) = ansatz.input_jet(inputs, x, ("",)).values()
            return jet[""]

        x = [jnp.asarray(c.points, dtype) for c in given]
        g = [values(c.values, at) for c, at in zip(given, x, strict=True)]
        count = max(map(len, g))
        g = [jnp.broadcast_to(v, (count, v.shape[1])) for v in g]
        return Points(jnp.concatenate(x), jnp.concatenate(g, axis=1).T)

    def rows(self, view: View) -> Array:
        return view.value(view.params, view.x) - view.points.beside.T
