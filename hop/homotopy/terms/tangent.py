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


@dataclasses.dataclass(frozen=True)
class Tangent(Term):
    """The tangent of the path in the loss.

    Its weight is w_T at the start of a stage, and 0 in one without predecessor.

    Attributes:
      share: the share of the stage's steps over which it falls linearly to 0; inf keeps it.
    """

    share: float = 1.0

    name: ClassVar[str] = "tangent"
    at_one_eps: ClassVar[bool] = True
    jets: ClassVar[bool] = True

    @property
    def fades(self) -> float:
        return self.share if math.isfinite(self.share) else 0.0

    def weight(self, stage: Stage, done: ArrayLike) -> Array:
        return self.w * (jnp.maximum(0.0, 1 - done / self.share) * stage.follows)

    def over(self, follows: bool, done: float) -> bool:
        return not follows or done >= self.share

    def rows(self, view: View) -> Array:
        before = view.stage.previous
        old = view.ansatz.reads(view.anchor, view.inputs, view.x, before)
        a = view.ansatz.input_jet(view.inputs, view.x, before)
        return view.weighed(tangent(view, jax.lax.stop_gradient(old), a))


def tangent(view: View, old: Jet, a: Mapping[str, Jet]) -> Array:
    """T, (n, q) or (e, n, q), from the jets of u_{k−1} and of the inputs at λ_{k−1}."""
    change, equation = jax.tree.map(jnp.subtract, view.u, old), view.ansatz.equation
    _, linear = jax.jvp(lambda j: equation(j, view.x, a, view.stage.previous), (old,), (change,))
    return linear + equation(old, view.x, view.a, view.stage.lam)
