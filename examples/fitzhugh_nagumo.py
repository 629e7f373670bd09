"""Two unknowns in time: FitzHugh–Nagumo on a circle, the operator u₀ ↦ (u, v).

u_t = ε u_xx + 4 (u − u³ − v),  v_t = u − v,  u(x, 0) = u₀(x), v(x, 0) = 0, periodic in x, t ≤ 1.
As ε falls, the fronts between u ≈ 1 and u ≈ −1 get steep, of width √ε.

python examples/fitzhugh_nagumo.py runs/fhn
"""

import dataclasses
import sys

import jax.numpy as jnp
import numpy as np

import hop
from hop.config import experiment, parse
from hop.console import Console
from hop.references import spectral


def reaction(uv):
    u, v = uv
    return jnp.stack([4 * (u - u**3 - v), u - v])


reactions = spectral.pointwise(reaction, degree=3)


@dataclasses.dataclass(frozen=True)
class FitzHughNagumo(hop.Problem):
    domain = hop.Box((0.0, 0.0), (1.0, 1.0), periodic=("x",))
    unknowns = ("u", "v")
    derivatives = ("", "t", "xx")
    inputs = {"u0": hop.GaussianField(hop.Box((0.0,), (1.0,)), ends="periodic", length=0.2, std=0.5)}

    def residual(self, u, x, a, lam):
        diffusion = jnp.stack([lam.eps * u["xx"][0], jnp.zeros_like(u["xx"][1])])
        return u["t"] - diffusion - reaction(u[""])

    def lift(self, network, x, a, lam):
        start = jnp.stack([a["u0"], jnp.zeros_like(a["u0"])])
        return start + x[1] * network

    def reference(self, a, x, lam):
        n, start = a["u0"].count, (a["u0"], self.inputs["u0"].field(0 * a["u0"].coefficients))
        symbol = lambda omega: np.stack([-float(lam.eps) * omega**2, 0 * omega])
        counts = np.full(n, 96), np.full(n, 200)  # of modes, and of steps in a unit of time
        return spectral.solve(reactions, symbol, start, x[:, 0], x[:, 1], *counts, block=64)


def get_config():
    config = experiment(network="nonlinear_deeponet")
    config.network.update(branch=(64, 64), trunk=(64, 64, 64), rank=32, activation="swish")
    config.path.eps = (0.1, 0.03, 0.01)
    config.train.update(steps=2000, functions=50, points=400)
    config.solver.learning_rate = 1e-2
    config.data.fresh = True
    return config


if __name__ == "__main__":
    with Console() as console:
        hop.train(parse(get_config().to_dict()), sys.argv[1], console, problem=FitzHughNagumo())
