"""Configs: their schema, the experiments made of them, and the files that hold them."""

# fmt: off
# isort: off
from hop.config.experiments import (
    Experiment, build, check_problem, options_of, problem_class,
)
from hop.config.schema import (
    KINDS, AnsatzConfig, Config, LabelsConfig, MeshConfig, PathConfig, TrainConfig, check_alike,
    completed, defaults, experiment, find, modules, options_for, parse, stored, to_json,
    with_data_dir, with_options,
)

__all__ = [
    "KINDS", "AnsatzConfig", "Config", "Experiment", "LabelsConfig", "MeshConfig", "PathConfig",
    "TrainConfig", "build", "check_alike", "check_problem", "completed", "defaults", "experiment",
    "find", "modules", "options_for", "options_of", "parse", "problem_class", "stored", "to_json",
    "with_data_dir", "with_options",
]
