"""Solvers: what drives the rows of the loss to zero within a stage, one file each.

A solver is a frozen dataclass of its options; its module exports that class alone (`__all__`) and
is found by name. One step of it is a pure function, compiled into the training program.
"""

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from hop.errors import UserError, check_range
from hop.networks import Params

Losses = dict[str, Array]

_DENSE_LIMIT = 10_000  # parameters of a network whose Jacobian is factorised


@runtime_checkable
class Objective(Protocol):
    """The loss L of one step, as a sum of squares: L = ½ |r|²."""

    def loss(self, params: Params) -> tuple[Array, Losses]:
        """L, and its terms unweighted."""

    def gradient(self, params: Params) -> tuple[tuple[Array, Losses], Params]:
        """L with its terms, and ∂L/∂θ, in the memory that the config allows."""

    def vector(self, params: Params) -> Array:
        """All weighted rows r (m,)."""

    def jacobian(self, params: Params) -> tuple[Array, Array]:
        """r (m,) and ∂r/∂θ (m, P), the columns in the order of `ravel_pytree`."""

    def drawn(self, params: Params, key: Array, count: int) -> "Objective":
        """The same on `count` of its points, and of each term's own (all if there are fewer).

        They are drawn without replacement, the density ∝ |row| / mean |row| + 1.
        """


class Moment(NamedTuple):
    """Where in its stage a step is. Traced.

    Attributes:
      step: steps done.
      tail_from: the step from which the stage is being brought to its end.
      limit: the stage's limit of steps; not traced.
    """

    step: Any
    tail_from: Any
    limit: int


@runtime_checkable
class Solver(Protocol):
    """What the training program asks of a solver.

    Attributes:
      redraws: whether every step draws new points and functions. If not, a stage keeps one draw,
        so that its loss is one fixed function.
      dense: whether it needs the Jacobian matrix.
      accumulates: whether a step asks for nothing of L but one `Objective.gradient`.
    """

    redraws: ClassVar[bool]
    dense: ClassVar[bool]
    accumulates: ClassVar[bool]

    @abc.abstractmethod
    def init(self, params: Params) -> Any:
        """The solver's state at the start of a run; a pytree of arrays."""

    @abc.abstractmethod
    def next_stage(self, state: Any, params: Params) -> Any:
        """Its state at the start of the next stage."""

    @abc.abstractmethod
    def step(
        self, objective: Objective, params: Params, state: Any, moment: Moment
    ) -> tuple[Params, Any, Losses]:
        """One step: new parameters and state, and the terms of the loss before it, with "total"."""

    def tail(self, limit: int) -> int:
        """The steps it takes to bring a stage to its end once the loss has stopped falling."""
        return 0

    def check(self, experiment: Any) -> None:
        """Refuses an experiment that the solver does not serve.

        Raises:
          UserError: there are input functions, or other parts, that its step has no use for.
        """
        name, parts = experiment.name("solver"), experiment.config.train.accumulate
        if self.dense:
            check_dense(experiment, name, "use solver.name=gauss_newton_cg or first_order")
        if parts > 1 and not self.accumulates:
            raise UserError(
                f"config.train.accumulate={parts}: '{name}' needs more of a step than its "
                "gradient; use solver.name=first_order"
            )


def check_dense(experiment: Any, name: str, remedy: str) -> None:
    """Refuses an experiment that the Jacobian matrix cannot serve."""
    if experiment.problem.inputs:
        raise UserError(f"'{name}' serves problems without input functions; {remedy}")
    count = experiment.ansatz.size
    if count > _DENSE_LIMIT:
        raise UserError(
            f"'{name}' factorises a matrix with a column for each of the network's {count:,} "
            f"parameters, and serves at most {_DENSE_LIMIT:,}; {remedy}"
        )
    if experiment.config.train.precision != "float64":
        raise UserError(f"'{name}' needs float64; set config.train.precision=float64")


@dataclasses.dataclass(frozen=True)
class Damped(Solver):
    """What damped least-squares solvers share: their state is the damping μ.

    Attributes:
      damping: μ at the start of a run, and at most at the start of a stage.
    """

    damping: float = 1e-4

    def __post_init__(self):
        check_range("config.solver", "be positive", damping=self.damping)

    def init(self, params: Params) -> Array:
        return jnp.asarray(self.damping, ravel_pytree(params)[0].dtype)

    def next_stage(self, state: Array, params: Params) -> Array:
        return jnp.minimum(state, self.damping)  # the last stage may have ended with any
