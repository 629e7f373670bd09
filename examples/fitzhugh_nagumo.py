"""Two unknowns in time: FitzHugh–Nagumo on a circle, the operator u₀ ↦ (u, v).

u_t = ε u_xx + 2 (u − u³ − v),  v_t = u − v,  u(x, 0) = u₀(x), v(x, 0) = 0, periodic in x, t ≤ 1.

python examples/fitzhugh_nagumo.py runs/fhn
"""

import dataclasses
import sys

import jax.numpy as jnp
import numpy as np

import hop
from hop.config import experiment
from hop.references import spectral


def reaction(uv):
    u, v = uv
    return jnp.stack([2 * (u - u**3 - v), u - v])


reactions = spectral.pointwise(reaction, degree=3)
LAW = hop.GaussianField(hop.Box((0.0,), (1.0,)), ends="periodic", length=0.2, std=0.5)


@dataclasses.dataclass(frozen=True)
class FitzHughNagumo(hop.Problem):
    domain = hop.Box((0.0, 0.0), (1.0, 1.0), periodic=("x",))
    unknowns, derivatives = ("u", "v"), ("", "t", "xx")
    inputs = {"u0": LAW}

    def residual(self, u, x, a, lam):
        diffusion = jnp.stack([lam.eps * u["xx"][0], 0 * u["xx"][1]])
        return u["t"] - diffusion - reaction(u[""])

    def lift(self, network, x, a, lam):
        return jnp.stack([a["u0"], 0 * a["u0"]]) + x[1] * network

    def reference(self, a, x, lam):
        start = a["u0"], LAW.field(0 * a["u0"].coefficients)
        symbol = lambda omega: np.stack([-float(lam.eps) * omega**2, 0 * omega])
        modes, steps = np.full((2, a["u0"].count), [[96], [200]])
        return spectral.solve(reactions, symbol, start, *x.T, modes, steps, block=64)


def get_config():
    config = experiment(network="nonlinear_deeponet")
    config.network.update(branch=(64, 64), trunk=(64, 64, 64), rank=32, activation="swish")
    config.path.eps = (0.1, 0.03, 0.01)
    config.train.update(steps=2000, functions=50, points=200)
    config.solver.learning_rate, config.data.fresh = 1e-2, True
    return config


if __name__ == "__main__":
    hop.train(get_config(), sys.argv[1], FitzHughNagumo())
