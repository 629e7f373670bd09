"""Steady Burgers on small random fields, down to ε = 0.05. About N minutes on 2 CPU cores."""

from hop.config import experiment


def get_config():
    config = experiment(problem="burgers_steady", network="deeponet")
    config.path.s = (0.0,)
    config.path.eps = (0.5, 0.2, 0.1, 0.07, 0.05)
    return config
