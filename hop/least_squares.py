"""Dense linear least squares, in float64.

    damped:     δ = argmin |J δ + r|² + μ |δ|²
    truncated:  δ = −J⁺ r, singular values below rtol · σ_max dropped

Both reduce J (m, P) to a square core of size min(m, P), by one QR factorisation: a new μ then costs
a factorisation of the core alone. (Golub, Van Loan, *Matrix Computations*, 4th ed. 2013, chapters 5
and 6.)

For μ ≥ 1e-13 |J|² (in float64) `damped` takes A = JJᵀ, or JᵀJ where m > P, and factorises A + μI by
Cholesky: several times as fast. Squaring J loses digits, and two steps of refinement that read J
itself restore them: down to that μ the errors of δ were those of QR, also for a J without full
rank. (Björck, *Numerical Methods for Least Squares Problems*, 1996, sections 2.9 and 6.6.)
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

_ROUNDINGS = 450  # of |J|², in μ, from which on J can be squared
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
    """min |J δ + r|² + μ |δ|², prepared for several μ.

    Attributes:
      jacobian, r: J (m, P) and r (m,).
      squared: whether `core` holds squares.
      core: what is factorised. As `reduce` makes it, or with A as its matrix: if A = JJᵀ beside r
        and, since δ = Jᵀ z, Jᵀ; if A = JᵀJ beside Jᵀ r and no basis.
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

    A is JJᵀ or JᵀJ; of a core as `reduce` makes it, matrixᵀ matrix.
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
    bottom = jnp.concatenate(
        [jnp.sqrt(mu) * jnp.eye(k, dtype=right.dtype), jnp.zeros((k, 1), right.dtype)], axis=1
    )
    upper = jnp.linalg.qr(jnp.concatenate([top, bottom]), mode="r")
    root = upper[:k, :k]
    z = -jax.scipy.linalg.solve_triangular(root, upper[:k, k])
    # |r|² − |J δ + r|² = (|r|² − |r + J δ|² − μ|δ|²) + μ|δ|², the first the squares rotated out.
    fall = jnp.sum(upper[:k, k] ** 2) + mu * jnp.sum(z**2)
    return Damped(z if basis is None else basis @ z, fall, root)


def _by_cholesky(problem: Prepared, mu: Array) -> Damped:
    jacobian, r, _, (matrix, right, _) = problem
    damping = mu * jnp.eye(len(right), dtype=right.dtype)
    root = jnp.linalg.cholesky(matrix + damping, upper=True)
    delta = _refined(problem, root, r, mu)
    # (JᵀJ + μ I) δ = −Jᵀr, so |r|² − |J δ + r|² = −δᵀJᵀr + μ|δ|².
    fall = mu * jnp.sum(delta**2) - delta @ (jacobian.T @ r)
    return Damped(delta, fall, root)


def _refined(problem: Prepared, root: Array, r: Array, mu: Array) -> Array:
    """δ for any r from the factor of A + μ I, with residuals that read J itself."""
    jacobian, wide = problem.jacobian, problem.core.basis is not None

    def step(_: Any, z: Array) -> Array:
        rest = jacobian @ (jacobian.T @ z if wide else z) + r
        rest = (rest if wide else jacobian.T @ rest) + mu * z
        return z - jax.scipy.linalg.cho_solve((root, False), rest)

    z = jax.lax.fori_loop(0, 1 + _REFINED, step, jnp.zeros_like(problem.core.right))
    return jacobian.T @ z if wide else z


def damped_anew(
    problem: Prepared, root: Float[Array, "k k"], r: Float[Array, " m"], mu: Array
) -> Float[Array, " P"]:
    """argmin |J δ + r|² + μ |δ|² for another r, by the `Damped.root` of this μ.

    After a QR the core enters squared here, and half of the digits can be lost.
    """
    return jax.lax.cond(problem.squared, _refined, _by_root, problem, root, r, mu)


def _by_root(problem: Prepared, root: Array, r: Array, mu: Array) -> Array:
    matrix, _, basis = problem.core
    right = problem.jacobian.T @ r if basis is None else matrix.T @ r
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
