"""The fit of sin(πx/ε), ε = 1/2 … 1/50, by predictor–corrector continuation."""

from hop.config import experiment


def get_config(variant=""):
    config = experiment(
        problem="high_frequency",
        network="mlp",
        strategy="predictor_corrector",
        solver="levenberg_marquardt",
    )
    config.path.eps = tuple(1 / n for n in (2, 4, 6, 8, 10, 12, *range(15, 46, 2), 47.5, 50))
    config.mesh.function = 1
    config.mesh.point = -1
    config.train.precision = "float64"
    config.train.points = 800
    config.train.steps = 100
    config.train.dispatch = 5
    config.train.patience = 20
    config.train.min_fall = 0.1
    config.train.goal = 2e-7
    config.train.save_every = 50
    return config
