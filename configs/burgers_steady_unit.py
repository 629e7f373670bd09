"""The steady Burgers operator on fields of unit size, along ε(s) = max(s, 0.05), s = 0.5 to 0.05.

For s > 0 the solution truly depends on the input function, through the place of its shock.
"""

from hop.config import experiment


def get_config():
    config = experiment(problem="burgers_steady", network="deeponet")
    config.problem.field = "unit"
    config.path.s = (0.5, 0.35, 0.25, 0.2, 0.15, 0.1, 0.07, 0.05)
    config.path.eps_target = 0.05
    config.strategy.slow = 1.0
    config.train.steps = 3000
    return config
