"""The steady Burgers operator on `paper` fields, down in ε at s = 0.

At s = 0 the steady state is unique, so the operator is constant in its input (see the module of the
problem): the paper's table, not a test of operator learning. For that see burgers_steady_unit.py.
The residual decides the shock's place down to ε of about 0.04; below, the path carries it, unless
--config.problem.symmetry=odd gives it by symmetry. In float64 the one solution itself is told
further, down to 0.013.

    burgers_steady.py             ε = 0.5 … 0.01, about 7 minutes on 2 CPU cores
    burgers_steady.py:quickstart  ε = 0.5 … 0.05, about 1 minute
    burgers_steady.py:paper       the path and loss of Chen et al. (arXiv 2502.00488), 3 minutes
    burgers_steady.py:one         the one solution as no operator, by least squares in float64: ε =
                                  0.5 … 0.005 with its slow mode pinned once the gauge is at its
                                  end, about 2 minutes on a CPU core
"""

from hop.config import experiment
from hop.errors import UserError

PLACES = """0.5 0.4 0.3 0.25 0.2 0.16 0.13 0.115 0.1 0.09 0.08 0.07 0.06 0.05 0.045 0.04 0.035 0.03
0.025 0.02 0.016 0.013 0.01 0.008 0.0063 0.005"""


def get_config(variant=""):
    if variant == "one":
        return _one()
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
        raise UserError(
            f"no variant {variant!r} of burgers_steady.py; use paper, quickstart or one"
        )
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


def _one():
    config = experiment(
        problem="burgers_steady",
        network="mlp",
        strategy="predictor_corrector",
        solver="levenberg_marquardt",
    )
    config.problem.field = "none"
    config.path.eps = tuple(float(eps) for eps in PLACES.split())
    config.strategy.pin = 3e-6
    config.mesh.function = 1
    config.mesh.point = -1
    config.train.precision = "float64"
    config.train.sampler = "adaptive"
    config.train.points = 400
    config.train.steps = 100
    config.train.dispatch = 1
    config.train.patience = 8
    config.train.min_fall = 0.1
    config.train.goal = 1e-14
    return config
