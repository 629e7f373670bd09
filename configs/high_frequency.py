"""The fit of sin(πx/ε) on [0, 1].

high_frequency.py        ε = 1/15 … 1/200 by a wide layer of sines, 2 minutes on a CPU core
high_frequency.py:tanh   the paper's network, ε = 1/2 … 1/50 by continuation, some 10 minutes
high_frequency.py:paper  the same network and path with the homotopy loss of Chen et al.
                         (arXiv 2502.00488)
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "tanh", "paper"):
        raise UserError(f"no variant {variant!r} of high_frequency.py; use tanh or paper")
    if variant == "paper":
        config = experiment(problem="high_frequency", network="mlp")
        config.strategy.tangent = 1.0
        config.strategy.tangent_share = float("inf")
        config.solver.optimizer = "adam"
        config.solver.learning_rate = 1e-3
        config.train.steps = 10_000
        config.train.points = 800
    else:
        config = experiment(
            problem="high_frequency",
            network="mlp",
            strategy="predictor_corrector",
            solver="levenberg_marquardt",
        )
        config.train.precision = "float64"
        config.train.steps = 100
        config.train.dispatch = 5
        config.train.points = 800
        config.train.patience = 20
        config.train.min_fall = 0.1
        config.train.goal = 2e-7
    frequencies = (2, 4, 6, 8, 10, 12, *range(15, 46, 2), 47.5, 50)
    if not variant:
        config.network.widths = (200,)
        config.network.activation = "sin"
        config.network.frequency = 300.0
        config.train.points = 2000
        config.train.patience = 4
        config.train.goal = 1e-20
        frequencies = (15, 25, 35, 50, 75, 100, 125, 150, 175, 200)
    if variant == "tanh":  # a stage that ends in a trap is tried again at half the step
        config.path.adaptive = True
        config.path.tolerance = 5e-6
    config.path.eps = tuple(1 / n for n in frequencies)
    config.mesh.function = 1
    config.mesh.point = -1
    return config
