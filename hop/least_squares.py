"""Dense linear least squares, in float64.

    damped:     δ = argmin |J δ + r|² + μ |δ|²
    truncated:  δ = −J⁺ r, singular values below rtol · σ_max dropped

Both reduce J (m, P) to a square core of size min(m, P), by one QR factorisation: a new μ then costs
a factorisation of the core alone. (Golub, Van Loan, *Matrix Computations*, 4th ed. 2013, chapters 5
and 6.)

Where μ is not too small, `damped` takes JJᵀ + μI or JᵀJ + μI instead, the smaller, by Cholesky,
with two steps of refinement that read J itself: several times as fast. Squaring J loses digits,
and refinement restores them while μ stands out from the rounding of the squares: on the Jacobians
of an Allen–Cahn problem at μ = 1e-14 |J|², where that ends here, 7 to 10 digits agree with those by
QR, and 4 at 1e-15. (Björck, *Numerical Methods for Least Squares Problems*, 1996, sections 2.9
and 6.6.)
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

_ROUNDINGS = 45  # of |J|², in μ, from which on J can be squared
_REFINED = 2  # times


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


class Prepared(NamedTuple):
    """min |J δ + r|² + μ |δ|², prepared for one μ after the other.

    Attributes:
      jacobian, r: J (m, P) and r (m,).
      squared: whether the core's matrix is JJᵀ, of δ = Jᵀ z, or JᵀJ where m > P.
      core: that, or what `reduce` makes.
    """

    jacobian: Float[Array, "m P"]
    r: Float[Array, " m"]
    squared: Array
    core: Core


def prepare(jacobian: Float[Array, "m P"], r: Float[Array, " m"], mu: Array) -> Prepared:
    """The problem for a damping of `mu` and larger ones."""

    def square(jacobian: Array, r: Array) -> Core:
        if len(r) <= jacobian.shape[1]:
            return Core(jacobian @ jacobian.T, r, jacobian.T)
        return Core(jacobian.T @ jacobian, jacobian.T @ r, None)

    least = _ROUNDINGS * jnp.finfo(r.dtype).eps * jnp.sum(jacobian**2)
    squared = mu >= least
    return Prepared(jacobian, r, squared, jax.lax.cond(squared, square, reduce, jacobian, r))


class Damped(NamedTuple):
    """δ, by how much it lowers |J δ + r|², and the factor R with RᵀR = A + μ I.

    A is the core's matrix where that is squared, else its square, matrixᵀ matrix.
    """

    delta: Float[Array, " P"]
    fall: Array
    root: Float[Array, "k k"]


def damped(problem: Prepared, mu: Array) -> Damped:
    """δ for a damping μ > 0, at least that of `prepare`."""
    return jax.lax.cond(problem.squared, _by_cholesky, _by_qr, problem, mu)


def _by_qr(problem: Prepared, mu: Array) -> Damped:
    matrix, right, basis = problem.core
    k = len(right)
    top = jnp.concatenate([matrix, right[:, None]], axis=1)
    bottom = jnp.concatenate([jnp.sqrt(mu) * jnp.eye(k), jnp.zeros((k, 1))], axis=1)
    upper = jnp.linalg.qr(jnp.concatenate([top, bottom]), mode="r")
    root = upper[:k, :k]
    z = -jax.scipy.linalg.solve_triangular(root, upper[:k, k])
    # |r|² − |J δ + r|² = (|r|² − |r + J δ|² − μ|δ|²) + μ|δ|², the first the squares rotated out.
    fall = jnp.sum(upper[:k, k] ** 2) + mu * jnp.sum(z**2)
    return Damped(z if basis is None else basis @ z, fall, root)


def _by_cholesky(problem: Prepared, mu: Array) -> Damped:
    jacobian, r, _, (matrix, right, basis) = problem
    root = jnp.linalg.cholesky(matrix + mu * jnp.eye(len(right)), upper=True)

    def refined(_: Any, z: Array) -> Array:
        delta = z if basis is None else jacobian.T @ z
        rest = jacobian @ delta + r
        rest = (rest if basis is not None else jacobian.T @ rest) + mu * z
        return z - jax.scipy.linalg.cho_solve((root, False), rest)

    z = jax.lax.fori_loop(0, 1 + _REFINED, refined, jnp.zeros_like(right))
    delta = z if basis is None else jacobian.T @ z
    # (JᵀJ + μ I) δ = −Jᵀr, so |r|² − |J δ + r|² = −δᵀJᵀr + μ|δ|².
    fall = mu * jnp.sum(delta**2) - delta @ (jacobian.T @ r)
    return Damped(delta, fall, root)


def damped_anew(
    problem: Prepared, root: Float[Array, "k k"], r: Float[Array, " m"]
) -> Float[Array, " P"]:
    """argmin |J δ + r|² + μ |δ|² for another r, by `Damped.root`.

    J enters squared here, so the last digits are lost where the problem is ill-conditioned.
    """
    jacobian, _, squared, (matrix, _, basis) = problem
    right = jacobian.T @ r if basis is None else jnp.where(squared, r, matrix.T @ r)
    z = -jax.scipy.linalg.cho_solve((root, False), right)
    return z if basis is None else basis @ z


def truncated(core: Core, rtol: float) -> Float[Array, " P"]:
    """δ of least norm, singular values at or below rtol times the largest taken as zero."""
    matrix, right, basis = core
    left, sigma, right_t = jnp.linalg.svd(matrix, full_matrices=False)
    kept = sigma > rtol * sigma[0]
    scaled = jnp.where(kept, left.T @ right / jnp.where(kept, sigma, 1.0), 0.0)
    z = -(right_t.T @ scaled)
    return z if basis is None else basis @ z
