"""The terms of the homotopy loss, as blocks of residual rows.

From the network u_{k−1} of the last stage, at (s, ε)_{k−1} = λ_{k−1}, the stage at λ_k minimises

    L = w_H · ½⟨|H(u, λ_k)|²⟩ + w_c · ½⟨|u − g|²⟩ + w_T · ½⟨|T|²⟩ + w_S · ½⟨|S|²⟩,
    T = H_u[u_{k−1}, λ_{k−1}] (u − u_{k−1}) + H(u_{k−1}, λ_k),

⟨·⟩ the mean over functions and points. T is the paper's tangent residual times Δp: with
v = (u − u_{k−1})/Δp and ΔH = (H(u_{k−1}, λ_k) − H(u_{k−1}, λ_{k−1}))/Δp,

    H_u v + ΔH + H(u_{k−1}, λ_{k−1})/Δp = T/Δp,

so w_T = α/Δp² for the paper's α, and no Δp is needed. T = 0 is one Euler step along the path that
also removes the old residual. The residual is pointwise in the jet, so H_u w is one `jax.jvp`.

S is the residual weighted by its slow mode (`hop.homotopy.slow_mode`), not a part of the paper.

Source: Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 3.2 (T to first order).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from hop.ansatz import Ansatz, Inputs, columns
from hop.derivatives import Jet
from hop.homotopy import slow_mode
from hop.networks import Params
from hop.problems import Lam, Problem


class Stage(NamedTuple):
    """Where a stage stands on the path. All traced: every stage shares one compilation.

    Attributes:
      index: k.
      lam: λ_k.
      previous: λ_{k−1}; λ_k itself at the first stage.
      tangent: 1, or 0 at a stage that has no predecessor.
    """

    index: Any
    lam: Lam
    previous: Lam
    tangent: Any


@dataclasses.dataclass(frozen=True)
class Weights:
    """w_H, w_c, w_T and w_S of the loss.

    Attributes:
      residual: w_H. Where it is 0, a stage without predecessor uses 1.
      condition: w_c, likewise.
      tangent: w_T at the start of a stage; at 0 the term is left out of the program.
      tangent_share: the share of the stage's steps over which w_T falls linearly to 0.
      slow: w_S; at 0 the term is left out of the program.
    """

    residual: float = 1.0
    condition: float = 1.0
    tangent: float = 0.0
    tangent_share: float = 1.0
    slow: float = 0.0


def rows(
    ansatz: Ansatz,
    weights: Weights,
    params: Params,
    anchor: Params,
    inputs: Inputs | None,
    x: Float[Array, "q d"],
    stage: Stage,
) -> dict[str, Array]:
    """The rows of every term: (n, q) each, (n, b) for the soft conditions.

    Args:
      ansatz: the network inside the problem.
      weights: of the terms.
      params: θ.
      anchor: θ_{k−1}, the network of the last stage.
      inputs: n input functions, or None.
      x: q collocation points, shared by all functions.
      stage: λ_k and λ_{k−1}.
    """
    problem = ansatz.problem
    a = None if inputs is None else ansatz.input_jet(inputs, x, ansatz.labels)
    at = columns(x)
    u = ansatz.jet(params, inputs, x)
    blocks = {"residual": problem.residual(u, at, a, stage.lam)}
    if weights.tangent:
        old = jax.lax.stop_gradient(ansatz.jet(anchor, inputs, x))
        blocks["tangent"] = tangent(problem, u, old, at, a, stage)
    if weights.slow:
        grid = jnp.asarray(problem.domain.grid(len(x)), x.dtype)
        on_grid = jax.lax.stop_gradient(ansatz.jet(params, inputs, grid))
        a_on_grid = None if inputs is None else ansatz.input_jet(inputs, grid, ansatz.labels)
        psi, sigma = slow_mode.slow_mode(problem, on_grid, a_on_grid, grid, stage.lam)
        blocks["slow"] = slow_mode.dual_weighted_residual(blocks["residual"], x, psi, sigma, grid)
    if problem.conditions():
        blocks["condition"] = jnp.concatenate(
            [
                ansatz.jet(params, inputs, jnp.asarray(c.points, x.dtype), ())[""]
                - jnp.asarray(c.values, x.dtype)
                for c in problem.conditions()
            ],
            axis=1,
        )
    return blocks


def tangent(problem: Problem, u: Jet, old: Jet, x: Array, a: Jet | None, stage: Stage) -> Array:
    """T (n, q) from the jets of u and u_{k−1}."""
    change = jax.tree.map(jnp.subtract, u, old)
    _, linear = jax.jvp(lambda j: problem.residual(j, x, a, stage.previous), (old,), (change,))
    return linear + problem.residual(old, x, a, stage.lam)


def loss(
    blocks: dict[str, Array], weights: Weights, stage: Stage, share_done: ArrayLike
) -> tuple[Array, dict[str, Array]]:
    """L, and its terms unweighted: ½ mean of the squared rows.

    Args:
      blocks: the rows of every term.
      weights: w_H, w_c, w_T, w_S.
      stage: says whether there is a predecessor.
      share_done: steps done of the stage's limit, in [0, 1].
    """
    terms = {name: 0.5 * jnp.mean(block**2) for name, block in blocks.items()}
    fade = jnp.maximum(0.0, 1 - share_done / weights.tangent_share) * stage.tangent
    factors = {
        "residual": jnp.where(stage.tangent > 0, weights.residual, weights.residual or 1.0),
        "condition": jnp.where(stage.tangent > 0, weights.condition, weights.condition or 1.0),
        "tangent": weights.tangent * fade,
        "slow": jnp.asarray(weights.slow, float),
    }
    total = sum(factors[name].astype(term.dtype) * term for name, term in terms.items())
    return jnp.asarray(total), terms
