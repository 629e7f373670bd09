"""Allen–Cahn with a random force, f ↦ u on the branch that comes from large ε, down to ε = 0.03.

allen_cahn_forced.py         16 stages, about 6 minutes on one core
allen_cahn_forced.py:direct  ε = 0.03 alone, with the steps of all of these
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "direct"):
        raise UserError(f"no variant {variant!r} of allen_cahn_forced.py; use direct")
    config = experiment(problem="allen_cahn_forced", network="deeponet", strategy="curriculum")
    config.network.update(branch=(128, 128, 128), trunk=(64, 64), rank=64)
    # Close together where most branches leave the middle.
    config.path.eps = (
        *(0.35, 0.3, 0.26, 0.23, 0.205, 0.185, 0.165, 0.15),
        *(0.13, 0.11, 0.09, 0.075, 0.06, 0.05, 0.04, 0.03),
    )
    config.train.update(steps=1800, functions=256, points=64, patience=100_000)
    config.data.fresh = True
    config.solver.learning_rate = 3e-3
    config.solver.anneal = 1.0
    if variant == "direct":
        config.train.steps *= len(config.path.eps)
        config.path.eps = config.path.eps[-1:]
    return config
