"""The gauge: how far the residual of a trained solution can be trusted.

A small residual bounds every error but the one along the *slow mode*. Linearise H about a solution
u, A = H_u with A δu = h₀ δu + h₁ δu_x + h₂ δu_xx, and take its smallest singular triplet A φ = σ ψ
in L2 (φ, ψ of unit norm, φ = 0 at the ends). An error c φ leaves the residual c σ ψ, so the
residual r = H(u_θ) of a network tells its error along φ to first order:

    ⟨φ, u_θ − u⟩ = ⟨ψ, r⟩ / σ,

and, where the mode moves an interface, the interface is off by that error times |φ / u_x| there.
σ falls like exp(−1/ε): soon ⟨ψ, r⟩, which every other error also feeds at second order, says no
more of the place, and below the rounding of float64 nothing can. (Metastability: Carr, Pego, *Comm.
Pure Appl. Math.* 42 (1989), 523–576. Dual weights: Becker, Rannacher, *Acta Numerica* 10 (2001).)

Three things make the figures right where σ is small.

- *Integration, not differentiation.* With v = δu_xx as the unknown, δu = B v and δu_x = B′ v by
  spectral integration, A⁻¹ = B (diag(h₀) B + diag(h₁) B′ + diag(h₂))⁻¹ has no N⁴ in its condition
  number, so σ is right to some 1e-15 absolute (Greengard, *SIAM J. Numer. Anal.* 28 (1991),
  1071–1080). Its largest singular triplet comes by power iteration with one LU.
- *A is taken at the solution, not at u_θ.* An error of 1e-5 off the slow mode would shift σ by as
  much, and make it look safe. Newton's method with the slow mode held fixed removes that error.
- *The network is evaluated in float64*, as the function that its parameters define: float32 second
  derivatives would drown ⟨ψ, r⟩. The operator's own values are within their rounding of it.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax import Array

from hop import ambient
from hop.ansatz import columns
from hop.derivatives import Jet, partials
from hop.errors import UserError
from hop.homotopy.slow_mode import serves
from hop.operators import Operator
from hop.problem import Lam, Problem
from hop.references.chebyshev import integration_matrix, lobatto

_NODES = (144, 800)  # 144 resolve the 64 modes of an input function; more than 800 take seconds
_NEWTON_STEPS = 12
_POWER_STEPS = 100
_ROUNDING = float(np.finfo(np.float64).eps)
# σ is what is left of terms with rounding errors of their own; where it should vanish (Allen–Cahn
# at ε ≤ 0.03) their effect was measured at up to 20 times the rounding of their norms.
_MARGIN = 50


@dataclasses.dataclass(frozen=True)
class Gauge:
    """What the residual says of n functions; arrays (n,), in the units of u and x.

    All estimates are linear: they hold while they are small, and a `relative` of order one or a
    `shift` beyond the layer's width says only that the residual does not exclude a large error.

    Attributes:
      sigma: σ, the factor from an error along the slow mode to its residual; an upper bound where
        it is at its `floor`, NaN where Newton's method found no solution near u_θ.
      floor: the error of σ by rounding and by the number of nodes.
      projected: |⟨ψ, r⟩|, no less than its own rounding error.
      error: |⟨ψ, r⟩| / σ, the L2 error of u along the slow mode; infinite if not resolved.
      relative: error / ‖u_θ‖.
      place: where the slow mode and the slope meet, the node with the largest |φ u_x|: an
        interface or a shock, if u has one.
      shift: δx = error · |φ / u_x| at that place, the displacement of u that leaves this residual.
      offset: the same with its sign: how far right of its place the network's interface is.
      resolved: whether σ lies above its floor.
      nodes: N, the degree of the collocation.
    """

    sigma: np.ndarray
    floor: np.ndarray
    projected: np.ndarray
    error: np.ndarray
    relative: np.ndarray
    place: np.ndarray
    shift: np.ndarray
    offset: np.ndarray
    resolved: np.ndarray
    nodes: int


def gauge(op: Operator, u0: Any = None, nodes: int | None = None, *, sensors: Any = None) -> Gauge:
    """How far the residual of a trained solution places it.

    Args:
      op: the operator of a stage.
      u0, sensors: input functions as in a call of the operator; None for a problem without them.
      nodes: the degree N of the collocation; by default 32 + 8/ε, in [144, 800]. Where the
        cap leaves a layer unresolved (ε < 0.01), `floor` holds what that does to σ.

    Raises:
      UserError: a problem that is not of second order on an interval with exact conditions at its
        ends, a place s = 1 where H holds no derivative, too few nodes, or a wrong u0.
    """
    problem = op.ansatz.problem
    name = type(problem).__name__
    if not serves(problem):
        raise UserError(
            f"a gauge needs a problem of second order on an interval, with exact conditions at its "
            f"ends (problem.conditions_by=lift), and {name} is none"
        )
    if nodes is not None and nodes < 16:
        raise UserError(f"nodes={nodes} are too few for a gauge; use 16 or more, or leave it out")
    low, high = _NODES
    n = nodes or min(max(low, 32 + math.ceil(8 / op.eps)), high)
    ends = (float(problem.domain.lower[0]), float(problem.domain.upper[0]))
    x = lobatto(ends, n)
    with ambient.on_cpu():
        u, a = op.jets(u0, x[:, None], np.float64, sensors)
        lam = Lam(*(np.float64(v) for v in op.lam))
        grid = jnp.asarray(x)[:, None]
        if not np.all(_linearise(problem, u, a, grid, lam)[1][2]):
            raise UserError(f"gauge needs u_xx in the equation, and there is none at s={op.s:g}")
        basis = _integrals(n, ends)
        rows = []
        for k in range(len(u[""])):
            alone = jax.tree.map(lambda v: v[k : k + 1], a)  # noqa: B023
            start = np.stack([np.asarray(u[label][k]) for label in ("", "x", "xx")])
            rows.append(_measure(problem, start, alone, grid, lam, basis))
    names = [field.name for field in dataclasses.fields(Gauge) if field.name != "nodes"]
    fields = {name: np.array(values) for name, *values in zip(names, *rows, strict=True)}
    return Gauge(**fields, nodes=n)


class _Integrals(NamedTuple):
    """δu = B v and δu_x = B′ v of v = δu_xx with δu = 0 at the ends; quadrature weights w."""

    b: np.ndarray
    b1: np.ndarray
    w: np.ndarray

    def norm(self, v: np.ndarray) -> float:
        return float(np.sqrt(self.w @ v**2))


@functools.lru_cache(maxsize=4)
def _integrals(n: int, ends: tuple[float, float]) -> _Integrals:
    once = (ends[1] - ends[0]) * integration_matrix(n)
    twice = once @ once
    # Subtract the line that makes δu vanish at the upper end.
    slope = twice[-1] / (ends[1] - ends[0])
    b = twice - np.outer(lobatto(ends, n) - ends[0], slope)
    b[[0, -1]] = 0
    return _Integrals(b, once - slope[None, :], once[-1])


class _Mode(NamedTuple):
    """The smallest singular triplet: σ, ψ, the jet (3, N + 1) of φ, and the LU of A in v."""

    sigma: float
    psi: np.ndarray
    phi: np.ndarray
    lu: tuple[np.ndarray, np.ndarray]


def _measure(
    problem: Problem,
    start: np.ndarray,
    a: Mapping[str, Jet],
    grid: Array,
    lam: Lam,
    basis: _Integrals,
) -> tuple[float | bool, ...]:
    """The fields of `Gauge` for one function, from its jet `start` (3, N + 1)."""
    b, b1, w = basis

    def linearise(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        jet = {label: jnp.asarray(u[i])[None, :] for i, label in enumerate(("", "x", "xx"))}
        r, slopes = _linearise(problem, jet, a, grid, lam)
        return np.asarray(r)[0], np.asarray(slopes)[:, 0]

    def sizes(h: np.ndarray, u: np.ndarray) -> float:
        """Σ_i ‖h_i u_i‖, whose rounding no difference of these terms can undercut."""
        return sum(basis.norm(part) for part in h * u)

    r, h = linearise(start)
    u, residual, size, psi, steps = start, r, math.inf, 1 + np.linspace(0, 1, len(r)), 0
    length, noise = basis.norm(start[0]), _ROUNDING * sizes(h, start)
    unknown = (math.nan,) * 3 + (math.inf, math.inf, math.nan, math.inf, math.nan, False)
    while True:
        mode = _slow_mode(h, basis, psi)
        psi = mode.psi
        if size < 1e-9 * max(length, 1e-9):
            break
        if steps == _NEWTON_STEPS or not np.isfinite(mode.sigma):
            return unknown
        # Newton's step without its part along the slow mode, which 1/σ would throw far off.
        v = scipy.linalg.lu_solve(mode.lu, r - psi * (w @ (psi * r)), check_finite=False)
        step = np.stack([b @ v, b1 @ v, v])
        step -= (w @ (mode.phi[0] * step[0])) * mode.phi
        size = basis.norm(step[0])
        u = u - step / max(1.0, float(np.max(np.abs(step[0]))))
        r, h = linearise(u)
        steps += 1
    along = float(w @ (psi * residual))
    projected = max(abs(along), noise)
    phi = mode.phi[0]
    # Coefficients fall geometrically: what is cut off at N is about the square of what is at N/2.
    coefficients = scipy.fft.dct(phi, type=1)
    half = np.linalg.norm(coefficients[len(phi) // 2 :]) / np.linalg.norm(coefficients)
    floor = (_MARGIN * _ROUNDING + float(half) ** 2) * sizes(h, mode.phi)
    resolved = mode.sigma > floor
    sigma = max(mode.sigma, floor)
    error = projected / sigma if resolved else math.inf
    i = int(np.argmax(np.abs(phi * u[1])))
    shift = error * abs(phi[i] / u[1, i]) if u[1, i] else math.inf
    place = float(grid[i, 0])
    # u_θ − u = c φ with c = ⟨ψ, r⟩/σ, and a front moved right by d leaves −d u_x.
    offset = -math.copysign(shift, along * phi[i] * u[1, i])
    return sigma, floor, projected, error, error / length, place, shift, offset, resolved


def _slow_mode(h: np.ndarray, basis: _Integrals, psi: np.ndarray) -> _Mode:
    """The slow mode of A with coefficients h (3, N + 1), by power iteration from ψ.

    T = A⁻¹ = B M⁻¹ has the largest singular value 1/σ, T ψ = φ/σ. In the inner product ⟨w ·, ·⟩ its
    adjoint is w⁻¹ Tᵀ w.
    """
    b, b1, w = basis
    lu = scipy.linalg.lu_factor(
        h[0][:, None] * b + h[1][:, None] * b1 + np.diag(h[2]), check_finite=False
    )

    def inverse(right: np.ndarray, transposed: bool = False) -> np.ndarray:
        return scipy.linalg.lu_solve(lu, right, trans=int(transposed), check_finite=False)

    psi, before = psi / basis.norm(psi), 0.0
    for _ in range(_POWER_STEPS):
        phi = b @ inverse(psi)
        growth = basis.norm(phi)
        longer = inverse(b.T @ (w * phi), transposed=True) / w
        psi = longer / basis.norm(longer)
        if abs(growth - before) <= 1e-10 * growth:
            break
        before = growth
    v = inverse(psi)
    jet = np.stack([b @ v, b1 @ v, v])
    growth = basis.norm(jet[0])
    return _Mode(1 / growth, psi, jet / growth, lu)


@functools.partial(jax.jit, static_argnums=0)
def _linearise(
    problem: Problem, u: Jet, a: Mapping[str, Jet], grid: Array, lam: Lam
) -> tuple[Array, Array]:
    """The residual (n, N + 1), and ∂H/∂u, ∂H/∂u_x, ∂H/∂u_xx (3, n, N + 1)."""

    def residual(jet: Jet) -> Array:
        return problem.residual(jet, columns(grid), a, lam)

    jet = {label: u[label] for label in ("", "x", "xx")}
    return residual(jet), jnp.stack(list(partials(residual, jet).values()))
