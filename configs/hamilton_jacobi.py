"""A Hamilton–Jacobi equation with small noise, down to ε = 10⁻³.

hamilton_jacobi.py         d = 20, one cost, directly
hamilton_jacobi.py:family  d = 20, an operator of the cost, along ε = 1, 0.1, 0.01, 0.001
hamilton_jacobi.py:100d    d = 100, one cost, directly
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "family", "100d"):
        raise UserError(f"no variant {variant!r} of hamilton_jacobi.py; use family or 100d")
    network = "nonlinear_deeponet" if variant == "family" else "mlp"
    config = experiment(problem="hamilton_jacobi", network=network, strategy="curriculum")
    config.problem.cost = 1
    config.path.eps = (1e-3,)
    config.solver.learning_rate = 1e-2
    config.solver.anneal = 1.0
    config.train.sampler = "uniform"
    config.train.patience = 100_000
    config.train.dispatch = 200
    if variant == "family":
        config.problem.cost = -1
        config.network.update(branch=(64, 64), trunk=(64,), rank=24, channels=4, decoder=(64, 64))
        config.path.eps = (1.0, 0.1, 1e-2, 1e-3)
        config.train.functions = 32
        config.train.points = 32
        config.train.steps = 3_500
        config.train.validation = 20
        config.data.fresh = True
        return config
    config.network.widths = (128, 128)
    config.train.points = 256
    config.train.steps = 5_000
    if variant == "100d":
        config.problem.dim = 100
        config.train.points = 128
    return config
