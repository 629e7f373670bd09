"""hop: solution operators of singularly perturbed PDEs, learned without labels along a homotopy."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hop.errors import RunError, UserError
    from hop.operators import Operator, load
    from hop.training import train
    from hop.trust import Gauge, gauge

__all__ = ["Gauge", "Operator", "RunError", "UserError", "gauge", "load", "train"]

_HOMES = {"Gauge": "trust", "Operator": "operators", "RunError": "errors", "UserError": "errors",
          "gauge": "trust", "load": "operators", "train": "training"}  # fmt: skip


def __getattr__(name: str) -> Any:  # JAX is imported on first use, so `hop --help` is quick
    if name not in _HOMES:
        raise AttributeError(f"module 'hop' has no attribute {name!r}")
    return getattr(importlib.import_module(f"hop.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
