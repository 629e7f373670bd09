"""The tangent of the path, from the network u_{k−1} of the last stage, at λ_{k−1}:

    T = H_u[u_{k−1}, λ_{k−1}] (u − u_{k−1}) + H(u_{k−1}, λ_k).

T is the paper's tangent residual times Δp: with v = (u − u_{k−1})/Δp and
ΔH = (H(u_{k−1}, λ_k) − H(u_{k−1}, λ_{k−1}))/Δp,

    H_u v + ΔH + H(u_{k−1}, λ_{k−1})/Δp = T/Δp,

so w_T = α/Δp² for the paper's α, and no Δp is needed. T = 0 is one Euler step along the path that
also removes the old residual. The residual is pointwise in the jet, so H_u w is one `jax.jvp`.
Source: Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 3.2 (T to first order).
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from hop.derivatives import Jet
from hop.homotopy.terms import Stage, Term, View
from hop.problem import Problem


@dataclasses.dataclass(frozen=True)
class Tangent(Term):
    """w_T at the start of a stage, and 0 in one without predecessor.

    Attributes:
      share: the share of the stage's steps over which it falls linearly to 0; inf keeps it.
    """

    share: float = 1.0

    name: ClassVar[str] = "tangent"

    @property
    def fades(self) -> float:
        return self.share if math.isfinite(self.share) else 0.0

    def weight(self, stage: Stage, done: ArrayLike) -> Array:
        return self.w * (jnp.maximum(0.0, 1 - done / self.share) * stage.follows)

    def rows(self, view: View) -> Array:
        old = jax.lax.stop_gradient(view.ansatz.jet(view.anchor, view.inputs, view.x))
        return tangent(view.ansatz.problem, view.u, old, view.at, view.a, view.stage)


def tangent(
    problem: Problem, u: Jet, old: Jet, x: Array, a: Mapping[str, Jet], stage: Stage
) -> Array:
    """T (n, q) from the jets of u and u_{k−1}."""
    change = jax.tree.map(jnp.subtract, u, old)
    _, linear = jax.jvp(lambda j: problem.residual(j, x, a, stage.previous), (old,), (change,))
    return linear + problem.residual(old, x, a, stage.lam)
