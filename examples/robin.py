"""A soft condition and an input that is free at the ends: reaction–diffusion, the operator f ↦ u.

−ε² u″ + u = f on [0, 1],  ε u′(0) = u(0) (Robin),  u(1) = 0.

python examples/robin.py runs/robin
"""

import dataclasses
import sys

import jax.numpy as jnp
import numpy as np

import hop
from hop.config import experiment


@dataclasses.dataclass(frozen=True)
class Robin(hop.Problem):
    domain = hop.Box((0.0,), (1.0,))
    derivatives = ("", "xx")
    inputs = {"f": hop.GaussianField(domain, ends="free", length=0.2, std=1.0)}

    def residual(self, u, x, a, lam):
        return -(lam.eps**2) * u["xx"] + u[""] - a["f"][""]

    def trunk_features(self, x, lam):
        (x,) = x
        return jnp.exp(-x / lam.eps), jnp.exp((x - 1) / lam.eps)

    def lift(self, network, x, a, lam):
        (x,) = x
        return (1 - x) * network

    def conditions(self, lam):
        start = np.zeros((1, 1))
        rows = lambda u, a, lam: lam.eps * u[0]["x"] - u[0][""]
        return (hop.Condition((start,), ("", "x"), rows),)

    def reference(self, a, x, lam):
        law, eps, x = self.inputs["f"], float(lam.eps), x[:, 0]
        part = law.field(a["f"].coefficients / (1 + eps**2 * law.basis.eigenvalues))
        A = -part(np.zeros(1)) / 2  # the slope of the part, a sum of cosines, vanishes at 0
        B = -part(np.ones(1)) - A * np.exp(-1 / eps)
        return part(x) + A * np.exp(-x / eps) + B * np.exp((x - 1) / eps)


def get_config():
    config = experiment(network="deeponet")
    config.network.update(trunk=(64, 64, 64), rank=64, linear=("f",))
    config.path.eps = (0.5, 0.2, 0.1, 0.05)
    config.train.update(steps=1500, functions=64, points=128)
    config.data.fresh = True
    return config


if __name__ == "__main__":
    hop.train(get_config(), sys.argv[1], Robin())
