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
from scipy.linalg import lu_factor, lu_solve

from hop import ambient
from hop.bases import Basis
from hop.derivatives import Jet, closure, for_chain_rule, push
from hop.domain import tensor
from hop.laws import Field, how_many
from hop.problem import Lam, Problem, Weak, bases_of, letters
from hop.references.newton import SMALL, STEPS, Found, Guess

_CHUNK = 2**13  # points at a time
_ON_THE_WAY = 1e-2  # a last step before the walk's last place
_LEAST = 2**-6  # of a step, that is still halved
_TINY = 1e-30


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


def newton(
    problem: Problem,
    a: Mapping[str, Field],
    walk: Sequence[Lam],
    counts: Sequence[int],
    guess: Guess | None = None,
    small: float = SMALL,
) -> Found:
    """Solves the problem at the last place of `walk`, from the solution of the one before it.

    A step is halved until the one that would follow it, with the same matrix, is shorter.

    Args:
      problem: one unknown, its conditions in `lift`.
      a: n functions for each input, by its name; {} for one function without input.
      walk: places (s, ε); Newton's method starts at the first from the guess.
      counts: the number of polynomials along each axis.
      guess: by default u_0.
      small: ends the iteration, once a step is so small beside the largest z so far.

    Returns:
      Among the rest, the `Solution`; the residual is the largest |∫ Σ_D c_D Dφ_i|.
    """
    assert isinstance(problem, Weak)
    bases = bases_of(problem, tuple(counts))
    grid = _Grid(bases, letters(problem))
    labels = closure(problem.weak_derivatives)
    made = []
    with ambient.on_cpu():
        guesses = None if guess is None else guess(grid.x)
        for i in range(how_many(a)):
            one_of = jax.tree.map(lambda c: jnp.asarray(c[i : i + 1]), dict(a))  # noqa: B023
            z = np.zeros(grid.size)
            if guesses is not None:
                lifted = _lifted(problem, ("",), one_of, jnp.asarray(grid.x), walk[0])[""]
                z = grid.fit(guesses[i] - np.asarray(lifted)[0])
            total = 0
            for lam in walk:
                enough = small if lam == walk[-1] else _ON_THE_WAY
                z, step, count, left = _newton(problem, one_of, lam, labels, grid, z, enough)
                total += count
            made.append((z, step, total, left))
    zs, steps, iterations, residuals = map(np.array, zip(*made, strict=True))
    solution = Solution(problem, a, walk[-1], bases, zs)
    return Found(solution, iterations, steps, residuals, min(counts))


def solve(
    problem: Problem, a: Mapping[str, Field], walk: Sequence[Lam], counts: Sequence[int]
) -> Solution:
    """The solution that `newton` finds from u_0.

    Raises:
      RunError: Newton's method did not converge at the last place.
    """
    found = newton(problem, a, walk, counts).checked(walk[-1])
    assert isinstance(found, Solution)
    return found


def _newton(
    problem: Problem,
    a: Mapping[str, Field],
    lam: Lam,
    labels: tuple[str, ...],
    grid: "_Grid",
    z: np.ndarray,
    small: float,
) -> tuple[np.ndarray, float, int, float]:
    """The coefficients z, the last step beside their size, the number of steps, the residual."""
    x = jnp.asarray(grid.x)
    lifted = _lifted(problem, labels, a, x, lam)
    inputs = {name: field.jet(x, labels) for name, field in a.items()}

    def linearised(z: np.ndarray) -> tuple[np.ndarray, dict[str, Jet]]:
        jet = {k: np.asarray(lifted[k]) + grid.values(z, k) for k in labels}
        c, slopes = _linearised(problem, jet, x, inputs, lam)
        rows = [grid.rows(np.asarray(value[0]), label) for label, value in c.items()]
        return np.sum(rows, axis=0), slopes

    (rows, slopes), step, count, size = linearised(z), np.inf, 0, _TINY
    while step > small and count < STEPS:
        kept = {(label, other): np.asarray(slope[0]) for label, jets in slopes.items()
                for other, slope in jets.items() if np.any(slope)}  # fmt: skip
        factors = lu_factor(grid.matrix(kept), overwrite_a=True, check_finite=False)
        delta, share = lu_solve(factors, rows, check_finite=False), 1.0
        size, count = max(size, np.abs(z).max()), count + 1
        step = np.abs(delta).max() / size
        rows, slopes = linearised(z - delta)
        while step > small and share > _LEAST:
            after = lu_solve(factors, rows, check_finite=False)
            if np.linalg.norm(after) <= (1 - share / 4) * np.linalg.norm(delta):
                break
            share /= 2
            rows, slopes = linearised(z - share * delta)
        z = z - share * delta
    return z, float(step), count, float(np.abs(rows).max())


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

    def fit(self, u: Float[np.ndarray, " q"]) -> Float[np.ndarray, " T"]:
        """The z whose Σ z φ is nearest to values at the nodes, in L2."""
        inverses = []
        for along, w in zip(self._along(""), self._w, strict=True):
            root = np.sqrt(w)
            inverses.append(np.linalg.pinv((along * root).T) * root)
        return self._through(inverses, u)

    def matrix(self, slopes: Mapping[tuple[str, str], np.ndarray]) -> Float[np.ndarray, "T T"]:
        """Σ ∫ c Dφ_i D′φ_j over some (D, D′) with a c (q,) each."""
        counts = [basis.count for basis in reversed(self._bases)]
        total, d = np.zeros([n * n for n in counts]), len(counts)
        for (label, other), c in slopes.items():
            axes = zip(self._along(label), self._along(other), self._w, strict=True)
            pairs = [
                ((left * w)[:, None, :] * right[None, :, :]).reshape(-1, len(w))
                for left, right, w in axes
            ]
            total += self._through(pairs, c).reshape(total.shape)
        split = total.reshape([n for count in counts for n in (count, count)])
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
