"""Reaction–diffusion, f ↦ u, with a layer of width ε at either end, ε an input.

One network for every ε from 1 to 10⁻⁶, in one stage.
"""

from hop.config import experiment


def get_config():
    config = experiment(problem="reaction_diffusion", network="deeponet")
    config.network.update(linear=("f",), trunk=(64, 64, 64), rank=64, activation="swish")
    config.ansatz.eps = (1e-6, 1.0)
    config.path.eps = (1e-6,)
    config.strategy.tangent = 0.0
    config.solver.anneal = 1.0
    config.train.steps = 120_000
    config.train.patience = 100_000
    config.train.functions = 12  # the law has 11 modes
    config.train.points = 128
    config.data.modes = True
    return config
