"""−ε² Δu + u = f on the unit square, u = 0 on its walls: the operator f ↦ u."""

import dataclasses

import hop
from hop.config import experiment
from hop.references import chebyshev_2d

SQUARE = hop.Box((0.0, 0.0), (1.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Reaction(hop.Problem):
    domain = SQUARE
    derivatives = ("", "xx", "yy")
    inputs = {"f": hop.GaussianField(SQUARE, ends="free", length=0.3)}

    def residual(self, u, x, a, lam):
        return -(lam.eps**2) * (u["xx"] + u["yy"]) + u[""] - a["f"][""]

    def lift(self, network, x, a, lam):
        x, y = x
        return x * (1 - x) * y * (1 - y) * network

    def reference(self, a, x, lam):
        return chebyshev_2d.solve(self, lam, SQUARE, 0.0, 20, a=a)(x)


def get_config():
    config = experiment(network="deeponet")
    config.network.update(trunk=(64, 64, 64), rank=64, linear=("f",))
    config.path.eps = (0.3, 0.1)
    config.train.update(steps=1000, functions=32, points=200)
    config.data.fresh = True
    return config
