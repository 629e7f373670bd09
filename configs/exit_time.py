"""Mean exit time in a random shear drift, A ↦ u, in d = 8, straight at ε = 0.1.

exit_time.py       150 s of a core
exit_time.py:long  20 minutes: eight times the steps
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "long"):
        raise UserError(f"no variant {variant!r} of exit_time.py; use long")
    config = experiment(problem="exit_time", network="deeponet")
    config.network.update(branch=(384, 384), trunk=(128,) * 3, rank=160, activation="gelu")
    config.path.eps = (0.1,)
    config.strategy.tangent = 0.0
    config.solver.learning_rate = 2e-2
    config.solver.anneal = 1.0
    config.train.steps = 3_000
    config.train.patience = 100_000
    config.train.functions = 512
    config.train.points = 100
    config.train.validation = 4
    config.data.fresh = True
    if variant == "long":
        config.solver.learning_rate = 1e-2  # 2e-2 diverges, held for so long
        config.train.steps = 24_000
    return config
