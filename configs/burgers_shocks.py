"""Burgers' equation in time at small viscosity, by smooth branches that meet in shocks.

burgers_shocks.py          viscosity 0.001, 0.0003 and 0.0001, a Fourier neural operator, on new
                           functions at every step: that of the pretrained model
burgers_shocks.py:direct   the same, at viscosity 0.0001 alone
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "direct"):
        raise UserError(f"no variant {variant!r} of burgers_shocks.py; use direct")
    config = experiment(problem="burgers_shocks", network="fno")
    config.network.layers = 2
    config.ansatz.harmonics = 16
    config.path.eps = (0.0001,) if variant else (0.001, 0.0003, 0.0001)
    config.strategy.tangent = 0.0
    config.solver.learning_rate = 1e-2
    config.solver.warmup = 100
    config.solver.anneal = 1.0
    config.train.steps = 4000
    config.train.functions = 50
    config.train.points = 1000
    config.train.patience = 1_000_000  # no early end
    config.data.fresh = True
    return config
