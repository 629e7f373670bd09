"""Flow in a cavity whose lid moves."""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "single"):
        raise UserError(f"no variant {variant!r} of cavity.py; use single")
    if variant == "single":
        config = experiment(
            problem="cavity", network="mlp", strategy="curriculum", solver="levenberg_marquardt"
        )
        config.problem.lid = "regular"
        config.network.widths = (24, 24, 24)
        config.path.eps = (1e-2, 1 / 400, 1e-3, 1 / 3200)
        config.train.precision = "float64"
        config.train.tests = (24, 24)
        config.train.steps = 100
        config.train.dispatch = 5
        config.train.patience = 4
        config.train.min_fall = 0.1
        return config
    config = experiment(problem="cavity", network="deeponet", strategy="curriculum")
    config.problem.reynolds = (100.0, 1000.0)
    config.network.branch = (128, 128, 128)
    config.network.trunk = (64, 64, 64)
    config.network.rank = 128
    config.path.eps = (1e-3,)
    config.train.tests = (24, 24)
    config.train.functions = 32
    config.train.steps = 4000
    config.solver.learning_rate = 5e-3
    config.solver.anneal = 1.0
    config.train.validation = 20
    config.data.fresh = True
    return config
