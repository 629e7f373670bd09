"""−ε² Δu + u − v = f, −κ Δv + v − u = 0 on the unit square: the operator (f, κ) ↦ (u, v).

u = v = 0 on three walls; on the fourth, x = 1, nothing flows: ∂u/∂x = ∂v/∂x = 0.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

import hop
from hop.config import experiment

SQUARE = hop.Box((0.0, 0.0), (1.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Reaction(hop.Problem):
    domain = SQUARE
    unknowns = ("u", "v")
    derivatives = ("", "xx", "yy")
    inputs = {
        "f": hop.GaussianField(SQUARE, ends="free", length=0.3),
        "kappa": hop.LogUniform(0.1, 1.0),
    }

    def residual(self, u, x, a, lam):
        (u, v), (Δu, Δv) = u[""], u["xx"] + u["yy"]
        f, kappa = a["f"][""], a["kappa"][""]
        return jnp.stack([-(lam.eps**2) * Δu + u - v - f, -kappa * Δv + v - u])

    def lift(self, network, x, a, lam):
        x, y = x
        return x * y * (1 - y) * network

    def conditions(self, lam):
        wall = np.stack([np.ones(33), np.linspace(0, 1, 33)], axis=1)
        return (hop.Condition((wall,), ("x",), lambda u, a, lam: u[0]["x"]),)


def get_config():
    config = experiment(network="deeponet")
    config.network.update(trunk=(64, 64, 64), rank=64, linear=("f",))
    config.path.eps = (0.3, 0.1)
    config.train.update(steps=1000, functions=32, points=200)
    config.data.fresh = True
    return config
