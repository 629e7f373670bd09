"""A problem marched in time towards its solution, one window after the other.

The solution of H(u; s, ε) = 0 is sought as the steady state of

    u_t + H(u; s, ε) = 0,  u = u₀ at the start,

on windows of one length. Time is counted from the start of each window, and H does not hold it, so
that all windows are the same problem but for the function that they start from.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from hop.derivatives import LAPLACIAN, Jet
from hop.domain import Box
from hop.errors import RunError, UserError
from hop.fields import RandomField
from hop.networks import Network, Params, Values
from hop.problem import Condition, Evolving, Lam

_CONDITIONS = 64  # rows of a soft condition at least: each of its points at so many times
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclasses.dataclass(frozen=True)
class Evolution:
    """The evolution of a problem on one window: the columns of the points are (x, t).

    Attributes:
      problem: the problem.
      window: the length of the window.
    """

    problem: Evolving
    window: float

    def __post_init__(self):
        if LAPLACIAN in self.problem.labels:
            raise UserError(
                f"{type(self.problem).__name__} reads Δu, which would count time as a coordinate; "
                "let problem.labels name second derivatives, as 'xx' and 'yy'"
            )

    @property
    def domain(self) -> Box:
        box = self.problem.domain
        return Box((*box.lower, 0.0), (*box.upper, self.window))

    @property
    def labels(self) -> tuple[str, ...]:
        return (*self.problem.labels, "t")

    @property
    def odd(self) -> tuple[str, ...]:
        return self.problem.odd

    @property
    def inputs(self) -> Mapping[str, RandomField]:
        return self.problem.inputs

    def ends(self, x: Float[Array, "q d"]) -> tuple[Float[Array, "q d"], Float[Array, "q d"]]:
        """The points moved to the start and to the end of the window."""
        return x.at[:, -1].set(0.0), x.at[:, -1].set(self.window)

    def initial(self, x: Array, a: Values) -> Array:
        return self.problem.initial(x[:-1], a)

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return u["t"] + self.problem.residual(u, x[:-1], a, lam)

    def lift(self, network: Array, x: Array, a: Values) -> Array:
        return self.problem.lift(network, x[:-1], a)

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        return tuple(map(self._over_time, self.problem.conditions(lam)))

    def _over_time(self, given: Condition) -> Condition:
        """A condition of the problem at times spread over the window.

        They are multiples of the golden ratio modulo 1: even for every point, and from one to the
        next.
        """
        times = math.ceil(_CONDITIONS / len(given.points))
        points = np.repeat(given.points, times, axis=0)
        t = self.window * (_GOLDEN * np.arange(len(points))[:, None] % 1)
        values = jnp.repeat(jnp.asarray(given.values), times, axis=1)
        return Condition(np.concatenate([points, t], axis=1), values)

    def reference(self, a: object, x: np.ndarray, lam: Lam) -> np.ndarray:
        raise RunError("the way to a steady state has no reference solution, only its end")


@dataclasses.dataclass(frozen=True)
class AtEnd:
    """A network of space and time at the end of its window, t = 1 on the reference cube.

    Inside the problem itself it is the function that the window ends with.
    """

    network: Network

    def init(self, key: Array, dim: int, sensors: Mapping[str, int]) -> Params:
        return self.network.init(key, dim + 1, sensors)

    def features(self, params: Params, values: Values, y: Array, labels: Sequence[str]) -> Jet:
        return self.network.features(params, values, _at_end(y), labels)

    def decode(self, params: Params, features: Array, y: Array, a: Values) -> Array:
        return self.network.decode(params, features, _at_end(y), a)


def _at_end(y: Array) -> Array:
    return jnp.concatenate([y, jnp.ones_like(y[:, :1])], axis=1)
