"""The potential in a semiconductor at equilibrium, C ↦ φ, λ² from 1 to 10⁻⁶.

drift_diffusion.py         λ is an input: one network for every λ from 1 to 10⁻³
drift_diffusion.py:ladder  a stage for each of λ = 1, 0.316, 0.1, … 10⁻³
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "ladder"):
        raise UserError(f"no variant {variant!r} of drift_diffusion.py; use ladder")
    config = experiment(
        problem="drift_diffusion", network="nonlinear_deeponet", strategy="curriculum"
    )
    config.network.update(branch=(64, 64), trunk=(64, 64), rank=32, channels=6, decoder=(64, 64))
    config.train.functions = 32
    config.train.points = 128
    config.train.patience = 100_000
    config.train.validation = 50
    config.data.fresh = True
    config.solver.learning_rate = 1e-2
    config.solver.anneal = 1.0
    if variant == "ladder":
        config.path.eps = tuple(10 ** (-k / 2) for k in range(7))
        config.train.steps = 3000
        return config
    config.ansatz.eps = (1e-3, 1.0)
    config.path.eps = (1e-3,)
    config.train.steps = 25_000
    return config
