"""Convection, diffusion and reaction in a random wind, b ↦ u, straight at the target ε.

random_wind.py                the square, ε = 0.01, without reaction
random_wind.py:reaction       the same, with c = 10
random_wind.py:cube           the cube, ε an input: one network for every ε from 1 to 0.02
random_wind.py:cube_reaction  the same, with c = 10
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "reaction", "cube", "cube_reaction"):
        raise UserError(
            f"no variant {variant!r} of random_wind.py; use reaction, cube or cube_reaction"
        )
    config = experiment(problem="random_wind", network="deeponet")
    config.network.update(branch=(256, 256), trunk=(96, 96, 96), rank=128, activation="swish")
    config.path.eps = (0.01,)
    config.strategy.tangent = 0.0
    config.solver.learning_rate = 1e-2
    config.solver.anneal = 1.0
    config.train.steps = 2_400
    config.train.patience = 100_000
    config.train.functions = 256
    config.train.points = 200
    config.data.fresh = True
    if variant.endswith("reaction"):
        config.problem.reaction = 10.0
    if variant.startswith("cube"):
        config.problem.dim = 3
        config.ansatz.eps = (0.02, 1.0)
        config.path.eps = (0.02,)
        config.train.steps = 4_000
    return config
