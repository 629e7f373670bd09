"""Known solutions, row by row, of functions of their own (`hop.labels`):

(u_θ(a_i)(x_j) − y_ij) / std_ij.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from hop.ansatz import Ansatz, Inputs
from hop.homotopy.terms import Stage, Term, View
from hop.samplers import Points


class Labelled(NamedTuple):
    """n functions and what is known of their solutions at q points. All traced.

    Attributes:
      inputs: the functions; {} for the one solution of a problem without inputs.
      x: the points (q, d).
      y: the values (q, n), or (q, c, n) of several unknowns; 0 where none is known.
      rate: 1/std of each, and 0 where none is known.
      here: (n,), 1 for the functions whose solution is one at the stage's ε, else 0.
    """

    inputs: Inputs
    x: Any
    y: Any
    rate: Any
    here: Any

    def drawn(self, key: Array, functions: int, points: int) -> "Labelled":
        """Some of each, without replacement, or all; functions of the stage's ε come first."""
        of_functions, of_points = jax.random.split(key)
        inputs, x, y, rate, here = self
        if functions < len(here):
            order = here + jax.random.uniform(of_functions, here.shape, here.dtype)
            _, rows = jax.lax.top_k(order, functions)
            inputs, here = jax.tree.map(lambda a: a[rows], (inputs, here))
            y, rate = y[..., rows], rate[..., rows]
        if points < len(x):
            at = jax.random.permutation(of_points, len(x))[:points]
            x, y, rate = x[at], y[at], rate[at]
        return Labelled(inputs, x, y, rate, here)


@dataclasses.dataclass(frozen=True)
class Labels(Term):
    """Known solutions in the loss, w · ½⟨|·|²⟩.

    The mean is over the values known at the stage's ε; 0 where there are none.

    Attributes:
      some: the labels of a step.
    """

    some: Labelled | None = None

    name: ClassVar[str] = "labels"

    def points(self, ansatz: Ansatz, inputs: Inputs, stage: Stage) -> Points:
        """Those of the labels, each with its values and their factors."""
        assert self.some is not None
        rate = self.some.rate * jnp.broadcast_to(self.some.here, self.some.rate.shape)
        known = jnp.maximum(jnp.sum(rate > 0), 1).astype(rate.dtype)
        factor = rate * jnp.sqrt(rate.size / known)  # the mean over all rows is that over the known
        return Points(self.some.x, {"y": self.some.y, "factor": factor})

    def rows(self, view: View) -> Array:
        assert self.some is not None
        y, factor = (jnp.moveaxis(view.points.beside[k], 0, -1) for k in ("y", "factor"))
        u = view.ansatz.jet(view.params, self.some.inputs, view.x, view.stage.lam, ())[""]
        return factor * (u - y)
