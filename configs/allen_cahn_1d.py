"""Steady Allen–Cahn on an interval, ε = 0.5 … 0.01, by predictor–corrector continuation."""

from hop.config import experiment


def get_config(variant=""):
    config = experiment(
        problem="allen_cahn_1d",
        network="mlp",
        strategy="predictor_corrector",
        solver="levenberg_marquardt",
    )
    config.path.eps = (
        0.5,
        0.4,
        0.3,
        0.25,
        0.2,
        0.16,
        0.13,
        0.1,
        0.08,
        0.06,
        0.05,
        0.04,
        0.03,
        0.025,
        0.02,
        0.016,
        0.013,
        0.01,
    )
    config.mesh.function = 1
    config.mesh.point = -1
    config.strategy.pin = 1e-5
    config.train.precision = "float64"
    config.train.points = 400
    config.train.steps = 60
    config.train.dispatch = 1
    config.train.patience = 3
    config.train.min_fall = 0.1
    config.train.goal = 1e-13
    config.train.save_every = 20
    return config
