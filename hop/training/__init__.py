"""Training: the stage loop and what it is made of."""

from hop.training.loop import (
    Bookmark,
    Record,
    Reporter,
    Trainer,
    TrainState,
    Window,
    check_batch,
    draws,
    fresh,
    provide,
    train,
)

__all__ = [
    "Bookmark",
    "Record",
    "Reporter",
    "TrainState",
    "Trainer",
    "Window",
    "check_batch",
    "draws",
    "fresh",
    "provide",
    "train",
]
