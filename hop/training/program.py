"""The training program: one compiled step, and the states that it takes from stage to stage."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hop import ambient, compiler
from hop.ansatz import Ansatz, Inputs
from hop.config import Experiment, TrainConfig
from hop.derivatives import Jet
from hop.homotopy.loss import Loss
from hop.homotopy.terms import Stage
from hop.homotopy.terms.labels import Labels
from hop.networks import Params
from hop.operators import Operator
from hop.problem import Lam, layers_of
from hop.samplers import Points, of_each
from hop.sharding import FUNCTION, POINT, Layout, on_host
from hop.solvers import Moment, Solver
from hop.windows import Marched

# These set the keys of labels, of ε and of windows apart from those of the points.
_LABELS, _OF_EPS, _OF_STARTS = 2**31 - 1, 2**31 - 2, 2**31 - 3


class TrainState(NamedTuple):
    """All arrays that training carries.

    Attributes:
      params: θ.
      anchor: θ_{k−1}, the last stage's network; θ's own start at the first stage.
      solver: the solver's state.
      step: steps done in this stage.
    """

    params: Params
    anchor: Params
    solver: Any
    step: Array


class Window(NamedTuple):
    """What one dispatch hears of its stage: all traced.

    Attributes:
      count: steps to take, at most the rows of `draws`.
      tail_from: the step from which the stage is brought to its end.
    """

    count: Any
    tail_from: Any


@dataclasses.dataclass(frozen=True)
class Program:
    """The training program of an experiment on a mesh: a few compiled functions."""

    experiment: Experiment
    layout: Layout

    @property
    def ansatz(self) -> Ansatz:
        return self.experiment.ansatz

    @property
    def solver(self) -> Solver:
        return self.experiment.solver

    @property
    def train(self) -> TrainConfig:
        return self.experiment.config.train

    @functools.cached_property
    def init(self) -> Callable[[], TrainState]:
        """() → a fresh state, made on the mesh."""
        quickly = compiler.run_once()
        return jax.jit(self._init, out_shardings=self._home, compiler_options=quickly)

    @functools.cached_property
    def _home(self) -> TrainState:
        """Where the arrays of a state lie."""
        return self.layout.over_model(jax.eval_shape(self._init))

    def begin(self, params: Params) -> TrainState:
        """The state of parameters that were trained elsewhere."""
        return self.put(jax.device_get(self._fresh(params)))

    def put(self, state: TrainState) -> TrainState:
        """A state on the host → the same on the mesh."""
        return self.layout.put_as(state, self._home)

    def operator(self, state: TrainState, lam: Lam) -> Operator:
        """What a state answers at λ, from parameters on the host."""
        return Operator(self.experiment.answer, on_host(state.params), lam)

    @functools.cached_property
    def next_stage(self) -> Callable[[TrainState], TrainState]:
        """The end of a stage → the start of the next: its network is both start and anchor."""
        return jax.jit(self._next_stage, out_shardings=self._home)

    @functools.cached_property
    def retry(self) -> Callable[[TrainState], TrainState]:
        """Any state of a failed stage → its start again, with a fresh solver."""
        return jax.jit(lambda failed: self._fresh(failed.anchor), out_shardings=self._home)

    @functools.cached_property
    def predict(self) -> Callable[[TrainState, Stage], TrainState]:
        """The start of a stage → the same with the predictor's parameters."""
        home, whole = self._home, self.layout.replicated
        return jax.jit(self._predict, in_shardings=(home, whole), out_shardings=home)

    @functools.cached_property
    def dispatch(self) -> Callable[..., tuple[TrainState, dict[str, Array], Array]]:
        """(state, stage, window, pool, draws, over) → (state, mean of each term, first loss).

        `pool` holds the input functions ({} without any), `draws` (dispatch, n) says which of
        them each step takes; without it, `pool` holds those of every step, (dispatch, n, …).
        `over` names the terms that are left out, () by default. All else that changes between
        stages is traced: one compilation for each `over`.
        """
        home, whole = self._home, self.layout.replicated
        return jax.jit(
            self._dispatch,
            in_shardings=(home, whole, whole, None, None),  # a feed knows where its own lie
            out_shardings=(home, whole, whole),
            static_argnums=5,
        )

    def _init(self) -> TrainState:
        params = self.ansatz.init(ambient.key(self.experiment.config.seed))
        return self._fresh(params)

    def _fresh(self, params: Params) -> TrainState:
        return TrainState(params, params, self.solver.init(params), jnp.int32(0))

    def _next_stage(self, state: TrainState) -> TrainState:
        solver = self.solver.next_stage(state.solver, state.params)
        return TrainState(state.params, state.params, solver, jnp.int32(0))

    def _predict(self, state: TrainState, stage: Stage) -> TrainState:
        predictor = self.experiment.plan.predictor
        assert predictor is not None
        objective = self._objective(state, stage, {}, None)
        return state._replace(params=predictor(objective, state.params))

    def _dispatch(
        self,
        state: TrainState,
        stage: Stage,
        window: Window,
        pool: Inputs,
        draws: Array | None,
        over: tuple[str, ...] = (),
    ) -> tuple[TrainState, dict[str, Array], Array]:
        def drawn(i: Any) -> Inputs:
            taken, answer = (i if draws is None else draws[i]), self.experiment.answer
            some = jax.tree.map(lambda a: a[taken], pool)
            some = answer.given(some) if isinstance(answer, Marched) else some
            return self.layout.constrain(some, FUNCTION)

        candidates = self._candidates(state, stage, drawn(0))

        # Traced once: for its shapes, in the loop.
        advance = jax.jit(functools.partial(self._step, over=over), inline=True)

        def step(i: Array, carry: tuple[TrainState, dict[str, Array], Array]) -> Any:
            state, sums, first = carry
            state, losses = advance(state, stage, window, drawn(i), candidates)
            first = jnp.where(i == 0, losses["total"], first)
            return state, jax.tree.map(jnp.add, sums, losses), first

        shapes = jax.eval_shape(advance, state, stage, window, drawn(0), candidates)[1]
        zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        start = (state, zeros, zeros["total"])
        state, sums, first = jax.lax.fori_loop(0, window.count, step, start)
        return state, jax.tree.map(lambda a: a / window.count.astype(a.dtype), sums), first

    def _step(
        self,
        state: TrainState,
        stage: Stage,
        window: Window,
        inputs: Inputs,
        candidates: Any,
        over: tuple[str, ...] = (),
    ) -> tuple[TrainState, dict[str, Array]]:
        inputs = self.followed(state, stage, inputs)
        objective = self._objective(state, stage, inputs, candidates, over)
        moment = Moment(state.step, window.tail_from, self.train.steps)
        with self.experiment.config.products():
            params, solver, losses = self.solver.step(objective, state.params, state.solver, moment)
        return TrainState(params, state.anchor, solver, state.step + 1), losses

    def followed(self, state: TrainState, stage: Stage, inputs: Inputs) -> Inputs:
        """The functions of a step; of windows of time, as they are at the starts of these."""
        answer = self.experiment.answer
        if not isinstance(answer, Marched):
            return inputs
        key = jax.random.fold_in(self._key(state, stage), _OF_STARTS)
        return answer.followed(state.params, inputs, stage.lam, key, self._done(state))

    def _done(self, state: TrainState) -> Array:
        """The share of the stage's steps that are behind."""
        return state.step.astype(float) / self.train.steps

    def _objective(
        self,
        state: TrainState,
        stage: Stage,
        inputs: Inputs,
        candidates: Any,
        over: tuple[str, ...] = (),
    ) -> Loss:
        points = self.points(state, stage, inputs, candidates)
        points = self.layout.constrain(points, POINT)
        terms = tuple(term for term in self.experiment.plan.terms if term.name not in over)
        if stage.labels is not None:
            terms = (*terms, self._labels(state, stage))
        done = self._done(state)
        parts = self.train.accumulate
        return Loss(terms, self.ansatz, state.anchor, inputs, points, stage, done, parts)

    def _labels(self, state: TrainState, stage: Stage) -> Labels:
        key = jax.random.fold_in(self._key(state, stage), _LABELS)
        some = stage.labels.drawn(key, self.train.functions, self.train.points)
        if len(some.here) % self.layout.mesh.shape[FUNCTION] == 0:
            some = some._replace(inputs=self.layout.constrain(some.inputs, FUNCTION))
        return Labels(self.experiment.config.labels.weight, some)

    def _key(self, state: TrainState, stage: Stage) -> Array:
        key = jax.random.fold_in(ambient.key(self.experiment.config.seed), stage.index)
        return jax.random.fold_in(key, state.step if self.solver.redraws else 0)

    def _candidates(self, state: TrainState, stage: Stage, inputs: Inputs) -> Any:
        """What the next steps draw their points from; None where they need no such pool."""
        params = state.params if self.solver.redraws else state.anchor

        def residual(x: Array) -> Array:
            x = self.layout.constrain(x, POINT)
            h = self.ansatz.residual(params, inputs, x, stage.lam)
            return h if h.ndim == 2 else jnp.sqrt(jnp.mean(h**2, axis=0))

        domain, key = self.ansatz.problem.domain, self._key(state, stage)
        return self.experiment.sampler.pool(key, self.train.points, domain, residual)

    def points(self, state: TrainState, stage: Stage, inputs: Inputs, candidates: Any) -> Points:
        """The collocation points of a step; where ε is an input, each with its own."""

        def last(x: Array, labels: Sequence[str]) -> Jet:
            return self.ansatz.jet(state.anchor, inputs, x, stage.previous, labels)

        key = self._key(state, stage)
        count, lam, eps = self.train.points, stage.lam, None
        if self.ansatz.eps:
            eps = of_each(jax.random.fold_in(key, _OF_EPS), count, lam.eps, self.ansatz.eps[1])
            lam = lam._replace(eps=eps)
        problem = self.ansatz.problem
        layers = layers_of(problem, lam)
        points = self.experiment.sampler.draw(key, count, problem.domain, last, candidates, layers)
        return points._replace(eps=eps)


def real(value: Any) -> np.ndarray:
    """A host array of the default float type."""
    return np.asarray(value, jnp.result_type(float))
