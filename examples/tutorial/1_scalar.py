"""−ε² Δu + u = 1 on the unit square, u = 0 on its walls."""

import dataclasses

import hop
from hop.config import experiment

SQUARE = hop.Box((0.0, 0.0), (1.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Reaction(hop.Problem):
    domain = SQUARE
    derivatives = ("", "xx", "yy")

    def residual(self, u, x, a, lam):
        return -(lam.eps**2) * (u["xx"] + u["yy"]) + u[""] - 1

    def lift(self, network, x, a, lam):
        x, y = x
        return x * (1 - x) * y * (1 - y) * network


def get_config():
    how = {"strategy": "predictor_corrector", "solver": "levenberg_marquardt"}
    config = experiment(network="mlp", **how)
    config.network.widths = (20, 20)
    config.path.eps = (0.3, 0.1)
    config.train.update(steps=60, points=1500, precision="float64")
    return config
