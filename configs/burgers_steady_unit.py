"""The steady Burgers operator on fields of unit size, along ε(s) = max(s, 0.05), s = 0.5 to 0.05.

For s > 0 the solution truly depends on the input function, through the place of its shock.
About 10 minutes on 2 CPU cores.
"""

from hop.config import experiment


def get_config():
    config = experiment(problem="burgers_steady", network="deeponet")
    config.problem.field = "unit"
    config.path.s = (0.5, 0.3, 0.2, 0.12, 0.07, 0.05)
    config.path.eps_target = 0.05
    config.strategy.slow = 1.0
    config.train.steps = 10_000
    config.solver.anneal = 1.0
    return config
