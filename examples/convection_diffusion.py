"""A layer built into the ansatz: convection–diffusion, the operator f ↦ u.

−ε u″ + u′ = f on [0, 1],  u(0) = u(1) = 0: a layer of width ε at x = 1.

u = x N(x) − N(1) E(x; ε), where E = (e^((x−1)/ε) − e^(−1/ε)) / (1 − e^(−1/ε)) solves the equation
without f. What is left of the residual is that of x N, which is smooth at every ε.

python examples/convection_diffusion.py runs/layer
"""

import dataclasses
import sys

import jax.numpy as jnp

import hop
from hop.config import experiment
from hop.references import chebyshev


@dataclasses.dataclass(frozen=True)
class ConvectionDiffusion(hop.Problem):
    domain = hop.Box((0.0,), (1.0,))
    derivatives = ("", "x", "xx")
    inputs = {"f": hop.GaussianField(domain, ends="free", length=0.2, std=1.0)}

    def residual(self, u, x, a, lam):
        return -lam.eps * u["xx"] + u["x"] - a["f"][""]

    def traces(self, x):
        return (jnp.ones((1, 1, 1), x.dtype),)

    def lift(self, network, x, a, lam, at_end):
        low = jnp.exp(-1 / lam.eps)
        layer = (jnp.exp((x[0] - 1) / lam.eps) - low) / (1 - low)
        return x[0] * network - at_end * layer

    def reduced_residual(self, N, x, a, lam):
        (x,) = x
        first, second = N[""] + x * N["x"], 2 * N["x"] + x * N["xx"]  # of x N
        return -lam.eps * second + first - a["f"][""]

    def reference(self, a, x, lam):
        nodes = 48 + int(6 / float(lam.eps) ** 0.5)  # they lie dense at the ends
        return chebyshev.solve(self, a, [lam], (0.0, 1.0), (0.0, 0.0), nodes)(x[:, 0])


def get_config():
    config = experiment(network="deeponet")
    config.network.update(trunk=(64, 64, 64), rank=64, linear=("f",))
    config.path.eps = (1.0, 0.1, 0.01, 1e-3, 1e-4)
    config.train.update(steps=1500, functions=64, points=128)
    config.data.fresh = True
    return config


if __name__ == "__main__":
    hop.train(get_config(), sys.argv[1], ConvectionDiffusion())
