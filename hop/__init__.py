"""hop: solution operators of singularly perturbed PDEs, learned without labels along a homotopy."""

import importlib
from typing import TYPE_CHECKING, Any

from hop import compiler

if TYPE_CHECKING:
    from hop.domain import Box, WholeSpace
    from hop.errors import RunError, UserError
    from hop.laws.gaussian_field import GaussianField
    from hop.laws.log_uniform import LogUniform
    from hop.laws.normal import Normal
    from hop.laws.samples import Samples
    from hop.laws.uniform import Uniform
    from hop.operators import Operator, load
    from hop.polishing import polish
    from hop.problem import Condition, Problem
    from hop.running import train
    from hop.trust import Gauge, gauge

compiler.sum_rightly()  # before JAX is used
compiler.factor_alone()  # and SciPy

_HOMES = {
    "Box": "domain",
    "Condition": "problem",
    "Gauge": "trust",
    "GaussianField": "laws.gaussian_field",
    "LogUniform": "laws.log_uniform",
    "Normal": "laws.normal",
    "Operator": "operators",
    "Problem": "problem",
    "RunError": "errors",
    "Samples": "laws.samples",
    "Uniform": "laws.uniform",
    "UserError": "errors",
    "WholeSpace": "domain",
    "gauge": "trust",
    "load": "operators",
    "polish": "polishing",
    "train": "running",
}

__all__ = [
    "Box", "Condition", "Gauge", "GaussianField", "LogUniform", "Normal", "Operator", "Problem",
    "RunError", "Samples", "Uniform", "UserError", "WholeSpace", "gauge", "load", "polish",
    "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:  # JAX is imported on first use, so `hop --help` is quick
    if name not in _HOMES:
        raise AttributeError(f"module 'hop' has no attribute {name!r}")
    return getattr(importlib.import_module(f"hop.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
