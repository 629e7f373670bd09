"""Allen–Cahn on [−1, 1]² from u₀ = −sin πx sin πy to its steady state, a saddle.

u is odd about the interfaces and about the boundary. A network of sin πx and sin πy that is made
odd in x and in y has all of that built in, so its boundary values hold by themselves.

    allen_cahn_2d.py        predictor–corrector continuation with Levenberg–Marquardt in float64,
                            (s, ε) from (1, 1) to (0, 0.02); two minutes of a CPU core
    allen_cahn_2d.py:free   the same to (0, 0.05) with exact boundary values and no symmetry: the
                            interfaces leave their places, which the residual hardly feels
    allen_cahn_2d.py:paper  the path and loss of Chen et al. (arXiv 2502.00488) to (0, 0.05), with
                            u odd in x and in y
"""

from hop.config import experiment
from hop.errors import UserError

S = (1.0, 0.5, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05)  # ε = s, then s = 0 and
EPS = (0.05, 0.04, 0.03, 0.025, 0.02)


def get_config(variant=""):
    if variant not in ("", "free", "paper"):
        raise UserError(f"no variant {variant!r} of allen_cahn_2d.py; use free or paper")
    if variant == "paper":
        config = experiment(problem="allen_cahn_2d", network="mlp")
        config.path.s = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.0)
        config.path.eps_target = 0.05
        config.strategy.tangent = 1.0
        config.strategy.tangent_share = float("inf")
        config.solver.optimizer = "adam"
        config.solver.learning_rate = 1e-3
        config.train.points = 1024
    else:
        config = experiment(
            problem="allen_cahn_2d",
            network="mlp",
            strategy="predictor_corrector",
            solver="levenberg_marquardt",
        )
        config.network.widths = (20, 20, 20)
        config.train.precision = "float64"
        config.train.points = 1600
        config.train.steps = 40
        config.train.dispatch = 1
        config.train.patience = 4
        config.train.min_fall = 0.2
        config.train.goal = 1e-11
        eps = EPS[:1] if variant else EPS
        config.path.s = S + (0.0,) * len(eps)
        config.path.eps = S + eps
        if not variant:
            config.network.sines = 2
            config.problem.conditions_by = "loss"
        else:
            config.problem.symmetry = "none"
    config.mesh.function = 1
    config.mesh.point = -1
    return config
