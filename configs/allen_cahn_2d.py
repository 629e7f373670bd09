"""Allen–Cahn on [−1, 1]² from u₀ = −sin πx sin πy to its steady state, with the paper's network.

    allen_cahn_2d.py        predictor–corrector continuation with Levenberg–Marquardt in float64
    allen_cahn_2d.py:paper  the path and loss of Chen et al. (arXiv 2502.00488)

The steady state is a saddle; the network is made odd in x and in y, which removes the directions
in which it would be left. --config.problem.symmetry=none shows what happens otherwise.
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "paper"):
        raise UserError(f"no variant {variant!r} of allen_cahn_2d.py; use paper")
    if variant == "paper":
        config = experiment(problem="allen_cahn_2d", network="mlp")
        config.path.s = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.0)
        config.path.eps_target = 0.05
        config.strategy.tangent = 1.0
        config.strategy.tangent_share = float("inf")
        config.solver.optimizer = "adam"
        config.solver.learning_rate = 1e-3
        config.train.points = 1600
        config.train.sampler = "grid"
    else:
        config = experiment(
            problem="allen_cahn_2d",
            network="mlp",
            strategy="predictor_corrector",
            solver="levenberg_marquardt",
        )
        config.path.s = (1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.0)
        config.path.eps_target = 0.05
        config.train.precision = "float64"
        config.train.points = 1600
        config.train.steps = 40
        config.train.dispatch = 1
        config.train.save_every = 20
        config.train.patience = 5
        config.train.min_fall = 0.1
        config.train.goal = 1e-14
    config.mesh.function = 1
    config.mesh.point = -1
    return config
