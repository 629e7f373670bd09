"""A problem marched in time towards its solution, one window after the other.

The solution of H(u; s, ε) = 0 is sought as the steady state of

    u_t + H(u; s, ε) = 0,  u = u₀ at the start,

on windows of one length. Time is counted from the start of each window, and H does not hold it, so
that all windows are the same problem but for the function that they start from.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop.derivatives import Jet, closure
from hop.domain import Box
from hop.errors import RunError, UserError
from hop.laws import Law
from hop.networks import Network, Params, Values
from hop.problem import (
    Condition,
    Evolving,
    Featured,
    Knowing,
    Lam,
    Problem,
    Reduced,
    Showing,
    Sloped,
    Traced,
)

_CONDITIONS = 64  # rows of a soft condition at least: each of its points at so many times
_GOLDEN = (math.sqrt(5) - 1) / 2
_UNSERVED: dict[Any, str] = {
    Featured: "trunk_features",
    Traced: "traces",
    Sloped: "slopes",
    Knowing: "known parts",
    Reduced: "a reduced_residual",
    Showing: "shown",
}


@dataclasses.dataclass(frozen=True)
class Evolution(Problem):
    """The evolution of a problem on one window: the columns of the points are (x, t).

    Attributes:
      problem: the problem, which is `Evolving`.
      window: the length of the window.
    """

    problem: Problem
    window: float

    def __post_init__(self):
        for role, what in _UNSERVED.items():
            if isinstance(self.problem, role):
                raise UserError(
                    f"{type(self.problem).__name__} has {what}, which time marching does not "
                    "serve; use strategy.name=curriculum"
                )

    @property
    def domain(self) -> Box:
        box = self.problem.domain
        return Box((*box.lower, 0.0), (*box.upper, self.window), box.periodic)

    @property
    def unknowns(self) -> tuple[str, ...]:
        return self.problem.unknowns

    @property
    def outputs(self) -> int:
        return self.problem.outputs

    @property
    def derivatives(self) -> tuple[str, ...]:
        return (*self.problem.derivatives, "t")

    @property
    def inputs(self) -> Mapping[str, Law]:
        return self.problem.inputs

    @property
    def weights(self) -> tuple[float, ...]:
        return self.problem.weights

    @property
    def odd(self) -> tuple[str, ...]:
        return self.problem.odd

    def ends(self, x: Float[Array, "q d"]) -> tuple[Float[Array, "q d"], Float[Array, "q d"]]:
        """The points moved to the start and to the end of the window."""
        return x.at[:, -1].set(0.0), x.at[:, -1].set(self.window)

    def initial(self, x: Array, a: Values) -> Array:
        assert isinstance(self.problem, Evolving)
        return self.problem.initial(x[:-1], a)

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return u["t"] + self.problem.residual(u, x[:-1], a, lam)

    def lift(self, network: Array, x: Array, a: Values, lam: Lam) -> Array:
        return self.problem.lift(network, x[:-1], a, lam)

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        return tuple(c for of in self.problem.conditions(lam) for c in self._over_time(of, lam))

    def _over_time(self, given: Condition, lam: Lam) -> list[Condition]:
        """A condition of the problem at times spread over the window.

        They are multiples of the golden ratio modulo 1: even for every point, and from one to the
        next. Points that a row takes together have one time.
        """
        count, apart = len(given.points[0]), self._has_a_row_for_each_point(given, lam)
        times = math.ceil(_CONDITIONS / count)

        def at(k: int) -> Condition:
            def placed(x: np.ndarray) -> np.ndarray:
                turns = times * np.arange(len(x)) + k if apart else np.full(len(x), k)
                t = self.window * (_GOLDEN * turns[:, None] % 1)
                return np.concatenate([x, t], axis=1)

            return given._replace(points=tuple(map(placed, given.points)))

        return [at(k) for k in range(times)]

    def _has_a_row_for_each_point(self, given: Condition, lam: Lam) -> bool:
        problem, real = self.problem, jnp.result_type(float)
        n, c = (2 if problem.inputs else 1), len(problem.unknowns)

        def jet(x: Any, lead: tuple[int, ...] = ()) -> dict[str, jax.ShapeDtypeStruct]:
            like = jax.ShapeDtypeStruct((*lead, n, len(x)), real)
            return dict.fromkeys(closure(given.derivatives), like)

        u = tuple(jet(x, (c,) if c > 1 else ()) for x in given.points)
        a = {name: jet(given.points[0]) for name in problem.inputs}
        rows = jax.eval_shape(lambda u, a: given.rows(u, a, lam), u, a)
        return len(given.points) == 1 and rows.shape[-1] == len(given.points[0])

    def reference(self, a: object, x: np.ndarray, lam: Lam) -> np.ndarray:
        raise RunError("the way to a steady state has no reference solution, only its end")


@dataclasses.dataclass(frozen=True)
class AtEnd:
    """A network of space and time at the end of its window, t = 1 on the reference cube.

    Inside the problem itself it is the function that the window ends with.
    """

    network: Network

    def init(
        self,
        key: Array,
        dim: int,
        sensors: Mapping[str, int],
        outputs: int = 1,
        plain: int | None = None,
        shown: int | None = None,
    ) -> Params:
        plain = 1 + (dim if plain is None else plain)
        return self.network.init(key, dim + 1, sensors, outputs, plain, shown)

    def features(
        self, params: Params, values: Values, y: Array, labels: Sequence[str], embed: Any = None
    ) -> Jet:
        def ended(y: Array) -> Array:
            return _at_end(y if embed is None else embed(y))

        return self.network.features(params, values, y, labels, ended)

    def decode(self, params: Params, features: Array, y: Array, a: Values) -> Array:
        return self.network.decode(params, features, _at_end(y), a)


def _at_end(y: Array) -> Array:
    return jnp.concatenate([y, jnp.ones_like(y[:, :1])], axis=1)
