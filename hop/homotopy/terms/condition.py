"""The soft conditions, rows of u at the points where the problem asks for them."""

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.ansatz import Ansatz, Inputs
from hop.derivatives import GRADIENT, Jet, closure, partials
from hop.homotopy.terms import Stage, Term, View
from hop.problem import Lam
from hop.samplers import Points

_EPS = 16  # of a range, at which the conditions are asked for


class Condition(Term):
    """Soft conditions in the loss, w_c · ½⟨|rows|²⟩, ⟨·⟩ the mean over those of all conditions."""

    name: ClassVar[str] = "condition"
    needed: ClassVar[bool] = True

    def points(self, ansatz: Ansatz, inputs: Inputs, stage: Stage) -> Points:
        """Those of all conditions (b, d), one below the other; at each ε, where it is an input."""
        empty = jnp.zeros((0, ansatz.problem.domain.dim), float)
        sets, eps = [empty], [empty[:, 0]]
        for lam in _places(ansatz, stage):
            for condition in ansatz.problem.conditions(lam):
                sets += [jnp.asarray(x, empty.dtype) for x in condition.points]
                eps += [jnp.full(len(x), lam.eps, empty.dtype) for x in condition.points]
        x = jnp.concatenate(sets)
        return Points(x, jnp.ones(len(x)), jnp.concatenate(eps) if ansatz.eps else None)

    def rows(self, view: View) -> Jet:
        """The jet of u at every point."""
        given = view.ansatz.problem.conditions(view.stage.lam)
        labels = closure(label for c in given for label in c.derivatives)
        return view.ansatz.jet(view.params, view.inputs, view.x, view.lam, labels)

    def together(self, rows: Jet, view: View) -> Array:
        """(n, m), those of all conditions side by side."""
        return jnp.concatenate([_beside(block) for block in self._blocks(rows, view)], axis=1)

    def drawn(self, rows: Array, view: View, draw: Callable[[Array], Array]) -> Term:
        """Some of the rows, where each belongs to a point of its own, and u is one unknown.

        They are linearised in the jet of u there, of labels that letters spell, which decides them.
        """
        jet, places = self.rows(view), _places(view.ansatz, view.stage)
        given = [c for lam in places for c in view.ansatz.problem.conditions(lam)]
        apart = all(
            len(condition.points) == 1 and block.shape[1:] == (len(condition.points[0]),)
            for condition, block in zip(given, self._blocks(jet, view), strict=True)
        )
        if jet[""].ndim > 2 or GRADIENT in jet or not apart:
            return self
        at = draw(rows)
        slopes = {k: v[0, at] for k, v in partials(lambda j: self.together(j, view), jet).items()}
        rest = rows[0, at] - sum(slope * jet[k][0, at] for k, slope in slopes.items())
        eps = None if view.points.eps is None else view.points.eps[at]
        return Drawn(self.w, Points(view.x[at], {"slopes": slopes, "rest": rest}, eps))

    def _blocks(self, rows: Jet, view: View) -> list[Array]:
        """The rows of every condition, as it gives them."""
        made, first = [], 0
        for lam in _places(view.ansatz, view.stage):
            for condition in view.ansatz.problem.conditions(lam):
                u = []
                for x in condition.points:
                    part = slice(first, first + len(x))
                    u.append({label: value[..., part] for label, value in rows.items()})
                    first += len(x)
                x = jnp.asarray(condition.points[0], view.x.dtype)
                a = view.ansatz.input_jet(view.inputs, x, lam, condition.derivatives)
                made.append(condition.rows(tuple(u), a, lam))
        return made


@dataclasses.dataclass(frozen=True)
class Drawn(Condition):
    """Some of the rows of one function: rest + Σ slope · derivative of u.

    Attributes:
      some: their points, with the slopes and the rest of each.
    """

    some: Points | None = None

    def points(self, ansatz: Ansatz, inputs: Inputs, stage: Stage) -> Points:
        assert self.some is not None
        return self.some

    def together(self, rows: Jet, view: View) -> Array:
        line = view.points.beside
        return line["rest"][None] + sum(s[None] * rows[k] for k, s in line["slopes"].items())


def _places(ansatz: Ansatz, stage: Stage) -> list[Lam]:
    """λ_k; of a range of ε some, even in log ε, both ends included."""
    if not ansatz.eps:
        return [stage.lam]
    low, high = jnp.log(stage.lam.eps), math.log(ansatz.eps[1])
    shares = np.linspace(0, 1, _EPS)
    return [stage.lam._replace(eps=jnp.exp(low + (high - low) * share)) for share in shares]


def _beside(block: Array) -> Array:
    """(n, b) as it is; (e, n, b) as (n, e b)."""
    if block.ndim == 2:
        return block
    return jnp.moveaxis(block, 0, 1).reshape(block.shape[1], -1)
