"""A PDE of your own: steady reaction–diffusion, with a boundary layer of width ε at each end.

H(u; ε) = u − ε² u″ − 1 = 0  on [0, 1],  u(0) = u(1) = 0.

python examples/reaction_diffusion.py runs/layers     # some 20 s on a CPU core
"""

import dataclasses
import sys

import numpy as np

import hop
from hop.config import experiment


@dataclasses.dataclass(frozen=True)
class ReactionDiffusion(hop.Problem):
    domain = hop.Box((0.0,), (1.0,))
    derivatives = ("", "x", "xx")

    def residual(self, u, x, a, lam):
        return u[""] - lam.eps**2 * u["xx"] - 1

    def lift(self, network, x, a, lam):
        (x,) = x
        return x * (1 - x) * network

    def reference(self, a, x, lam):
        x, eps = x.T, float(lam.eps)
        return 1 - (np.exp(-x / eps) + np.exp((x - 1) / eps)) / (1 + np.exp(-1 / eps))


def get_config():
    roles = {"strategy": "predictor_corrector", "solver": "levenberg_marquardt"}
    config = experiment(network="mlp", **roles)
    config.network.widths = (20, 20)
    config.path.eps = (0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.015, 0.01)
    config.train.update(precision="float64", steps=100, dispatch=5)
    config.train.update(points=320, sampler="adaptive", goal=1e-11)
    return config


if __name__ == "__main__":
    op = hop.train(get_config(), sys.argv[1], ReactionDiffusion())
    print("σ, the residual of a unit error at least:", hop.gauge(op).sigma)
