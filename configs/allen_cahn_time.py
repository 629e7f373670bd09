"""Allen–Cahn in time on periodic fields.

allen_cahn_time.py         a Fourier neural operator of u₀, on new functions at every step
allen_cahn_time.py:single  the benchmark's u₀ = x² cos πx, by Levenberg–Marquardt in float64
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "single"):
        raise UserError(f"no variant {variant!r} of allen_cahn_time.py; use single")
    if variant == "single":
        config = experiment(
            problem="allen_cahn_time",
            network="mlp",
            strategy="curriculum",
            solver="levenberg_marquardt",
        )
        config.problem.start = "benchmark"
        config.network.widths = (20, 20, 20)
        config.network.frequency = 2.0
        config.ansatz.harmonics = 2
        config.path.eps = (1e-4,)
        config.train.precision = "float64"
        config.train.points = 3000
        config.train.sampler = "by_residual"
        config.train.steps = 60
        config.train.dispatch = 5
        config.train.patience = 100
        return config
    config = experiment(problem="allen_cahn_time", network="fno")
    config.ansatz.harmonics = 16
    config.path.eps = (1e-4,)
    config.strategy.tangent = 0.0
    config.solver.learning_rate = 1e-3
    config.solver.warmup = 100
    config.solver.anneal = 1.0
    config.train.steps = 1000
    config.train.functions = 16
    config.train.points = 512
    config.train.patience = 1_000_000  # no early end
    config.train.validation = 20
    config.data.fresh = True
    return config
