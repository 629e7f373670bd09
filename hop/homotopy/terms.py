"""The terms of the homotopy loss, as blocks of residual rows.

From the network u_{k−1} of the last stage, at (s, ε)_{k−1} = λ_{k−1}, the stage at λ_k minimises

    L = w_H · ½⟨|H(u, λ_k)|²⟩ + w_c · ½⟨|u − g|²⟩ + w_T · ½⟨|T|²⟩ + w_S · ½⟨|S|²⟩,
    T = H_u[u_{k−1}, λ_{k−1}] (u − u_{k−1}) + H(u_{k−1}, λ_k),

⟨·⟩ the mean over functions and points. T is the paper's tangent residual times Δp: with
v = (u − u_{k−1})/Δp and ΔH = (H(u_{k−1}, λ_k) − H(u_{k−1}, λ_{k−1}))/Δp,

    H_u v + ΔH + H(u_{k−1}, λ_{k−1})/Δp = T/Δp,

so w_T = α/Δp² for the paper's α, and no Δp is needed. T = 0 is one Euler step along the path that
also removes the old residual. The residual is pointwise in the jet, so H_u w is one `jax.jvp`.

S is the residual weighted by its slow mode (`hop.homotopy.slow_mode`), and a stage can be pinned
(`hop.homotopy.pin`); neither is a part of the paper. Where the stages are windows of time
(`hop.homotopy.in_time`), w_0 · ½⟨|u(·, 0) − u_{k−1}(·, end)|²⟩ joins them.

Source: Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 3.2 (T to first order).
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Float

from hop.ansatz import Ansatz, Inputs, columns
from hop.derivatives import Jet
from hop.homotopy import pin, slow_mode
from hop.homotopy.in_time import InTime
from hop.homotopy.pin import Pin
from hop.homotopy.resampling import draw, log_density
from hop.networks import Params
from hop.problems import Lam, Problem

_BATCH = 1024  # rows of the Jacobian made at a time


class Stage(NamedTuple):
    """Where a stage stands on the path. All traced: every stage shares one compilation.

    Attributes:
      index: k.
      lam: λ_k.
      previous: λ_{k−1}; λ_k itself at the first stage.
      tangent: 1, or 0 at a stage that has no predecessor.
      pin: of the slow mode; None in a run that never pins.
    """

    index: Any
    lam: Lam
    previous: Lam
    tangent: Any
    pin: Pin | None = None


@dataclasses.dataclass(frozen=True)
class Weights:
    """w_H, w_c, w_T, w_S and w_0 of the loss.

    Attributes:
      residual: w_H. Where it is 0, a stage without predecessor uses 1.
      condition: w_c, likewise.
      tangent: w_T at the start of a stage; at 0 the term is left out of the program.
      tangent_share: the share of the stage's steps over which w_T falls linearly to 0.
      slow: w_S; at 0 the term is left out of the program.
      initial: w_0, of the start of a window of time; likewise.
    """

    residual: float = 1.0
    condition: float = 1.0
    tangent: float = 0.0
    tangent_share: float = 1.0
    slow: float = 0.0
    initial: float = 0.0

    def at(self, stage: Stage, share_done: ArrayLike) -> dict[str, Array]:
        """The weight of every term, `share_done` of the stage's limit of steps being done."""
        follows = stage.tangent
        fade = jnp.maximum(0.0, 1 - share_done / self.tangent_share) * follows
        return {
            "residual": jnp.where(follows > 0, self.residual, self.residual or 1.0),
            "condition": jnp.where(follows > 0, self.condition, self.condition or 1.0),
            "tangent": self.tangent * fade,
            "slow": jnp.asarray(self.slow, float),
            "initial": jnp.asarray(self.initial, float),
            "pin": jnp.asarray(1.0, float),
        }


@dataclasses.dataclass(frozen=True)
class Objective:
    """L at one step, and its rows: the `hop.solvers.Objective` of every strategy.

    Attributes:
      ansatz: the network inside the problem.
      weights: of the terms.
      anchor: θ_{k−1}, the network of the last stage.
      inputs: n input functions, or None.
      x: q collocation points, shared by all functions.
      spacing: the inverse density of the points (q,), 1 on average over the domain.
      stage: λ_k and λ_{k−1}.
      share_done: steps done of the stage's limit, in [0, 1].
      asked: which of the soft conditions are asked for, by number; all of them by default.
      parts: that `gradient` is the mean of.
      split_points: whether a part holds some of the points, or some of the functions. Only if every
        row belongs to a point, L is the mean of such parts.
    """

    ansatz: Ansatz
    weights: Weights
    anchor: Params
    inputs: Inputs | None
    x: Float[Array, "q d"]
    spacing: Float[Array, " q"]
    stage: Stage
    share_done: ArrayLike = 0.0
    asked: Array | None = None
    parts: int = 1
    split_points: bool = True

    def rows(self, params: Params) -> dict[str, Array]:
        """The rows of every term: (n, q), (n, b) for the soft conditions, (n, 1) for one row."""
        blocks = self._pointwise(params, self.x)
        blocks |= self._single(params, blocks)
        if self.stage.pin is not None:
            blocks["residual"] = self._project(blocks["residual"])
        points, values = self._conditions()
        if len(points):
            blocks["condition"] = self._value(params, points) - values
        return blocks

    def loss(self, params: Params) -> tuple[Array, dict[str, Array]]:
        """L, and its terms unweighted: ½ mean of the squared rows."""
        terms = {name: 0.5 * jnp.mean(block**2) for name, block in self.rows(params).items()}
        factors = self.weights.at(self.stage, self.share_done)
        total = sum(factors[name].astype(term.dtype) * term for name, term in terms.items())
        return jnp.asarray(total), terms

    def gradient(self, params: Params) -> tuple[tuple[Array, dict[str, Array]], Params]:
        """L with its terms, and ∂L/∂θ: the mean of those of equal parts.

        The parts follow each other, so memory is that of one. A part takes every `parts`-th point
        or function: however they are split over devices, each holds a share of each part.
        """
        names = ("x", "spacing") if self.split_points else ("inputs",)

        def of(arrays: dict[str, Any]) -> Any:
            part = dataclasses.replace(self, **arrays)
            return jax.value_and_grad(part.loss, has_aux=True)(params)

        whole = {name: getattr(self, name) for name in names}
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
        """r and ∂r/∂θ of a problem without input functions.

        Pointwise terms go point by point, the few single rows by one reverse pass each.
        """
        slopes = by_point(self._pointwise, params, self.x)
        theta, unravel = ravel_pytree(params)

        def single_rows(theta: Array) -> dict[str, Array]:
            params = unravel(theta)
            return self._single(params, self._pointwise(params, self.x))

        if self.weights.slow or self.stage.pin is not None:
            single = jax.jacrev(single_rows)(theta)
            slopes |= {name: block[:, 0] for name, block in single.items()}
        if self.stage.pin is not None:
            slopes["residual"] = self._project(slopes["residual"].T).T
        points, _ = self._conditions()
        if len(points):
            slopes |= by_point(lambda p, x: {"condition": self._value(p, x)}, params, points)
        rows = self.rows(params)
        return self._flat(rows), self._weigh({name: slopes[name] for name in rows})

    def drawn(self, params: Params, key: Array, count: int) -> "Objective":
        """The same on `count` of its points and of its soft conditions (all if there are fewer).

        They are drawn by the size of their rows (`hop.homotopy.resampling`, k = c = 1).
        """
        rows, made = self.rows(params), self
        for_points, for_conditions = jax.random.split(key)
        if len(self.x) > count:
            at = draw(for_points, log_density(rows["residual"]), count)
            made = dataclasses.replace(made, x=self.x[at], spacing=self.spacing[at])
        if "condition" in rows and rows["condition"].shape[1] > count:
            asked = draw(for_conditions, log_density(rows["condition"]), count)
            made = dataclasses.replace(made, asked=asked)
        return made

    def _pointwise(self, params: Params, x: Float[Array, "q d"]) -> dict[str, Array]:
        """The terms with a row for every point: (n, q)."""
        ansatz, problem, stage = self.ansatz, self.ansatz.problem, self.stage
        a = None if self.inputs is None else ansatz.input_jet(self.inputs, x, ansatz.labels)
        at = columns(x)
        u = ansatz.jet(params, self.inputs, x)
        blocks = {"residual": problem.residual(u, at, a, stage.lam)}
        if self.weights.tangent:
            old = jax.lax.stop_gradient(ansatz.jet(self.anchor, self.inputs, x))
            blocks["tangent"] = tangent(problem, u, old, at, a, stage)
        if self.weights.initial:
            blocks["initial"] = self._initial(params, x)
        return blocks

    def _initial(self, params: Params, x: Float[Array, "q d"]) -> Float[Array, "n q"]:
        """u at the start of its window minus u_{k−1} at the end of its own, at the places of x.

        At a stage without predecessor, minus u₀.
        """
        ansatz, problem = self.ansatz, self.ansatz.problem
        assert isinstance(problem, InTime)
        start, end = problem.ends(x)
        a = None if self.inputs is None else ansatz.input_jet(self.inputs, start, ("",))[""]
        given = jnp.where(
            self.stage.tangent > 0,
            self._value(self.anchor, end),
            problem.initial(columns(start), a),
        )
        return self._value(params, start) - jax.lax.stop_gradient(given)

    def _single(self, params: Params, pointwise: dict[str, Array]) -> dict[str, Array]:
        """The terms with one row for every function, (n, 1), given those with one a point."""
        ansatz, problem, x = self.ansatz, self.ansatz.problem, self.x
        blocks = {}
        if self.weights.slow:
            grid = jnp.asarray(problem.domain.grid(len(x)), x.dtype)
            on_grid = jax.lax.stop_gradient(ansatz.jet(params, self.inputs, grid))
            a = None if self.inputs is None else ansatz.input_jet(self.inputs, grid, ansatz.labels)
            mode = slow_mode.slow_mode(problem, on_grid, a, grid, self.stage.lam)
            blocks["slow"] = slow_mode.dual_weighted_residual(
                pointwise["residual"] * self.spacing[None, :], x, mode, grid
            )
        if self.stage.pin is not None:
            blocks["pin"] = self.stage.pin.row(self._value(params, self._places()))
        return blocks

    def _project(self, rows: Array) -> Array:
        assert self.stage.pin is not None
        return self.stage.pin.project(rows, self.x, self._places())

    def _places(self) -> Float[Array, "m 1"]:
        return jnp.asarray(pin.grid(self.ansatz.problem), self.x.dtype)

    def _value(self, params: Params, x: Array) -> Float[Array, "n q"]:
        return self.ansatz.jet(params, self.inputs, x, ())[""]

    def _conditions(self) -> tuple[Float[Array, "b d"], Float[Array, "n b"]]:
        """The points and values of all soft conditions."""
        dtype, given = self.x.dtype, self.ansatz.problem.conditions(self.stage.lam)
        if not given:
            return jnp.zeros((0, self.x.shape[1]), dtype), jnp.zeros((1, 0), dtype)
        points = [jnp.asarray(c.points, dtype) for c in given]
        values = [self._given(c.values, p) for c, p in zip(given, points, strict=True)]
        count = max(map(len, values))  # 1, or n where some are those of the input functions
        values = [jnp.broadcast_to(v, (count, v.shape[1])) for v in values]
        places, asked = jnp.concatenate(points), jnp.concatenate(values, axis=1)
        return (places, asked) if self.asked is None else (places[self.asked], asked[:, self.asked])

    def _given(self, values: Any, points: Float[Array, "b d"]) -> Float[Array, "m b"]:
        if values is not None:
            return jnp.asarray(values, points.dtype)
        assert self.inputs is not None
        return self.ansatz.input_jet(self.inputs, points, ("",))[""]

    def _flat(self, rows: dict[str, Array]) -> Float[Array, " m"]:
        return self._weigh({name: block.ravel() for name, block in rows.items()})

    def _weigh(self, blocks: dict[str, Array]) -> Array:
        """Rows (m, …) scaled so that half their sum of squares is L, one below the other."""
        factors = self.weights.at(self.stage, self.share_done)
        return jnp.concatenate(
            [
                block * jnp.sqrt(factors[name] / math.prod(block.shape[:1])).astype(block.dtype)
                for name, block in blocks.items()
            ]
        )


def by_point(
    rows: Callable[[Params, Array], dict[str, Array]], params: Params, points: Float[Array, "q d"]
) -> dict[str, Float[Array, "q P"]]:
    """∂/∂θ of blocks (1, q) of rows, each of which depends on its own point alone.

    So a row's gradient is one reverse pass over its point: q passes over one point each, not q
    over all of them. The columns are in the order of `ravel_pytree`.
    """
    theta, unravel = ravel_pytree(params)

    def gradients(x: Array) -> dict[str, Array]:
        return jax.jacrev(lambda t: jax.tree.map(jnp.ravel, rows(unravel(t), x[None])))(theta)

    made = jax.lax.map(gradients, points, batch_size=_BATCH)
    return {name: block[:, 0] for name, block in made.items()}


def tangent(problem: Problem, u: Jet, old: Jet, x: Array, a: Jet | None, stage: Stage) -> Array:
    """T (n, q) from the jets of u and u_{k−1}."""
    change = jax.tree.map(jnp.subtract, u, old)
    _, linear = jax.jvp(lambda j: problem.residual(j, x, a, stage.previous), (old,), (change,))
    return linear + problem.residual(old, x, a, stage.lam)
