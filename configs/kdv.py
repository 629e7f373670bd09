"""The equation of Korteweg and de Vries on periodic fields.

kdv.py         a Fourier neural operator of u₀, on new functions at every step
kdv.py:single  the benchmark's u₀ = cos πx, by Levenberg–Marquardt in float64
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "single"):
        raise UserError(f"no variant {variant!r} of kdv.py; use single")
    if variant == "single":
        config = experiment(
            problem="kdv",
            network="mlp",
            strategy="predictor_corrector",
            solver="levenberg_marquardt",
        )
        config.problem.start = "benchmark"
        config.network.widths = (28, 28, 28)
        config.network.frequency = 2.0
        config.ansatz.harmonics = 4
        config.path.s = (0.8, 0.72, 0.66, 0.6, 0.55, 0.5, 0.44, 0.38, 0.3, 0.2, 0.1, 0.0)
        config.path.eps = (0.022**2,) * len(config.path.s)
        config.train.precision = "float64"
        config.train.points = 4000
        config.train.sampler = "by_residual"
        config.train.steps = 10
        config.train.dispatch = 5
        config.train.patience = 100
        return config
    config = experiment(problem="kdv", network="fno")
    config.ansatz.harmonics = 24
    config.path.s = (0.7, 0.4, 0.0)
    config.path.eps = (0.022**2,) * len(config.path.s)
    config.strategy.tangent = 0.0
    config.solver.learning_rate = 1e-2
    config.solver.warmup = 100
    config.solver.anneal = 1.0
    config.train.steps = 400
    config.train.functions = 16
    config.train.points = 512
    config.train.patience = 1_000_000  # no early end
    config.train.validation = 20
    config.data.fresh = True
    return config
