"""Helmholtz on [−1, 1]²⁰, ε = 1 … 1/50, by predictor–corrector continuation."""

from hop.config import experiment


def get_config(variant=""):
    config = experiment(
        problem="helmholtz",
        network="mlp",
        strategy="predictor_corrector",
        solver="levenberg_marquardt",
    )
    config.path.eps = (
        1.0,
        0.7,
        0.5,
        0.4,
        0.32,
        0.26,
        0.21,
        0.17,
        0.14,
        0.115,
        0.095,
        0.08,
        0.07,
        0.06,
        0.05,
        0.043,
        0.038,
        0.033,
        0.029,
        0.0255,
        0.0225,
        0.02,
    )
    config.mesh.function = 1
    config.mesh.point = -1
    config.train.precision = "float64"
    config.train.points = 3000
    config.train.steps = 40
    config.train.dispatch = 1
    config.train.patience = 6
    config.train.min_fall = 0.1
    config.train.goal = 1e-11
    config.train.save_every = 20
    return config
