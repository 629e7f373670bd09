"""A quick look at everything: steady Burgers on `unit` fields, four stages, about 20 s on a laptop.

Rolling checkpoints come every second or so; the accuracy is poor by design.
"""

from hop.config import experiment


def get_config():
    config = experiment(problem="burgers_steady", network="deeponet")
    config.problem.field = "unit"
    config.network.branch = (64, 64)
    config.network.trunk = (64, 64)
    config.network.rank = 64
    config.path.s = (0.5, 0.3, 0.2, 0.1)
    config.path.eps_target = 0.1
    config.train.steps = 1000
    config.train.functions = 80
    config.train.points = 80
    config.train.save_seconds = 1.0
    return config
