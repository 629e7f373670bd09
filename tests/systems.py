"""A system of two unknowns, with a function and a number as inputs; untrained operators of it."""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

from hop import ambient
from hop.ansatz import Ansatz
from hop.domain import Box
from hop.laws import how_many
from hop.laws.gaussian_field import GaussianField
from hop.laws.uniform import Uniform
from hop.networks.deeponet import DeepONet
from hop.networks.mlp import MLP
from hop.operators import Operator
from hop.problem import Lam, Problem

__all__ = ["Pair"]

LAWS = {
    "f": GaussianField(Box((0.0,), (1.0,)), "zero", 0.3, sensors=17),
    "kappa": Uniform(1.0, 2.0),
}


@dataclasses.dataclass(frozen=True)
class Pair(Problem):
    """u = sin(πx) κ f and v = ½ cos(πx) κ, times 1 + t in time and cos(y) in the plane.

    Attributes:
      on: "line", "time" or "plane".
      given: the names of the inputs, of LAWS; those that are left out are 1.
    """

    on: str = "line"
    given: tuple[str, ...] = ("f", "kappa")

    unknowns = ("u", "v")

    @property
    def domain(self):
        return Box((0.0,), (1.0,)) if self.on == "line" else Box((0.0, -1.0), (1.0, 2.0))

    @property
    def derivatives(self):
        return ("", "t") if self.on == "time" else ("", "x")

    @property
    def inputs(self):
        return {name: LAWS[name] for name in self.given}

    def exact(self, x, a):
        f, kappa = (a.get(name, jnp.ones((1, 1))) for name in ("f", "kappa"))
        more = {"line": lambda: 1.0, "time": lambda: 1 + x[1], "plane": lambda: jnp.cos(x[1])}
        factor = kappa * more[self.on]()
        return jnp.stack([jnp.sin(np.pi * x[0]) * f * factor, 0.5 * jnp.cos(np.pi * x[0]) * factor])

    def residual(self, u, x, a, lam):
        return u[""] - self.exact(x, {name: jet[""] for name, jet in a.items()})

    def reference(self, a, x, lam):
        with ambient.numerics(np.float64):
            x = jnp.asarray(x)
            exact = self.exact(x.T[:, None, :], {name: field(x) for name, field in a.items()})
            return np.broadcast_to(exact, (2, how_many(a), len(x)))


def pair(on="line", given=("f", "kappa"), problem=None, eps=0.5) -> Operator:
    """An untrained operator of it, or of another problem."""
    problem = problem or Pair(on, given)
    network = DeepONet((8,), (8,), 4) if problem.inputs else MLP((8,))
    ansatz = Ansatz(problem, network)
    return Operator(ansatz, jax.device_get(ansatz.init(jax.random.key(0))), Lam(0.0, eps))


def inputs(n, given=("f", "kappa")):
    """Samples of its inputs as an operator takes them, float64."""
    found = {}
    for k, name in enumerate(given):
        values = LAWS[name].values(LAWS[name].sample(jax.random.key(k), n))
        found[name] = np.asarray(values[:, 0] if name == "kappa" else values, np.float64)
    return found


@contextlib.contextmanager
def drawn():
    """The axes, in a list, of the one picture that is drawn within the block."""
    found, close = [], plt.close
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plt, "close", lambda figure: (found.extend(figure.axes), close(figure)))
        yield found
