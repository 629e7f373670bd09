"""Convection–diffusion, f ↦ u, with a layer of width ε at one end.

convection_diffusion.py         ε is an input: one network for every ε from 1 to 10⁻⁶
convection_diffusion.py:ladder  a stage for each of ε = 1, 0.1, … 10⁻⁶
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    if variant not in ("", "ladder"):
        raise UserError(f"no variant {variant!r} of convection_diffusion.py; use ladder")
    config = experiment(problem="convection_diffusion", network="deeponet")
    config.network.update(linear=("f",), trunk=(64, 64, 64), rank=64, activation="swish")
    if variant == "ladder":
        config.train.functions = 16
        config.train.points = 256
        config.data.fresh = True
        config.path.eps = (1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)
        config.train.steps = 10_000
        return config
    config.ansatz.eps = (1e-6, 1.0)
    config.path.eps = (1e-6,)
    config.strategy.tangent = 0.0
    config.solver.anneal = 1.0
    config.data.modes = True
    config.train.functions = 12  # the law has 11 modes; a mesh may want more, which are zero
    config.train.points = 128
    config.train.steps = 290_000
    config.train.patience = 100_000
    return config
