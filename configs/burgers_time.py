"""Burgers' equation in time on periodic fields, down in the viscosity.

burgers_time.py             a DeepONet with a nonlinear decoder, viscosity 0.1, 0.03 and 0.01,
                            an hour on 2 CPU cores
burgers_time.py:quickstart  the same in a few minutes: what `make quickstart` trains
burgers_time.py:direct      the same at viscosity 0.01 alone, in some minutes
burgers_time.py:fourier     the same with a Fourier neural operator in the DeepONet's place, of a
                            quarter of the time
burgers_time.py:range       the viscosity an input: one network for all from 0.1 to 0.01, with as
                            many steps as those three stages have together
burgers_time.py:wide        a wider one, down to 0.001, on new functions at every step: that of the
                            pretrained model, for an accelerator
burgers_time.py:plain       a plain DeepONet, on the long path
"""

from hop.config import experiment
from hop.errors import UserError


def get_config(variant=""):
    networks = {"plain": "deeponet", "fourier": "fno"}
    if variant not in ("", "quickstart", "direct", "fourier", "range", "wide", "plain"):
        raise UserError(
            f"no variant {variant!r} of burgers_time.py; use quickstart, direct, fourier, range, "
            "wide or plain"
        )
    config = experiment(problem="burgers_time", network=networks.get(variant, "nonlinear_deeponet"))
    if variant != "fourier":
        config.network.branch = (128, 128, 128)
        config.network.trunk = (128, 128, 128)
        config.network.activation = "swish"
        config.network.rank = 128 if variant == "plain" else 32
    config.ansatz.harmonics = 16 if variant == "fourier" else 4
    config.ansatz.windows = 4 if variant == "fourier" else 1
    short = variant in ("direct", "fourier")
    config.path.eps = (0.01,) if short else (0.1, 0.03, 0.01)
    config.strategy.tangent = 0.0
    config.solver.learning_rate = 1e-2
    config.solver.warmup = 100
    config.solver.anneal = 1.0
    config.train.steps = 3000 if short else 12_000
    config.train.functions = 50
    config.train.points = 1000
    if variant == "quickstart":
        config.solver.warmup = 50
        config.train.steps = 650
    if variant == "range":
        config.ansatz.eps = (0.01, 0.1)
        config.path.eps = (0.01,)
        config.train.steps = 36_000
    if variant == "wide":
        config.network.branch = config.network.trunk = (256, 256, 256)
        config.network.update(rank=64, channels=16, decoder=(64, 64))
        config.ansatz.harmonics = 8
        config.path.eps = (0.1, 0.03, 0.01, 0.003, 0.001)
        config.train.update(steps=14_000, functions=100, points=2000)
        config.data.fresh = True
    config.mesh.function = 1
    config.mesh.point = -1
    return config
