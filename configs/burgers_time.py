"""Burgers' equation in time on periodic fields, viscosity 0.03 and 0.01.

burgers_time.py        a DeepONet with a nonlinear decoder
burgers_time.py:plain  a plain one, on the same path

So far measured: 3,000 steps at viscosity 0.01 alone (--config.path.eps=(0.01,)), a quarter of an
hour on one busy core, L2RE 0.7 % on 100 held-out functions, 3 % on the worst.
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "plain"):
        raise UserError(f"no variant {variant!r} of burgers_time.py; use plain")
    network = "deeponet" if variant else "nonlinear_deeponet"
    config = experiment(problem="burgers_time", network=network)
    config.network.branch = (128, 128, 128)
    config.network.trunk = (128, 128, 128)
    config.network.harmonics = 4
    config.network.rank = 128 if variant else 32
    config.path.eps = (0.03, 0.01)
    config.strategy.tangent = 0.0
    config.solver.learning_rate = 1e-2
    config.solver.warmup = 100
    config.solver.anneal = 1.0
    config.train.steps = 3000
    config.train.functions = 50
    config.train.points = 1000
    config.mesh.function = 1
    config.mesh.point = -1
    return config
