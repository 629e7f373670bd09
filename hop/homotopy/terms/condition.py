"""The soft conditions, rows of u at the points where the problem asks for them."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from hop import problem as roles
from hop.ansatz import Ansatz, Inputs
from hop.derivatives import GRADIENT, Jet, closure, partials
from hop.homotopy.terms import Stage, Term, View
from hop.samplers import Points


class Condition(Term):
    """w_c · ½⟨|rows|²⟩, ⟨·⟩ the mean over those of all conditions."""

    name: ClassVar[str] = "condition"
    needed: ClassVar[bool] = True

    def points(self, ansatz: Ansatz, inputs: Inputs, stage: Stage) -> Points:
        """Those of all conditions (b, d), one below the other."""
        given = ansatz.problem.conditions(stage.lam)
        empty = jnp.zeros((0, ansatz.problem.domain.dim), float)
        sets = [jnp.asarray(x, empty.dtype) for c in given for x in c.points]
        x = jnp.concatenate([empty, *sets])
        return Points(x, jnp.ones(len(x)))

    def rows(self, view: View) -> Jet:
        """The jet of u at every point."""
        given = view.ansatz.problem.conditions(view.stage.lam)
        labels = closure(label for c in given for label in c.derivatives)
        return view.ansatz.jet(view.params, view.inputs, view.x, view.stage.lam, labels)

    def together(self, rows: Jet, view: View) -> Array:
        """(n, m), those of all conditions side by side."""
        made = [of(part) for _, of, part in _conditions(rows, view)]
        return jnp.concatenate([_beside(block) for block in made], axis=1)

    def drawn(self, rows: Array, view: View, draw: Callable[[Array], Array]) -> Term:
        """Some of the rows, where each belongs to a point of its own, and u is one unknown.

        They are linearised in the jet of u there, of labels that letters spell, which decides them.
        """
        jet = self.rows(view)
        apart = all(
            len(c.points) == 1 and jax.eval_shape(of, part).shape[1:] == (len(c.points[0]),)
            for c, of, part in _conditions(jet, view)
        )
        if jet[""].ndim > 2 or GRADIENT in jet or not apart:
            return self
        at = draw(rows)
        slopes = {k: v[0, at] for k, v in partials(lambda j: self.together(j, view), jet).items()}
        rest = rows[0, at] - sum(slope * jet[k][0, at] for k, slope in slopes.items())
        return Drawn(self.w, Points(view.x[at], {"slopes": slopes, "rest": rest}))


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


def _conditions(
    rows: Jet, view: View
) -> Iterator[tuple[roles.Condition, Callable[[Any], Array], Any]]:
    """Every condition, what makes its rows, and its sets of jets."""
    first = 0
    for condition in view.ansatz.problem.conditions(view.stage.lam):
        sets = []
        for x in condition.points:
            part = slice(first, first + len(x))
            sets.append({label: value[..., part] for label, value in rows.items()})
            first += len(x)
        x = jnp.asarray(condition.points[0], view.x.dtype)
        labels = condition.derivatives
        a = view.ansatz.input_jet(view.inputs, x, view.stage.lam, labels)

        def of(u: Any, c: roles.Condition = condition, a: Any = a) -> Array:
            return c.rows(u, a, view.stage.lam)

        yield condition, of, tuple(sets)


def _beside(block: Array) -> Array:
    """(n, b) as it is; (e, n, b) as (n, e b)."""
    if block.ndim == 2:
        return block
    return jnp.moveaxis(block, 0, 1).reshape(block.shape[1], -1)
