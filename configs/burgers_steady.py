"""The steady Burgers operator on `paper` fields, down in ε at s = 0.

At s = 0 the steady state is unique, so the operator is constant in its input (see the module of the
problem): the paper's table, not a test of operator learning. For that see burgers_steady_unit.py.
The residual decides the shock's place down to ε of about 0.04; below, the path carries it, unless
--config.problem.symmetry=odd gives it by symmetry.

    burgers_steady.py             ε = 0.5 … 0.01, about 7 minutes on 2 CPU cores
    burgers_steady.py:quickstart  ε = 0.5 … 0.05, about 1 minute
    burgers_steady.py:paper       the path and loss of Chen et al. (arXiv 2502.00488), 3 minutes
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    config = experiment(problem="burgers_steady", network="deeponet")
    config.problem.field = "paper"
    if variant == "paper":
        config.path.s = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.0)
        config.path.eps_target = 0.05
        config.strategy.tangent = 1.0
        config.strategy.tangent_share = float("inf")
        config.solver.optimizer = "adam"
        config.solver.learning_rate = 1e-3
        config.train.sampler = "grid"
        return config
    if variant not in ("", "quickstart"):
        raise UserError(f"no variant {variant!r} of burgers_steady.py; use paper or quickstart")
    config.path.eps = (0.5, 0.2, 0.1, 0.07, 0.05)
    config.strategy.slow = 1.0
    config.train.steps = 1500
    if variant == "quickstart":
        return config
    config.path.eps = (*config.path.eps, 0.04, 0.03, 0.025, 0.02, 0.015, 0.01)
    config.train.steps = 3000
    config.train.points = 256
    config.train.functions = 40
    return config
