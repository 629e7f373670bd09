"""The slow mode: the direction in which the residual hardly feels an error.

Linearise H about u: A = H_u, with singular triplet A φ = σ ψ of the smallest σ. An error δu of size
c along φ leaves the residual c σ ψ, and σ falls like exp(−1/ε) where an interface or a shock can
move: the residual loss is then nearly blind to its place. The *dual-weighted residual*

    S = ⟨ψ, H(u)⟩ / σ

is that c to first order: the error along the slow mode, in the units of u. As a term of the loss it
makes the slow direction as stiff as the others. (Dual weights: Becker, Rannacher, *Acta Numerica*
10 (2001), 1–102. Deflating a few slow modes is standard in iterative linear algebra.)

The residual is pointwise in the jet, A δu = h₀ δu + h₁ δu_x + h₂ δu_xx with h_i by forward mode, so
on equally spaced points with δu = 0 at both ends A is tridiagonal, and inverse iteration on A Aᵀ
costs a few tridiagonal solves for each function. The differences are of second order: they need
some 6/ε points, and σ comes out too small or too large by O(Δx²) before that.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from hop.ansatz import columns
from hop.derivatives import Jet, partials
from hop.errors import UserError
from hop.problem import Lam, Problem

_ITERATIONS = 3
# Below this σ, float32 cannot tell ⟨ψ, H⟩ from its rounding, so S underestimates the error. (For
# steady Burgers σ is 0.026 at ε = 0.05 and 0.0055 at 0.04.)
_SIGMA_FLOOR = 1e-2


class SlowMode(NamedTuple):
    """The singular triplet A φ = σ ψ of smallest σ of n functions, on m grid points.

    Attributes:
      psi: ψ (n, m), zero at the ends, ∫ψ² = 1.
      phi: φ (n, m), likewise.
      sigma: σ (n,).
    """

    psi: Array
    phi: Array
    sigma: Array


def serves(problem: Problem) -> bool:
    """Whether one unknown is sought, of second order on an interval, and fixed at its ends."""
    interval = problem.domain.dim == 1 and not problem.conditions(Lam(0.0, 1.0))
    scalar = len(problem.unknowns) == 1 and not problem.domain.periodic
    return interval and scalar and set(problem.derivatives) == {"", "x", "xx"}


def check_serves(problem: Problem, option: str) -> None:
    """Refuses an option of a strategy for a problem that is not served."""
    if not serves(problem):
        raise UserError(
            f"config.strategy.{option} needs a problem of second order on an interval with exact "
            "conditions at its ends; set it to 0"
        )


def slow_mode(
    problem: Problem, u: Jet, a: Mapping[str, Jet], grid: Float[Array, "m 1"], lam: Lam
) -> SlowMode:
    """The singular triplet of A of smallest singular value, of a problem that `serves`.

    u is the jet of n functions, a those of their inputs, (n, m) each, at the m points of the grid,
    equally spaced, both ends of the interval included.
    """
    h = grid[1, 0] - grid[0, 0]
    slopes = partials(lambda j: problem.residual(j, columns(grid), a, lam), u)
    h0, h1, h2 = (slopes[label][:, 1:-1] for label in ("", "x", "xx"))
    h1, h2 = h1 / (2 * h), h2 / h**2
    lower, diagonal, upper = h2 - h1, h0 - 2 * h2, h2 + h1
    lower, upper = lower.at[:, 0].set(0), upper.at[:, -1].set(0)
    # Row i of Aᵀ holds upper[i − 1] and lower[i + 1].
    lower_t, upper_t = jnp.roll(upper, 1, axis=1), jnp.roll(lower, -1, axis=1)

    def solve(low: Array, up: Array, right: Array) -> Array:
        return jax.lax.linalg.tridiagonal_solve(low, diagonal, up, right[..., None])[..., 0]

    def norm(v: Array) -> Array:
        return jnp.sqrt(h * jnp.sum(v**2, axis=1, keepdims=True))

    psi = jnp.ones_like(diagonal) / norm(jnp.ones_like(diagonal))
    growth = jnp.ones_like(psi[:, :1])
    for _ in range(_ITERATIONS):
        longer = solve(lower_t, upper_t, solve(lower, upper, psi))  # (A Aᵀ)⁻¹ ψ
        growth = norm(longer)
        psi = longer / growth
    phi = solve(lower, upper, psi)
    psi, phi = (jnp.pad(v / norm(v), ((0, 0), (1, 1))) for v in (psi, phi))
    return SlowMode(psi, phi, 1 / jnp.sqrt(growth[:, 0]))


def dual_weighted_residual(
    residual: Float[Array, "n q"], x: Float[Array, "q 1"], mode: SlowMode, grid: Float[Array, "m 1"]
) -> Float[Array, "n 1"]:
    """S = ⟨ψ, H⟩/σ for each function, from the residual at points of even density.

    At other points, `residual` is to be multiplied by their inverse density.
    """
    h = grid[1, 0] - grid[0, 0]
    hats = jnp.maximum(0.0, 1 - jnp.abs(grid - x[:, 0][None, :]) / h)  # linear interpolation
    length = grid[-1, 0] - grid[0, 0]
    inner = length * jnp.mean(residual * jnp.matmul(mode.psi, hats), axis=1)
    return (inner / jnp.maximum(mode.sigma, _SIGMA_FLOOR))[:, None]
