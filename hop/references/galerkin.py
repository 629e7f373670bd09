"""Galerkin's and Newton's method for a problem in divergence form (`hop.problem.Weak`).

    u = u_0 + Σ_j z_j φ_j,   Σ_D ∫ c_D(u) Dφ_i = 0 for all i,

u_0 the problem's lift of a network that is 0, so that u has the boundary values, and φ products of
the polynomials of `hop.bases`, which leave these alone. The error falls geometrically in their
number once the layers are resolved. The systems are dense.
Source: Shen, *SIAM J. Sci. Comput.* 15 (1994), 1489–1505.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hop import ambient
from hop.bases import Basis
from hop.derivatives import Jet, closure, for_chain_rule, push
from hop.domain import tensor
from hop.laws import Field, how_many
from hop.problem import Lam, Problem, Weak, bases_of, letters
from hop.references import chebyshev

_STEPS = 30
_CHUNK = 2**13  # points at a time
_SMALL, _ON_THE_WAY = 1e-10, 1e-2  # a last Newton step beside the solution's size


@dataclasses.dataclass(frozen=True)
class Solution:
    """u_0 + Σ z φ, one unknown of n functions.

    Attributes:
      problem, a, lam: of which it is a solution.
      bases: one for each axis.
      z: (n, T), the first axis fastest.
    """

    problem: Problem
    a: Mapping[str, Field]
    lam: Lam
    bases: tuple[Basis, ...]
    z: Float[np.ndarray, "n T"]

    def __call__(self, x: Float[np.ndarray, "q d"], label: str = "") -> Float[np.ndarray, "n q"]:
        """A derivative at points."""
        out = np.empty((len(self.z), len(x)))
        with ambient.on_cpu():
            for first in range(0, len(x), _CHUNK):
                some = x[first : first + _CHUNK]
                tests = _products(self.bases, letters(self.problem), label, some)
                lifted = _lifted(self.problem, (label,), self.a, jnp.asarray(some), self.lam)
                out[:, first : first + _CHUNK] = np.asarray(lifted[label]) + self.z @ tests
        return out


def solve(
    problem: Problem, a: Mapping[str, Field], walk: Sequence[Lam], counts: Sequence[int]
) -> Solution:
    """Solves the problem at the last place of `walk`, from the solution of the one before it.

    Args:
      problem: one unknown, its conditions in `lift`.
      a: n functions for each input, by its name; {} for one function without input.
      walk: places (s, ε); Newton's method starts at the first from u_0.
      counts: the number of polynomials along each axis.

    Raises:
      RunError: Newton's method did not converge at the last place.
    """
    assert isinstance(problem, Weak)
    bases = bases_of(problem, tuple(counts))
    grid = _Grid(bases, letters(problem))
    labels = closure(problem.weak_derivatives)
    solved, worst = [], 0.0
    with ambient.on_cpu():
        for i in range(how_many(a)):
            one_of = jax.tree.map(lambda c: jnp.asarray(c[i : i + 1]), dict(a))  # noqa: B023
            z = np.zeros(grid.size)
            for lam in walk:
                small = _SMALL if lam == walk[-1] else _ON_THE_WAY
                z, step = _newton(problem, one_of, lam, labels, grid, z, small)
            solved.append(z)
            worst = max(worst, step)
    chebyshev.check_converged(worst, walk[-1], min(counts))
    return Solution(problem, a, walk[-1], bases, np.stack(solved))


def _newton(
    problem: Problem,
    a: Mapping[str, Field],
    lam: Lam,
    labels: tuple[str, ...],
    grid: "_Grid",
    z: np.ndarray,
    small: float,
) -> tuple[np.ndarray, float]:
    """The coefficients after Newton's method from z, and its last step beside the size of z."""
    x = jnp.asarray(grid.x)
    lifted = _lifted(problem, labels, a, x, lam)
    inputs = {name: field.jet(x, labels) for name, field in a.items()}
    step = np.inf
    for _ in range(_STEPS):
        jet = {k: np.asarray(lifted[k]) + grid.values(z, k) for k in labels}
        c, slopes = _linearised(problem, jet, x, inputs, lam)
        rows = sum(grid.rows(np.asarray(value[0]), label) for label, value in c.items())
        matrix = np.zeros((grid.size, grid.size))
        for label, jets in slopes.items():
            for other, slope in jets.items():
                if np.any(slope):
                    matrix += grid.matrix(np.asarray(slope[0]), label, other)
        delta = np.linalg.solve(matrix, rows)
        z = z - delta
        step = np.abs(delta).max() / max(np.abs(z).max(), 1e-30)
        if not step > small:
            break
    return z, float(step)


@functools.partial(jax.jit, static_argnums=0)
def _linearised(
    problem: Problem, jet: Jet, x: jax.Array, a: Mapping[str, Jet], lam: Lam
) -> tuple[Mapping[str, jax.Array], Mapping[str, Jet]]:
    """c_D, and for each D its slopes in the derivatives of u."""
    assert isinstance(problem, Weak)

    def coefficients(jet: Jet) -> Mapping[str, jax.Array]:
        return problem.weak(jet, x.T[:, None, :], a, lam)

    slopes: dict[str, Jet] = {}
    for label in jet:
        along = {k: jnp.full_like(v, float(k == label)) for k, v in jet.items()}
        for name, slope in jax.jvp(coefficients, (jet,), (along,))[1].items():
            slopes.setdefault(name, {})[label] = jnp.broadcast_to(slope, (1, len(x)))
    c = coefficients(jet)
    return {name: jnp.broadcast_to(value, (1, len(x))) for name, value in c.items()}, slopes


@functools.partial(jax.jit, static_argnums=(0, 1))
def _lifted(
    problem: Problem, labels: tuple[str, ...], a: Mapping[str, Field], x: jax.Array, lam: Lam
) -> Jet:
    """The jet of u_0."""
    names = list(a)

    def lift(*arrays: jax.Array) -> jax.Array:
        *values, points = arrays
        at = points.T[:, None, :]
        zero = jnp.zeros((1, len(points)), points.dtype)
        return problem.lift(zero, at, dict(zip(names, values, strict=True)), lam)

    jets = tuple(field.jet(x, for_chain_rule(labels)) for field in a.values())
    return push(lift, jets, x, labels)


class _Grid:
    """The products of bases at the nodes of their quadratures, axis by axis.

    Attributes:
      x: the nodes (q, d), the first axis fastest.
      size: T, the number of products.
    """

    def __init__(self, bases: tuple[Basis, ...], named: str) -> None:
        self._bases, self._named = bases, named
        self.x = tensor([basis.nodes for basis in bases])
        self.size = math.prod(basis.count for basis in bases)

    def values(self, z: np.ndarray, label: str) -> Float[np.ndarray, "1 q"]:
        """A derivative of Σ z φ."""
        return self._through([along.T for along in self._along(label)], z)[None]

    def rows(self, c: np.ndarray, label: str) -> Float[np.ndarray, " T"]:
        """∫ c Dφ_i."""
        return self._through([m * w for m, w in zip(self._along(label), self._w, strict=True)], c)

    def matrix(self, c: np.ndarray, label: str, other: str) -> Float[np.ndarray, "T T"]:
        """∫ c Dφ_i D′φ_j."""
        pairs = [
            ((left * w)[:, None, :] * right[None, :, :]).reshape(-1, len(w))
            for left, right, w in zip(self._along(label), self._along(other), self._w, strict=True)
        ]
        counts = [basis.count for basis in reversed(self._bases)]
        split = self._through(pairs, c).reshape([n for count in counts for n in (count, count)])
        d = len(counts)
        return split.transpose([*range(0, 2 * d, 2), *range(1, 2 * d, 2)]).reshape(self.size, -1)

    def _along(self, label: str) -> list[np.ndarray]:
        """The derivative of every axis's functions, (N, Q)."""
        named = zip(self._bases, self._named, strict=True)
        return [_at_nodes(basis, label.count(letter)) for basis, letter in named]

    @property
    def _w(self) -> list[np.ndarray]:
        return [basis.weights for basis in self._bases]

    @staticmethod
    def _through(matrices: list[np.ndarray], values: np.ndarray) -> np.ndarray:
        """A matrix along every axis, the first axis fastest."""
        array = values.reshape([m.shape[1] for m in reversed(matrices)])
        for matrix in matrices:  # takes the last axis, to the front: the next one is then last
            array = np.tensordot(matrix, array, axes=(1, -1))
        return array.ravel()


@functools.lru_cache(maxsize=64)
def _at_nodes(basis: Basis, order: int) -> np.ndarray:
    return basis.at(basis.nodes, order)


def _products(
    bases: tuple[Basis, ...], named: str, label: str, x: np.ndarray
) -> Float[np.ndarray, "T q"]:
    """A derivative of every φ at points (q, d)."""
    made = np.ones((1, len(x)))
    for axis, basis in enumerate(bases):
        places, where = np.unique(x[:, axis], return_inverse=True)
        along = basis.at(places, label.count(named[axis]))[:, where]
        made = (along[:, None, :] * made[None, :, :]).reshape(-1, len(x))
    return made
