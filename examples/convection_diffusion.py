"""A layer built into the ansatz: convection–diffusion, the operator f ↦ u.

−ε u″ + u′ = f on [0, 1],  u(0) = u(1) = 0: a layer of width ε at x = 1.

u = x N(x) − N(1) E(x; ε), where E = (e^((x−1)/ε) − e^(−1/ε)) / (1 − e^(−1/ε)) solves the equation
without f. What is left of the residual is that of x N, which is smooth at every ε.
With layer=False, u = x (1 − x) N: the network has to make the layer itself.

python examples/convection_diffusion.py runs/layer
"""

import dataclasses
import sys

import jax.numpy as jnp
import numpy as np

import hop
from hop.config import experiment, parse
from hop.console import Console


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
        (x,) = x
        low = jnp.exp(-1 / lam.eps)
        return x * network - at_end * (jnp.exp((x - 1) / lam.eps) - low) / (1 - low)

    def reduced_residual(self, N, x, a, lam):
        (x,) = x
        first, second = N[""] + x * N["x"], 2 * N["x"] + x * N["xx"]  # of x N
        return -lam.eps * second + first - a["f"][""]

    def reference(self, a, x, lam):
        law, eps, x = self.inputs["f"], float(lam.eps), x[:, 0]
        c, k = np.asarray(a["f"].coefficients, float), np.sqrt(law.basis.eigenvalues)
        c0, c, k = c[:, :1], c * (k > 0), np.where(k > 0, k, 1) * np.ones_like(c)
        cosines = law.field(c * eps / (1 + (eps * k) ** 2))  # −ε u″ + u′ = cos kx is solved by
        slopes = law.field(c / k**2 / (1 + (eps * k) ** 2))  # (ε cos kx + sin kx / k)/(1 + ε²k²)
        part = lambda x: np.asarray(cosines(x) - slopes(x, 1)) + c0 * x
        p, q = part(np.zeros(1)), part(np.ones(1))
        low = np.exp(-1 / eps)
        return part(x) - p - (q - p) * (np.exp((x - 1) / eps) - low) / (1 - low)


def get_config():
    config = experiment(network="deeponet")
    config.network.update(trunk=(64, 64, 64), rank=64, linear=("f",))
    config.path.eps = (1.0, 0.1, 0.01, 1e-3, 1e-4)
    config.train.update(steps=1500, functions=64, points=128)
    config.data.fresh = True
    return config


if __name__ == "__main__":
    with Console() as console:
        problem = ConvectionDiffusion()
        hop.train(parse(get_config().to_dict()), sys.argv[1], console, problem=problem)
