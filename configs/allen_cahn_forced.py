"""Allen–Cahn with a random force, f ↦ u on the branch that comes from large ε, down to ε = 0.03.

allen_cahn_forced.py         24 stages, about 5 minutes on one core
allen_cahn_forced.py:direct  ε = 0.03 alone, with the steps of all of these
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "direct"):
        raise UserError(f"no variant {variant!r} of allen_cahn_forced.py; use direct")
    config = experiment(problem="allen_cahn_forced", network="deeponet", strategy="curriculum")
    config.network.update(branch=(128, 128, 128), trunk=(64, 64), rank=64)
    # Close together where most branches leave the middle. Stages are short and their rate is low:
    # those of twice the steps at 3e-3 lost more branches below 0.1.
    config.path.eps = (
        *(0.35, 0.325, 0.3, 0.28, 0.26, 0.242, 0.225, 0.21, 0.195, 0.18, 0.168, 0.155),
        *(0.143, 0.13, 0.12, 0.11, 0.095, 0.08, 0.068, 0.057, 0.048, 0.04, 0.035, 0.03),
    )
    config.train.update(steps=850, functions=256, points=64, patience=100_000, validation=20)
    config.data.fresh = True
    config.solver.learning_rate = 2e-3
    config.solver.anneal = 1.0
    if variant == "direct":
        config.train.steps *= len(config.path.eps)
        config.path.eps = config.path.eps[-1:]
    return config
