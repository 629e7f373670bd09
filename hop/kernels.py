"""Kernels of training: the matrices that decide how fast gradient descent lowers the residual.

Take L = 1/(2n) Σ r_i², r_i = H(u_θ; s, ε)(x_i) at n points. Along the gradient flow θ′ = −∇L,

    r′ = −K r / n,   K = J Jᵀ,   J = ∂r/∂θ  (n, P),

so L(t) ≤ L(0) exp(−λ_min(K(0)) t/n) for as long as λ_min(K) stays above half its start: then
L′ = −|Jᵀr|²/n² ≤ −2 λ_min(K) L/n.

J is exact here: the residual is pointwise in the jet, so it needs no discretisation. The paper
writes it by one,

    J ≈ D V,   K ≈ D S Dᵀ,   V = ∂u_θ/∂θ  (n, P),   S = V Vᵀ,

where *D maps values to values*: those of a perturbation δu at the n inner points of a grid, δu = 0
at the two ends, to those of H_u δu at the same points. It holds where the ansatz satisfies the
boundary conditions exactly, up to the error of the differences. For such a K

    λ_min(K) ≤ λ_min(S) λ_max(D Dᵀ)   and   λ_min(K) ≤ λ_max(S) σ_min(D)²,

the second by the slow mode of D, exponentially small in 1/ε where an interface or a shock can move.

K and S are smoothing: their eigenvalues fall geometrically, through the rounding of float64 long
before the n-th. Formed as a product, K loses all below n · 1e-16 of its largest; so spectra come
from the singular values of J and V, which reach down to the square of that, and every one tells
where its own rounding begins.

Source: Chen, Yang, Xiang, Hao, arXiv 2502.00488, section 3 and Table 2.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from scipy import linalg

from hop import ambient
from hop.ansatz import Ansatz, columns
from hop.derivatives import LAPLACIAN, partials
from hop.domain import sobol
from hop.errors import UserError
from hop.homotopy.loss import by_point
from hop.laws import Field
from hop.networks import Params
from hop.operators import Operator
from hop.problem import Lam, Problem, reference
from hop.references.chebyshev import Solution, differentiation_matrix, lobatto

_NODES = 300  # of Chebyshev; an interior layer of width ε on [0, 1] takes about 5/ε


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """The singular values of a Jacobian (n, P), whose squares are the eigenvalues of its kernel.

    Attributes:
      sigma: (n,), falling; zeros at the end where n > P.
      rounding: max(n, P) · 2.2e-16 · σ_max. A σ below it is rounding: it says nothing but that the
        true one is as small.
    """

    sigma: Float[np.ndarray, " n"]
    rounding: float

    @classmethod
    def of(cls, jacobian: Float[Array | np.ndarray, "n P"]) -> "Spectrum":
        n, p = jacobian.shape
        sigma = linalg.svdvals(np.asarray(jacobian, np.float64))
        eps = float(np.finfo(np.float64).eps)
        return cls(np.pad(sigma, (0, max(0, n - p))), max(n, p) * eps * float(sigma[0]))

    @property
    def eigenvalues(self) -> Float[np.ndarray, " n"]:
        """Of the kernel, falling."""
        return self.sigma**2

    @property
    def smallest(self) -> float:
        """λ_min of the kernel; an upper bound, rounding², where `lost`."""
        return max(float(self.sigma[-1]), self.rounding if self.lost else 0.0) ** 2

    @property
    def lost(self) -> bool:
        """Whether λ_min is rounding."""
        return self.rank < len(self.sigma)

    @property
    def rank(self) -> int:
        """The numerical rank: how many σ exceed their rounding."""
        return int(np.sum(self.sigma > self.rounding))

    @property
    def rounded(self) -> float:
        """The share of the eigenvalues that is rounding."""
        return 1 - self.rank / len(self.sigma)

    def formed(self, dtype: str) -> int:
        """The rank left once the kernel is formed as a product, or stored, in a float type.

        Its eigenvalues up to n · eps · λ_max are then rounding, and can come out negative.
        """
        kept = len(self.sigma) * float(np.finfo(dtype).eps) * self.eigenvalues[0]
        return int(np.sum(self.eigenvalues > kept))


class Grid(NamedTuple):
    """Points inside an interval, and derivatives of functions that vanish at its ends.

    Attributes:
      x: (n,), without the ends.
      first: d/dx (n, n), values to values.
      second: d²/dx².
    """

    x: np.ndarray
    first: np.ndarray
    second: np.ndarray


def equispaced(interval: tuple[float, float], n: int) -> Grid:
    """n inner points at h = length/(n + 1), with central differences, errors O(h²)."""
    _check_count(n)
    low, high = interval
    h, one = (high - low) / (n + 1), np.eye(n, k=1)
    first, second = (one - one.T) / (2 * h), (one - 2 * np.eye(n) + one.T) / h**2
    return Grid(np.linspace(low, high, n + 2)[1:-1], first, second)


def chebyshev(interval: tuple[float, float], n: int) -> Grid:
    """The n inner points of n + 2 Chebyshev–Lobatto points, exact for polynomials through them."""
    _check_count(n)
    x = lobatto(interval, n + 1)
    d = differentiation_matrix(x)
    return Grid(x[1:-1], d[1:-1, 1:-1], (d @ d)[1:-1, 1:-1])


def linearised(
    problem: Problem, u: Mapping[str, Any], lam: Lam, grid: Grid
) -> Float[np.ndarray, "n n"]:
    """D, the matrix of H_u at u on a grid, δu = 0 at the ends.

    D = diag(∂H/∂u) + diag(∂H/∂u_x) d/dx + diag(∂H/∂u_xx) d²/dx².

    Args:
      problem: on an interval, with derivatives up to the second; an input function is taken as 0.
      u: label → (1, n), the jet of one function at the grid's points.
      lam: s and ε.
      grid: of `equispaced` or `chebyshev`.

    Raises:
      UserError: a problem of another kind.
    """
    _check_interval(problem)
    matrices = {"": np.eye(len(grid.x)), "x": grid.first, "xx": grid.second}
    matrices[LAPLACIAN] = grid.second
    slopes = _slopes(problem, u, grid.x[:, None], lam)
    return np.asarray(sum(h[:, None] * matrices[label] for label, h in slopes.items()))


def at_reference(problem: Problem, lam: Lam, grid: Grid) -> Float[np.ndarray, "n n"]:
    """D at the problem's reference solution, its derivatives by Chebyshev differentiation.

    Raises:
      UserError: a problem that `linearised` does not serve, or ε ≤ 0.
    """
    _check_interval(problem)
    _check_eps(lam)
    nodes = lobatto(_interval(problem), _NODES)
    d = differentiation_matrix(nodes)
    u = reference(problem, _zero(problem), nodes[:, None], lam)[:1]
    jet = {"": u, "x": u @ d.T, "xx": u @ (d @ d).T}
    jet[LAPLACIAN] = jet["xx"]
    there = {label: Solution(nodes, values)(grid.x) for label, values in jet.items()}
    return linearised(problem, there, lam, grid)


def at_network(ansatz: Ansatz, params: Params, lam: Lam, grid: Grid) -> Float[np.ndarray, "n n"]:
    """D at a network without an input function, in float64 whatever its own float type."""
    u, _ = Operator(ansatz, params, lam).jets(None, grid.x[:, None], np.float64)
    return linearised(ansatz.problem, u, lam, grid)


@dataclasses.dataclass(frozen=True)
class Kernel:
    """K of a network at n points: the exact J (n, P), `residual`, and V (n, P), `value`."""

    residual: Float[np.ndarray, "n P"]
    value: Float[np.ndarray, "n P"]

    @functools.cached_property
    def k(self) -> Spectrum:
        """Of K = J Jᵀ."""
        return Spectrum.of(self.residual)

    @functools.cached_property
    def s(self) -> Spectrum:
        """Of S = V Vᵀ."""
        return Spectrum.of(self.value)


def kernel(ansatz: Ansatz, params: Params, lam: Lam, x: Float[np.ndarray, "n d"]) -> Kernel:
    """J and V of a network at the points, in float64 whatever its own float type.

    Rows of soft conditions are left out: K is that of the residual.

    Raises:
      UserError: a problem with an input function.
    """
    problem = ansatz.problem
    if problem.inputs:
        raise UserError(
            f"kernels are those of one function, and {type(problem).__name__} has input functions"
        )
    with ambient.on_cpu():
        lam = Lam(*(np.float64(v) for v in lam))
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        made = _jacobians(ansatz, params, lam, jnp.asarray(x, np.float64))
        return Kernel(*(np.asarray(made[name])[:, 0] for name in ("residual", "value")))


class Bounds(NamedTuple):
    """λ_min of K = D S Dᵀ and what it cannot exceed but by rounding, each from singular values.

    Attributes:
      smallest: λ_min(K).
      by_features: λ_min(S) λ_max(D Dᵀ).
      by_operator: λ_max(S) σ_min(D)², the slow mode's.
    """

    smallest: float
    by_features: float
    by_operator: float


def bounds(d: Float[np.ndarray, "n n"], value: Float[np.ndarray, "n P"]) -> Bounds:
    """Both bounds, from D and V = ∂u/∂θ."""
    stretch, features = linalg.svdvals(d), Spectrum.of(value).sigma
    smallest = Spectrum.of(d @ value).sigma[-1]
    by_features, by_operator = features[-1] * stretch[0], features[0] * stretch[-1]
    return Bounds(*(float(sigma) ** 2 for sigma in (smallest, by_features, by_operator)))


class Start(NamedTuple):
    """One cell of Table 2: K and S at the target, of a network trained at `eps`; None: fresh."""

    eps: float | None
    kernel: Kernel


def starts(
    operators: Sequence[Operator], lam: Lam, x: Float[np.ndarray, "n d"], seed: int = 0
) -> list[Start]:
    """Table 2: kernels at the target λ, of a Xavier network and of stages trained at other ε.

    λ_min falls geometrically with the number of points and is rounding from a few tens on, so a
    cell means something only beside n. The rank at many points hardly depends on n.

    Args:
      operators: stages of one ansatz, in the order in which they are wanted.
      seed: of the Xavier network.
    """
    if not operators:
        raise UserError("Table 2 needs at least one trained stage")
    ansatz = operators[0].ansatz
    with ambient.on_cpu():
        fresh = ansatz.init(ambient.key(seed))
    return [
        Start(None, kernel(ansatz, fresh, lam, x)),
        *(Start(op.eps, kernel(op.ansatz, op.params, lam, x)) for op in operators),
    ]


def largest(
    problem: Problem, eps: float | Sequence[float], n: int = 255
) -> Float[np.ndarray, " k"]:
    """max |λ(D_ε)| for each ε, at the reference, s = 0, with n equally spaced inner points an axis.

    In d > 1 dimensions D must be h₀ + h₁ Δ, as for Helmholtz. On the tensor grid its eigenvalues
    are h₀ + h₁ Σ_i μ_i, μ_i one of those of d²/dx² along axis i: all least or all greatest.

    Raises:
      UserError: a problem that is served in neither way, ε ≤ 0 or n < 1.
    """
    return np.array([_largest(problem, Lam(0.0, float(e)), n) for e in np.atleast_1d(eps)])


def _largest(problem: Problem, lam: Lam, n: int) -> float:
    domain = problem.domain
    if domain.dim == 1:
        d = at_reference(problem, lam, equispaced(_interval(problem), n))
        return float(np.max(np.abs(linalg.eigvals(d))))
    _check_eps(lam)
    refused = UserError(
        f"in more than one dimension λ_max is known for constants times u and Δu, and "
        f"{type(problem).__name__} is no sum of these; use Helmholtz, or a problem on an interval"
    )
    if set(problem.derivatives) != {"", LAPLACIAN} or problem.inputs:
        raise refused
    low, high = np.asarray(domain.lower), np.asarray(domain.upper)
    x = low + (high - low) * sobol(domain.dim, 16)
    jet = dict.fromkeys(problem.derivatives, reference(problem, {}, x, lam))
    slopes = _slopes(problem, jet, x, lam)
    if any(np.ptp(h) for h in slopes.values()):
        raise refused
    grids = [equispaced(_interval(problem, axis), n) for axis in range(domain.dim)]
    axes = [linalg.eigvalsh(grid.second)[[0, -1]] for grid in grids]
    return float(np.max(np.abs(slopes[""][0] + slopes[LAPLACIAN][0] * np.sum(axes, axis=0))))


class Slowest(NamedTuple):
    """Eigenvalues of smallest modulus.

    Attributes:
      values: (count,), by modulus.
      error: (count,), their difference from those on a grid a fifth coarser. Below it one is
        rounding.
    """

    values: np.ndarray
    error: np.ndarray


def slowest(problem: Problem, lam: Lam, count: int = 2, nodes: int = _NODES) -> Slowest:
    """The eigenvalues of smallest modulus of D at the reference, on a Chebyshev grid."""

    def found(n: int) -> np.ndarray:
        grid = chebyshev(_interval(problem), n)
        values = linalg.eigvals(at_reference(problem, lam, grid))
        return values[np.argsort(np.abs(values))][:count]

    values = found(nodes)
    return Slowest(np.real_if_close(values), np.abs(values - found(4 * nodes // 5)))


def _check_interval(problem: Problem) -> None:
    known = set(problem.derivatives) <= {"", "x", "xx", LAPLACIAN}
    if problem.domain.dim > 1 or len(problem.unknowns) > 1 or not known:
        raise UserError(
            f"the matrix D needs one unknown on an interval and derivatives up to u_xx, and "
            f"{type(problem).__name__} has {problem.domain.dim} dimensions and the derivatives "
            f"{problem.derivatives}; use a problem on an interval, as AllenCahn1D"
        )


def _check_eps(lam: Lam) -> None:
    if not 0 < lam.eps < math.inf:
        raise UserError(f"eps={lam.eps:g} must be a positive number")


def _check_count(n: int) -> None:
    if n < 1:
        raise UserError(f"n={n} points make no grid; use at least 1")


def _interval(problem: Problem, axis: int = 0) -> tuple[float, float]:
    return problem.domain.lower[axis], problem.domain.upper[axis]


def _zero(problem: Problem) -> dict[str, Field]:
    """Inputs whose coefficients are 0."""
    return {name: law.field(np.zeros((1, law.size))) for name, law in problem.inputs.items()}


def _slopes(
    problem: Problem, u: Mapping[str, Any], x: Float[np.ndarray, "q d"], lam: Lam
) -> dict[str, Float[np.ndarray, " q"]]:
    """∂H/∂(each entry of the jet) of one function, an input function being 0."""
    with ambient.on_cpu():
        at = jnp.asarray(x)
        a = {name: zero.jet(at, problem.derivatives) for name, zero in _zero(problem).items()}
        jet = {label: jnp.asarray(u[label]) for label in problem.derivatives}
        made = partials(lambda j: problem.residual(j, columns(at), a, lam), jet)
        return {label: np.broadcast_to(h[0], len(x)) for label, h in made.items()}


@functools.partial(jax.jit, static_argnums=0)
def _jacobians(
    ansatz: Ansatz, params: Params, lam: Lam, x: Float[Array, "n d"]
) -> dict[str, Float[Array, "n 1 P"]]:
    def rows(params: Params, x: Array) -> dict[str, Array]:
        return {
            "value": ansatz.jet(params, {}, x, lam, ())[""],
            "residual": ansatz.residual(params, {}, x, lam),
        }

    with jax.default_matmul_precision("highest"):
        return by_point(rows, params, x)
