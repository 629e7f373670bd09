"""Helmholtz on [−1, 1]²⁰ by continuation from ε = 1 to 1/50.

helmholtz_20d.py        a narrow network of sines, which holds the exact solution: it measures
                        the method, not the network; half a minute on a CPU core
helmholtz_20d.py:tanh   the paper's network, by block Kaczmarz; half an hour of a core
helmholtz_20d.py:paper  the same with the homotopy loss of Chen et al. (arXiv 2502.00488)
"""

from hop.config import experiment
from hop.errors import UserError

PLACES = "1.0 0.7 0.5 0.4 0.32 0.26 0.21 0.17 0.14 0.115 0.095 0.08 0.07 0.06 0.05 0.043 0.038 "
END = "0.033 0.029 0.0255 0.0225 0.02"
FINE_END = "0.0345 0.0315 0.029 0.027 0.0255 0.024 0.0225 0.021 0.02"  # here resonances are dense


def get_config(variant=""):
    if variant not in ("", "tanh", "paper"):
        raise UserError(f"no variant {variant!r} of helmholtz_20d.py; use tanh or paper")
    if variant == "paper":
        config = experiment(problem="helmholtz", network="mlp")
        config.strategy.tangent = 1.0
        config.strategy.tangent_share = float("inf")
        config.solver.optimizer = "adam"
        config.solver.learning_rate = 1e-3
        config.train.points = 1000
        config.train.steps = 500
    else:
        config = experiment(
            problem="helmholtz",
            network="mlp",
            strategy="predictor_corrector",
            solver="kaczmarz" if variant else "levenberg_marquardt",
        )
        config.train.precision = "float64"
    if not variant:
        config.network.widths = (8,)
        config.network.activation = "sin"
        config.train.points = 800
        config.train.steps = 60
        config.train.dispatch = 1
        config.train.patience = 6
        config.train.min_fall = 0.1
        config.train.goal = 1e-24
    if variant == "tanh":
        # The residual is about u/20: so weighed, boundary values and equation count alike.
        config.strategy.condition = 0.0025
        config.strategy.rtol = 0.0
        config.solver.damping = 2.5e-7
        config.problem.boundary_points = 8192
        config.train.sampler = "uniform"
        config.train.points = 1000
        config.train.steps = 800
        config.train.goal = 2e-12
        config.train.dispatch = 10
        config.train.patience = 40
    places = PLACES + (FINE_END if variant == "tanh" else END)
    config.path.eps = tuple(float(eps) for eps in places.split())
    config.mesh.function = 1
    config.mesh.point = -1
    return config
