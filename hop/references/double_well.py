"""Monotone solutions of the Allen–Cahn equation from its first integral.

ε² u″ = u³ − u conserves ½ ε² u′² − W(u) = C with W = ¼ (u² − 1)². An increasing u from `left` at
x = 0 to `right` at x = 1 is therefore x(u) = ∫ ε du / √(2 (W + C)), and C > 0 is fixed by the total
length 1. Near a well, u = ±1, u lingers: C falls like exp(−√2 L/ε) for a stay of length L, so the
unknown is log C, and with u = ±1 + √C sinh τ the integrand is smooth in τ. The place of an
interface follows from log C to nearly full precision, while Newton's method on a grid knows it only
as far as the linearisation's smallest eigenvalue, about exp(−√2/ε), exceeds rounding.
"""

import dataclasses
import itertools
import math

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import brentq

from hop.errors import RunError

_PANEL = 0.02  # in τ
_GAUSS = np.polynomial.legendre.leggauss(5)
_LOG_C_MIN = -700.0  # below it C underflows


@dataclasses.dataclass(frozen=True)
class Piece:
    """A part of the range of u on one side of a well: u = well + √C sinh τ.

    Attributes:
      well: −1 or 1.
      tau: increasing values (m,).
      x: their places (m,).
      slope: dx/dτ there (m,).
    """

    well: float
    tau: np.ndarray
    x: np.ndarray
    slope: np.ndarray


@dataclasses.dataclass(frozen=True)
class Profile:
    """u (q,) at x (q,) in [0, 1]. Attributes: the `pieces`, √C as `root`, and the `sign` of u′."""

    pieces: tuple[Piece, ...]
    root: float
    sign: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        u = np.empty(np.shape(x))
        starts = np.array([piece.x[0] for piece in self.pieces])
        owner = np.maximum(0, np.searchsorted(starts, x, side="right") - 1)
        for i, piece in enumerate(self.pieces):
            mine = owner == i
            tau = CubicHermiteSpline(piece.x, piece.tau, 1 / piece.slope)(x[mine])
            u[mine] = piece.well + self.root * np.sinh(tau)
        return self.sign * u


def solve(eps: float, left: float, right: float) -> Profile:
    """The monotone solution of ε² u″ + u − u³ = 0, u(0) = left, u(1) = right, to 9 digits or so.

    Raises:
      RunError: there is none with C > 0, or C is too small for float64.
    """
    if left > right:
        profile = solve(eps, -left, -right)  # −u is a solution where u is
        return dataclasses.replace(profile, sign=-1.0)
    what = f"eps={eps:g} between the values {left:g} and {right:g}"

    def length(log_c: float) -> float:
        return _pieces(eps, left, right, log_c)[-1].x[-1]

    highest = 2 * math.log(max(eps * (right - left), 1e-300))  # W ≥ 0, so x < 1 there
    if left == right or length(_LOG_C_MIN) < 1 or length(highest) > 1:
        raise RunError(
            f"no monotone Allen–Cahn solution was found at {what}: eps is too small, or the "
            "solution turns"
        )
    log_c = brentq(lambda c: length(c) - 1, _LOG_C_MIN, highest, xtol=1e-13, rtol=1e-14)
    return Profile(_pieces(eps, left, right, log_c), math.exp(log_c / 2), 1.0)


def _pieces(eps: float, left: float, right: float, log_c: float) -> tuple[Piece, ...]:
    """x(u) for a given C, piece by piece from `left` up."""
    root = math.exp(log_c / 2)
    cuts = [left, *(u for u in (-1.0, 0.0, 1.0) if left < u < right), right]
    pieces, x = [], 0.0
    for low, high in itertools.pairwise(cuts):
        well = -1.0 if low + high < 0 else 1.0
        first, last = (math.asinh((u - well) / root) for u in (low, high))
        tau = np.linspace(first, last, 2 + math.ceil((last - first) / _PANEL))

        def slope(tau: np.ndarray, well: float = well) -> np.ndarray:
            """dx/dτ; W = v² (1 ± v/2)² with v = u ∓ 1 = √C sinh τ, all divided by C cosh² τ."""
            ratio = np.tanh(tau) * (1 + well * root * np.sinh(tau) / 2)
            return eps / np.sqrt(2 * (ratio**2 + np.cosh(tau) ** -2.0))

        half = np.diff(tau)[:, None] / 2
        gauss, weights = _GAUSS
        steps = (half * slope(tau[:-1, None] + half * (1 + gauss))) @ weights
        places = x + np.concatenate([[0.0], np.cumsum(steps)])
        pieces.append(Piece(well, tau, places, slope(tau)))
        x = places[-1]
    return tuple(pieces)
