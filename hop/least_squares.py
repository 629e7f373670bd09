"""Dense linear least squares by orthogonal factorisations, never by JᵀJ.

    damped:     δ = argmin |J δ + r|² + μ |δ|²
    truncated:  δ = −J⁺ r, singular values below rtol · σ_max dropped

Both first reduce J (m, P) to a square core of size min(m, P), by one QR factorisation: a new μ then
costs a factorisation of the core alone. Written for float64. (Golub, Van Loan, *Matrix
Computations*, 4th ed. 2013, chapters 5 and 6.)
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float


class Core(NamedTuple):
    """The problem reduced: δ = basis · z (basis None: the identity), min |matrix z + right|².

    The part of r that no δ can change is dropped.
    """

    matrix: Float[Array, "k k"]
    right: Float[Array, " k"]
    basis: Float[Array, "P k"] | None


def reduce(jacobian: Float[Array, "m P"], r: Float[Array, " m"]) -> Core:
    """The core of min |J δ + r|."""
    m, p = jacobian.shape
    if m <= p:  # J = L Qᵀ
        basis, upper = jnp.linalg.qr(jacobian.T)
        return Core(upper.T, r, basis)
    # The triangle of [J r] is [R Qᵀr; 0 |…|]: Q itself is never formed.
    upper = jnp.linalg.qr(jnp.concatenate([jacobian, r[:, None]], axis=1), mode="r")
    return Core(upper[:p, :p], upper[:p, p], None)


class Damped(NamedTuple):
    """δ, by how much it lowers |J δ + r|², and the factor R with RᵀR = matrixᵀ matrix + μ I."""

    delta: Float[Array, " P"]
    fall: Array
    root: Float[Array, "k k"]


def damped(core: Core, mu: Array) -> Damped:
    """δ for a damping μ > 0."""
    matrix, right, basis = core
    k = len(right)
    top = jnp.concatenate([matrix, right[:, None]], axis=1)
    bottom = jnp.concatenate([jnp.sqrt(mu) * jnp.eye(k), jnp.zeros((k, 1))], axis=1)
    upper = jnp.linalg.qr(jnp.concatenate([top, bottom]), mode="r")
    root = upper[:k, :k]
    z = -jax.scipy.linalg.solve_triangular(root, upper[:k, k])
    # |r|² − |J δ + r|² = (|r|² − |r + J δ|² − μ|δ|²) + μ|δ|², the first the squares rotated out.
    fall = jnp.sum(upper[:k, k] ** 2) + mu * jnp.sum(z**2)
    return Damped(z if basis is None else basis @ z, fall, root)


def damped_anew(
    core: Core, root: Float[Array, "k k"], slope: Float[Array, " P"]
) -> Float[Array, " P"]:
    """argmin |J δ + r|² + μ |δ|² for another r, of which slope = Jᵀ r, by `Damped.root`.

    J enters squared here, so the last digits are lost where the problem is ill-conditioned.
    """
    _, _, basis = core
    z = slope if basis is None else basis.T @ slope
    z = -jax.scipy.linalg.cho_solve((root, False), z)
    return z if basis is None else basis @ z


def truncated(core: Core, rtol: float) -> Float[Array, " P"]:
    """δ of least norm, singular values at or below rtol times the largest taken as zero."""
    matrix, right, basis = core
    left, sigma, right_t = jnp.linalg.svd(matrix, full_matrices=False)
    kept = sigma > rtol * sigma[0]
    scaled = jnp.where(kept, left.T @ right / jnp.where(kept, sigma, 1.0), 0.0)
    z = -(right_t.T @ scaled)
    return z if basis is None else basis @ z
