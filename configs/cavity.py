"""Flow in a cavity whose lid moves, steady Navier–Stokes, by the weak residual.

cavity.py            an operator of the lid's velocity and of Re from 100 to 1,000
cavity.py:wide       the same to Re = 3,200
cavity.py:high       Re from 500 to 5,000, at a fifth of each Re first
cavity.py:single     one function, a smooth lid, along Re = 100, 400, 1,000, 1,800, 3,200, 5,000
cavity.py:unit       the same for the usual lid, U = 1, to Re = 3,200
cavity.py:unit_wide  U = 1 for every Re from 50 to 1,000
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "wide", "high", "single", "unit", "unit_wide"):
        raise UserError(
            f"no variant {variant!r} of cavity.py; use wide, high, single, unit or unit_wide"
        )
    if variant in ("single", "unit"):
        config = experiment(
            problem="cavity", network="mlp", strategy="curriculum", solver="levenberg_marquardt"
        )
        config.problem.lid = "unit" if variant == "unit" else "regular"
        config.network.widths = (14, 14, 14, 14)
        config.network.activation = "swish"
        config.network.frequency = 3.0
        numbers = (100, 400, 1000, 1800, 3200, 5000)
        config.path.eps = tuple(1 / number for number in numbers[: 5 if variant == "unit" else 6])
        # Twice as many as the network has parameters: with fewer, the loss falls and the error not.
        config.train.tests = (36, 36)
        config.train.precision = "float64"
        config.train.steps = 40
        config.train.dispatch = 5
        config.train.patience = 100
        return config
    strategy = "homotopy_loss" if variant == "high" else "curriculum"
    config = experiment(problem="cavity", network="deeponet", strategy=strategy)
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
    if variant:
        config.train.validation = 4  # references that take seconds each
    if variant == "wide":
        config.problem.reynolds = (100.0, 3200.0)
        config.train.tests = (32, 32)
    if variant == "high":
        config.problem.reynolds = (500.0, 5000.0)
        config.network.trunk = (96, 96, 96)
        config.path.s, config.path.eps = (0.8, 0.0), (1e-3, 1e-3)
        config.strategy.tangent = 0.0
        config.train.tests = (36, 36)
        config.train.steps = 12_000
    if variant == "unit_wide":
        config.problem.lid = "unit"
        config.problem.reynolds = (50.0, 1000.0)
        config.network.branch = (64, 64, 64)
        config.network.rank = 64
        config.train.tests = (32, 32)
        config.train.functions = 8
        config.train.steps = 8000
    return config
