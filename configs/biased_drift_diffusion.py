"""The potential in a semiconductor under up to 20 thermal volts, (C, V) ↦ φ, straight at λ = 0.01.

biased_drift_diffusion.py         seven minutes of a core
biased_drift_diffusion.py:ladder  a stage for each of λ = 1, 0.1, 0.03, 0.01, as many steps in all:
                                  no better
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "ladder"):
        raise UserError(f"no variant {variant!r} of biased_drift_diffusion.py; use ladder")
    config = experiment(
        problem="biased_drift_diffusion", network="nonlinear_deeponet", strategy="curriculum"
    )
    config.network.update(branch=(128,) * 3, trunk=(64, 64), rank=32, channels=12, decoder=(64, 64))
    config.train.functions = 32
    config.train.points = 128
    config.train.patience = 100_000
    config.train.validation = 50
    config.data.fresh = True
    config.solver.learning_rate = 1e-2
    config.solver.anneal = 1.0
    config.path.eps = (0.01,)
    config.train.steps = 20_000
    if variant == "ladder":
        config.path.eps = (1.0, 0.1, 0.03, 0.01)
        config.train.steps = 5_000
    return config
