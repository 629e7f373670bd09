"""Configs: their schema, the experiments made of them, and the files that hold them."""

# fmt: off
# isort: off
from hop.config.experiments import (
    Experiment, build, check_classes, classes, needed,
)
from hop.config.schema import (
    KINDS, AnsatzConfig, Config, LabelsConfig, MeshConfig, PathConfig, TrainConfig, check_alike,
    completed, defaults, experiment, find, modules, options_for, parse, stored, to_json,
    with_data_dir, with_options,
)

__all__ = [
    "KINDS", "AnsatzConfig", "Config", "Experiment", "LabelsConfig", "MeshConfig", "PathConfig",
    "TrainConfig", "build", "check_alike", "check_classes", "classes", "completed", "defaults",
    "experiment", "find", "modules", "needed", "options_for", "parse", "stored", "to_json",
    "with_data_dir", "with_options",
]
