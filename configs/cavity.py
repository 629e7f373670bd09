"""Flow in a cavity whose lid moves, steady Navier–Stokes, by the weak residual.

cavity.py          an operator of the lid's velocity and of Re from 100 to 1,000
cavity.py:single   one function, a smooth lid, along Re = 100, 400, 1,000, 1,800, 3,200
cavity.py:unit     the same for the usual lid, U = 1, to Re = 1,000
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "single", "unit"):
        raise UserError(f"no variant {variant!r} of cavity.py; use single or unit")
    if variant:
        config = experiment(
            problem="cavity", network="mlp", strategy="curriculum", solver="levenberg_marquardt"
        )
        config.problem.lid = "unit" if variant == "unit" else "regular"
        config.network.widths = (24, 24, 24)
        numbers = (100, 400, 1000) if variant == "unit" else (100, 400, 1000, 1800, 3200)
        config.path.eps = tuple(1 / number for number in numbers)
        config.train.tests = (24, 24) if variant == "unit" else (28, 28)
        config.train.precision = "float64"
        config.train.steps = 120 if variant == "unit" else 80
        config.train.dispatch = 5
        config.train.patience = 100
        return config
    config = experiment(problem="cavity", network="deeponet", strategy="curriculum")
    config.problem.reynolds = (100.0, 1000.0)
    config.network.branch = (128, 128, 128)
    config.network.trunk = (64, 64, 64)
    config.network.rank = 128
    config.path.eps = (1e-3,)
    config.train.tests = (24, 24)
    config.train.functions = 32
    config.train.steps = 20_000
    config.train.validation = 20
    config.solver.anneal = 1.0
    config.data.fresh = True
    return config
