"""Steady Allen–Cahn on an interval, with the paper's network, down to ε = 0.001.

Predictor–corrector continuation with Levenberg–Marquardt in float64. Below ε of about 0.1 a small
loss no longer places the interface: its slow mode is then pinned, where the gauge expects it down
to ε of about 0.04, below that where the path carries it; `hop evaluate` tells which. A case where
the interface truly moves is --config.problem.left=-2.0 --config.problem.right=1.1, down to 0.03.

    allen_cahn_1d.py        ε = 0.5 … 0.001, a minute or two on a CPU core
    allen_cahn_1d.py:paper  Strategy 1 of Chen et al. (arXiv 2502.00488): forward Euler from
                            ε = 0.1 to 0.01 in steps of 0.001, likewise
"""

from hop.config import experiment
from hop.errors import UserError

PLACES = """0.5 0.4 0.3 0.25 0.2 0.16 0.13 0.115 0.1 0.09 0.08 0.07 0.06 0.05 0.04 0.03 0.025 0.02
0.016 0.013 0.01 0.008 0.0063 0.005 0.004 0.0032 0.0025 0.002 0.0016 0.0013 0.001"""


def get_config(variant=""):
    if variant not in ("", "paper"):
        raise UserError(f"no variant {variant!r} of allen_cahn_1d.py; use paper")
    config = experiment(
        problem="allen_cahn_1d",
        network="mlp",
        strategy="euler" if variant else "predictor_corrector",
        solver="levenberg_marquardt",
    )
    config.mesh.function = 1
    config.mesh.point = -1
    config.train.precision = "float64"
    config.train.points = 400
    config.train.steps = 100
    config.train.dispatch = 1
    config.train.patience = 8
    config.train.min_fall = 0.1
    config.train.goal = 1e-14
    if variant == "paper":
        config.path.eps = tuple(round(0.1 - 0.001 * k, 3) for k in range(91))
        return config
    config.path.eps = tuple(float(eps) for eps in PLACES.split())
    config.train.sampler = "adaptive"
    config.strategy.pin = 3e-6
    return config
