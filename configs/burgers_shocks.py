"""Burgers' equation in time at small viscosity, by smooth branches that meet in shocks.

burgers_shocks.py          one network for all viscosities from 0.001 to 0.0001, a DeepONet with a
                           nonlinear decoder, on new functions at every step: that of the pretrained
                           model, some 40 minutes on one CPU core
burgers_shocks.py:fourier  the same with a Fourier neural operator, at viscosity 0.0001 alone
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "fourier"):
        raise UserError(f"no variant {variant!r} of burgers_shocks.py; use fourier")
    fourier = variant == "fourier"
    network = "fno" if fourier else "nonlinear_deeponet"
    config = experiment(problem="burgers_shocks", network=network)
    if fourier:
        config.network.layers = 2
    else:
        config.network.branch = config.network.trunk = (128, 128, 128)
        config.network.update(rank=32, activation="swish")
        config.ansatz.eps = (0.0001, 0.001)
    config.ansatz.harmonics = 16 if fourier else 4
    config.path.eps = (0.0001,)
    config.strategy.tangent = 0.0
    config.solver.learning_rate = 1e-2
    config.solver.warmup = 100
    config.solver.anneal = 1.0
    config.train.steps = 4000 if fourier else 11_000
    config.train.functions = 50
    config.train.points = 1000
    config.train.patience = 1_000_000  # no early end
    config.data.fresh = True
    config.mesh.function = 1
    config.mesh.point = -1
    return config
