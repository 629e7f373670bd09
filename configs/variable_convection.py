"""Convection–diffusion with a random velocity, (f, b) ↦ u, ε an input.

One network for every ε from 1 to 10⁻⁶, in one stage; linear in f, a branch sees b.
"""

from hop.config import experiment


def get_config():
    config = experiment(problem="variable_convection", network="deeponet")
    config.network.update(linear=("f",), branch=(64, 64), trunk=(64, 64, 64), rank=64)
    config.network.activation = "swish"
    config.ansatz.eps = (1e-6, 1.0)
    config.path.eps = (1e-6,)
    config.strategy.tangent = 0.0
    config.solver.anneal = 1.0
    config.train.steps = 25_000
    config.train.patience = 100_000
    config.train.functions = 16
    config.train.points = 256
    config.train.sampler = "layered"
    config.data.fresh = True
    return config
