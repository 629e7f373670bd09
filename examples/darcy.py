"""An input inside the operator: Darcy flow on the square, the map κ ↦ u.

−∇·(κ ∇u) = 1 on [0, 1]²,  u = 0 on the boundary,  κ = exp(g), g a Gaussian random field.

python examples/darcy.py runs/darcy
"""

import dataclasses
import sys

import jax.numpy as jnp

import hop
from hop.config import experiment
from hop.references import chebyshev_2d

SQUARE = hop.Box((0.0, 0.0), (1.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Darcy(hop.Problem):
    domain = SQUARE
    derivatives = ("x", "y", "xx", "yy")
    inputs = {"kappa": hop.GaussianField(SQUARE, length=0.3, std=0.5, sensors=11).map(jnp.exp)}

    def residual(self, u, x, a, lam):
        k = a["kappa"]
        flow = k[""] * (u["xx"] + u["yy"]) + k["x"] * u["x"] + k["y"] * u["y"]
        return -flow - 1

    def lift(self, network, x, a, lam):
        x, y = x
        return x * (1 - x) * y * (1 - y) * network

    def reference(self, a, x, lam):
        return chebyshev_2d.solve(self, lam, SQUARE, 0.0, 20, a=a)(x)


def get_config():
    config = experiment(network="deeponet")
    config.network.update(branch=(128, 128), trunk=(64, 64, 64), rank=64, activation="swish")
    config.path.eps = (1.0,)  # there is no small parameter
    config.train.update(steps=3000, functions=50, points=400)
    config.data.fresh = True
    return config


if __name__ == "__main__":
    hop.train(get_config(), sys.argv[1], Darcy())
