"""Burgers' equation in the plane, in time, on periodic fields.

burgers_2d.py           a Fourier neural operator that is read at any point, of an eighth of the
                        time, trained at viscosity 0.01 on new functions at every step; some 45
                        minutes on a CPU core
burgers_2d.py:deeponet  a DeepONet with a nonlinear decoder in its place
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "deeponet"):
        raise UserError(f"no variant {variant!r} of burgers_2d.py; use deeponet")
    network = "nonlinear_deeponet" if variant else "fno"
    config = experiment(problem="burgers_2d", network=network)
    if variant:
        config.network.branch = (256, 256, 256)
        config.network.trunk = (128, 128, 128)
        config.network.update(rank=64, channels=16, activation="swish")
    config.ansatz.harmonics = 4 if variant else 8
    config.ansatz.windows = 8
    config.path.eps = (0.01,)
    config.strategy.tangent = 0.0
    config.solver.learning_rate = 1e-2
    config.solver.warmup = 100
    config.solver.anneal = 1.0
    config.train.steps = 7000
    config.train.functions = 16
    config.train.points = 1024
    config.train.patience = 1_000_000  # no early end
    config.train.validation = 20
    config.data.fresh = True
    return config
