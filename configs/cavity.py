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
        config.path.eps = (1e-2, 1e-3, 1 / 3200)
        config.train.precision = "float64"
        config.train.tests = (24, 24)
        config.train.steps = 60
        config.train.dispatch = 1
        config.train.patience = 4
        config.train.min_fall = 0.1
        return config
    return config
