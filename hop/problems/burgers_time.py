"""Burgers' equation in time, the operator u₀ ↦ u on the circle.

    H(u; ε) = u_t + u u_x − ε u_xx = 0  on [0, 1] × [0, 1],  u(x, 0) = u₀(x),

periodic in x; ε is the viscosity ν. The columns of the points are (x, t). At rest u₀ steepens until
t of about 1/max(−u₀′), some 0.5 here; then it is a shock of jump Δ and width 4ε/Δ. The equation is
evolutionary, so unlike a steady one it has no slow mode: the residual bounds the error at every ε.
Source: Wang, Wang, Perdikaris, *Sci. Adv.* 7 (2021) eabi8605 (the data set), with the path in ε of
Chen, Yang, Xiang, Hao, arXiv 2502.00488.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from jax import Array

from hop.derivatives import Jet
from hop.domain import Box
from hop.errors import check_choice
from hop.laws import Field, Law
from hop.laws.named import NAMED
from hop.laws.spectral import as_series
from hop.problem import Condition, Lam, Problem
from hop.references import cole_hopf, spectral

__all__ = ["BurgersTime"]


@dataclasses.dataclass(frozen=True)
class BurgersTime(Problem):
    """Burgers' equation in time. `Lam.s` is not used. The network makes u periodic.

    Attributes:
      conditions_by: "lift" makes u = u₀ + t·network; "loss" adds u(x, 0) = u₀ at the sensors to
        the loss instead.
    """

    conditions_by: str = "lift"

    domain: ClassVar[Box] = Box((0.0, 0.0), (1.0, 1.0), periodic=("x",))
    derivatives: ClassVar[tuple[str, ...]] = ("", "x", "t", "xx")
    weak_derivatives: ClassVar[tuple[str, ...]] = ("", "x", "t")
    inputs: ClassVar[Mapping[str, Law]] = {"u0": NAMED["periodic"]}
    restarts: ClassVar[Mapping[str, str]] = {"u": "u0"}

    def __post_init__(self):
        check_choice("config.problem.conditions_by", self.conditions_by, ("lift", "loss"))

    def residual(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Array:
        return u["t"] + u[""] * u["x"] - lam.eps * u["xx"]

    def weak(self, u: Jet, x: Array, a: Mapping[str, Jet], lam: Lam) -> Mapping[str, Array]:
        return {"": u["t"], "x": lam.eps * u["x"] - u[""] ** 2 / 2}

    def energy(self, a: Mapping[str, Any], lam: Lam) -> Mapping[str, Any]:
        return {"": 1.0, "x": lam.eps}

    def lift(self, network: Array, x: Array, a: Mapping[str, Array], lam: Lam) -> Array:
        _, t = x
        return a["u0"] + t * network if self.conditions_by == "lift" else network

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        if self.conditions_by == "lift":
            return ()
        x = self.inputs["u0"].sensors
        start = np.concatenate([x, np.zeros_like(x)], axis=1)
        return (Condition((start,), ("",), lambda u, a, lam: u[0][""] - a["u0"][""]),)

    def reference(self, a: Mapping[str, Field], x: np.ndarray, lam: Lam) -> np.ndarray:
        return cole_hopf.solve(as_series(a["u0"]), x[:, 0], x[:, 1], float(lam.eps))


# The terms that `hop.references.spectral` marches: a second method, and the usual one.
transport = spectral.divergence(lambda u: u**2 / 2)


def diffusion(eps: float) -> Callable[[np.ndarray], np.ndarray]:
    """The symbol of ε u_xx."""
    return lambda omega: -eps * omega**2
