"""The homotopy loss, as blocks of residual rows.

From the network u_{k−1} of the last stage, at (s, ε)_{k−1} = λ_{k−1}, the stage at λ_k minimises

    L = Σ w · ½⟨|rows|²⟩,

⟨·⟩ the mean over the rows of a term: of the residual H(u, λ_k), the soft conditions, the tangent of
the path, and whatever else the strategy lists (`hop.homotopy.terms`).
Source: Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 3.2.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Float

from hop.ansatz import Ansatz, Inputs
from hop.homotopy.terms import Stage, Term, View
from hop.networks import Params
from hop.samplers import Points
from hop.samplers.by_residual import draw, log_density

_BATCH = 1024  # rows of the Jacobian made at a time


@dataclasses.dataclass(frozen=True)
class Loss:
    """L at one step, and its rows: the `hop.solvers.Objective` of every strategy.

    Attributes:
      terms: of the loss.
      ansatz: the network inside the problem.
      anchor: θ_{k−1}, the network of the last stage.
      inputs: n input functions.
      points: q collocation points, shared by all functions.
      stage: λ_k and λ_{k−1}.
      done: steps done of the stage's limit, in [0, 1].
      parts: that `gradient` is the mean of: of the points, or of the functions where a term weighs
        all points together.
    """

    terms: tuple[Term, ...]
    ansatz: Ansatz
    anchor: Params
    inputs: Inputs
    points: Points
    stage: Stage
    done: ArrayLike = 0.0
    parts: int = 1

    def rows(self, params: Params) -> dict[str, Array]:
        """The rows of every term: (n, q), or (e, n, q); (n, b) at points of its own."""
        blocks: dict[str, Array] = {}
        for points, terms in self._by_points():
            view = self._view(params, points)
            blocks |= {t.name: t.together(t.rows(view), view) for t in terms}
        return {t.name: blocks[t.name] for t in self.terms if t.name in blocks}

    def loss(self, params: Params) -> tuple[Array, dict[str, Array]]:
        """L, and its terms unweighted: ½ mean of the squared rows."""
        terms = {name: 0.5 * jnp.mean(block**2) for name, block in self.rows(params).items()}
        weights = self.weights
        total = sum(weights[name].astype(term.dtype) * term for name, term in terms.items())
        return jnp.asarray(total), terms

    def gradient(self, params: Params) -> tuple[tuple[Array, dict[str, Array]], Params]:
        """L with its terms, and ∂L/∂θ: the mean of those of equal parts.

        The parts follow each other, so memory is that of one. A part takes every `parts`-th point
        or function: however they are split over devices, each holds a share of each part.
        """
        name = "points" if all(term.in_parts for term in self.terms) else "inputs"

        def of(arrays: Any) -> Any:
            part = dataclasses.replace(self, **{name: arrays})
            return jax.value_and_grad(part.loss, has_aux=True)(params)

        whole = getattr(self, name)
        if self.parts == 1:
            return of(whole)
        split = jax.tree.map(
            lambda a: jnp.moveaxis(a.reshape(-1, self.parts, *a.shape[1:]), 1, 0), whole
        )
        shapes = jax.eval_shape(of, jax.tree.map(lambda a: a[0], split))
        zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        sums, _ = jax.lax.scan(lambda s, a: (jax.tree.map(jnp.add, s, of(a)), None), zeros, split)
        return jax.tree.map(lambda a: a / self.parts, sums)

    def vector(self, params: Params) -> Float[Array, " m"]:
        """r with L = ½ |r|²: all rows, each by the square root of its weight over its count."""
        return self._flat(self.rows(params))

    def jacobian(self, params: Params) -> tuple[Float[Array, " m"], Float[Array, "m P"]]:
        """r and ∂r/∂θ of a problem without inputs.

        Pointwise terms go point by point, the few single rows by one reverse pass each.
        """
        theta, unravel = ravel_pytree(params)
        slopes: dict[str, Array] = {}
        for points, terms in self._by_points():
            view = self._view(params, points)
            if pointwise := [term for term in terms if term.pointwise]:
                made = by_point(functools.partial(self._apart, pointwise), params, points)
                slopes |= {t.name: _through(t, made[t.name], view) for t in pointwise}
            if single := [term for term in terms if not term.pointwise]:
                rows = functools.partial(self._apart, single)
                of = jax.jacrev(lambda t: rows(unravel(t), points))(theta)  # noqa: B023
                slopes |= {name: block[0] for name, block in of.items()}
        found = self.rows(params)
        return self._flat(found), self._weigh({name: slopes[name] for name in found})

    def drawn(self, params: Params, key: Array, count: int) -> "Loss":
        """The same on `count` of its points, and of each term's own (all if there are fewer).

        They are drawn by the size of the rows of the first term that is there
        (`hop.samplers.by_residual`, k = c = 1).
        """
        rows, points, drawn = self.rows(params), self.points, {}
        sets = [(points, terms[0]) for points, terms in self._by_points() if terms[0].in_parts]
        keys = jax.random.split(key, max(2, len(sets)))
        for key, (of, term) in zip(keys, sets, strict=False):

            def chosen(rows: Array, key: Array = key) -> Array:
                return draw(key, log_density(rows), count)

            if len(of.x) <= count:
                continue
            if of is self.points:
                points = jax.tree.map(lambda a: a[chosen(rows[term.name])], of)  # noqa: B023
            else:
                drawn[term.name] = term.drawn(rows[term.name], self._view(params, of), chosen)
        terms = tuple(drawn.get(term.name, term) for term in self.terms)
        return dataclasses.replace(self, points=points, terms=terms)

    @property
    def weights(self) -> dict[str, Array]:
        """The weight of every term."""
        return {term.name: term.weight(self.stage, self.done) for term in self.terms}

    def _by_points(self) -> Iterator[tuple[Points, list[Term]]]:
        """The collocation points with the terms on them, then each term that has its own."""
        own = {t.name: t.points(self.ansatz, self.inputs, self.stage) for t in self.terms}
        if shared := [term for term in self.terms if own[term.name] is None]:
            yield self.points, shared
        for term in self.terms:
            points = own[term.name]
            if points is not None and len(points.x):
                yield points, [term]

    def _view(self, params: Params, points: Points) -> View:
        jets = any(term.jets for term in self.terms)
        return View(self.ansatz, params, self.anchor, self.inputs, points, self.stage, jets)

    def _apart(self, terms: list[Term], params: Params, points: Points) -> dict[str, Any]:
        view = self._view(params, points)
        return {term.name: term.rows(view) for term in terms}

    def _flat(self, rows: dict[str, Array]) -> Float[Array, " m"]:
        return self._weigh({name: block.ravel() for name, block in rows.items()})

    def _weigh(self, blocks: dict[str, Array]) -> Array:
        """Rows (m, …) scaled so that half their sum of squares is L, one below the other."""
        weights = self.weights
        return jnp.concatenate(
            [
                block * jnp.sqrt(weights[name] / math.prod(block.shape[:1])).astype(block.dtype)
                for name, block in blocks.items()
            ]
        )


def by_point(
    rows: Callable[[Params, Any], dict[str, Any]], params: Params, points: Any
) -> dict[str, Any]:
    """∂/∂θ of arrays (…, 1, q) of which column i depends on point i alone: (q, …, P) each.

    So a row's gradient is one reverse pass over its point: q passes over one point each, not q
    over all of them. The columns are in the order of `ravel_pytree`.
    """
    theta, unravel = ravel_pytree(params)

    def gradients(one: Any) -> dict[str, Any]:
        alone = jax.tree.map(lambda a: a[None], one)
        return jax.jacrev(lambda t: jax.tree.map(jnp.ravel, rows(unravel(t), alone)))(theta)

    return jax.lax.map(gradients, points, batch_size=_BATCH)


def _through(term: Term, slopes: Any, view: View) -> Float[Array, "m P"]:
    """∂/∂θ of a term's rows, from that of the arrays (…, 1, q) which it makes them of."""
    at = term.rows(view)
    along = jax.tree.map(lambda s, v: s.T.reshape(-1, *v.shape), slopes, at)

    def moved(change: Any) -> Array:
        return jax.jvp(lambda r: term.together(r, view), (at,), (change,))[1].ravel()

    return jax.vmap(moved)(along).T
