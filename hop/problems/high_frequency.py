"""Fitting an oscillation whose frequency grows along the path, on [0, 1].

    H(u; ε) = u − sin(πx/ε) = 0.

No derivative is involved: what is hard is that networks learn high frequencies slowly.
Source: Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 4 (high-frequency function approximation).
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from hop.derivatives import Jet
from hop.domain import Box
from hop.laws import Field
from hop.problem import Lam, Problem

__all__ = ["HighFrequency"]


@dataclasses.dataclass(frozen=True)
class HighFrequency(Problem):
    """The fit of an oscillation. `Lam.s` is not used."""

    domain: ClassVar[Box] = Box((0.0,), (1.0,))
    derivatives: ClassVar[tuple[str, ...]] = ("",)

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        (x,) = x
        return u[""] - jnp.sin(math.pi * x / lam.eps)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        return np.sin(math.pi * x.T / float(lam.eps))
