"""The mean exit time from [0, 1]^8: an operator beside everything else that could answer.

python examples/exit_time.py    # trains what runs/exit_time lacks (half an hour of a core), solves
                                # for the references (40 minutes, kept there too), writes
                                # docs/results/exit_time.md
python examples/exit_time.py many    # 16 and 32 dimensions: its section alone, in ten minutes
"""

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import exit_time_many
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, gmres

import hop
from hop import config as config_lib
from hop import files, provenance
from hop.checkpoints import Store
from hop.config import files as config_files
from hop.domain import Box
from hop.evaluation import Judge
from hop.laws import Field
from hop.problem import Lam, with_domain
from hop.problems.exit_time import ExitTime
from hop.references import chebyshev

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "exit_time"
TARGET = ROOT / "docs" / "results" / "exit_time.md"
LAM = Lam(0.0, 0.1)
FINEST, FEW, MANY = 10, 5, 100  # N of the best reference, and drifts
FINE = (np.float64, 1e-6)  # the arithmetic and the tolerance of a reference
ROUGH = (np.float32, 1e-3)  # those of a solver in a hurry
PAGE = """\
# Mean exit time in eight dimensions

`python examples/exit_time.py` trains what it does not find, solves for the references and writes
this page. The equation is −ε Δu + b·∇u = 1 in [0, 1]⁸ with u = 0 on the boundary, ε = 0.1 and b a
random shear drift of 64 numbers; u is the mean time until a walk leaves the box
([`exit_time`](../config.md#exit_time)). Errors are relative, in the L2 norm under the law of the
points, Π ½π sin πx_i, on 8,192 of them: means over drifts that training never saw, and the worst.
Even points of an eight-dimensional box lie near its walls; "plain L2" weighs the same points so
that they count like even ones.

**In short.** The operator is accurate, and it does not pay. One core learns all drifts in minutes,
without a solution, and then answers in microseconds. But the answer is smooth, and a solver that
knows this is about as accurate in a millisecond or two: Galerkin's method, not on a tensor grid but
in products of a few modes of each axis whose numbers add up to little. The operator repays its
training soon only against tensor grids, Monte Carlo, or where a reduced basis is too inaccurate.
In [many dimensions](#in-many-dimensions) no solver is as accurate as an operator; a formula is.

## The reference

Chebyshev collocation, (N − 1)⁸ unknowns in float64, on five drifts; errors against N = 10.

{convergence}

`reference` of the problem, by which `hop train` and `hop evaluate` score, takes N = 8 in float32.

## The operator

By `reference` on 100 drifts, and by N = 10 on the first five of them. The rows below the operators
say how hard the problem is: one answer for all drifts, their mean, and the answer without drift.

{answers}

## The others

Errors on the same five drifts by N = 10. Times are of one core. Chebyshev collocation, here in
float32 and with GMRES stopped at 1e-3, is the reference's own method. *Sparse Galerkin* takes
products of the POD modes of each axis, seen in two solutions with other drifts, of which the
numbers add up to K at most. A *reduced basis* is made of whole solutions on the grid of N = 6,
which are themselves off by what the table above says of N = 6; the system online is dense. "Seconds
before" are those before the first drift.

{beside}

Sparse Galerkin shares nothing with collocation but the modes, and where it comes nearest to N = 10
it also says that N = 10 is right. Its error need not fall with K in this norm.

Monte Carlo, by {walks:,.0f} walks a point (their steps of 10⁻³ are off by {bias}), takes
{seconds:.2f} s for one value with a standard error of 3 %.

## When training is repaid

N* is the number of drifts for which the quickest setting of a rival that is no less accurate takes
as long as the operator's training and its own answers together. The operator is asked for one
value a drift, which flatters it: a solver has all of u at once.

{star}

## In six dimensions

The same on five drifts by N = 12, the operator trained by the same config with `dim=6`, for
{steps_in_six} steps in {seconds_in_six} s.

{in_six}

{beside_in_six}

{star_in_six}

{credit}
"""


def kept(name: str, make: Callable[[], dict[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
    """Arrays that take long to make."""
    path = RUNS / f"{name}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **make())
    return np.load(path)


def alone(problem: ExitTime, numbers: np.ndarray) -> dict[str, Field]:
    """One drift (d²,)."""
    return {"drift": problem.inputs["drift"].field(numbers[None])}


def tensor(judge: Judge, nodes: int, count: int, *how: Any) -> dict[str, np.ndarray]:
    """Values (n, q) by Chebyshev collocation, N = `nodes`, and seconds of the quickest solve."""
    (x, _), numbers = judge.quadrature(LAM.eps), judge.values["drift"][:count]
    values, seconds = [], []
    for one in numbers:
        began = time.perf_counter()
        solution = judge.problem.solution(alone(judge.problem, one), LAM, nodes, *how)
        seconds.append(time.perf_counter() - began)
        values.append(solution(x)[0])
    return {"u": np.array(values), "seconds": np.min(seconds)}


class Modes:
    """Functions on an axis, orthonormal in L2: the POD modes of some solutions along all axes."""

    def __init__(self, problem: ExitTime, nodes: int, drifts: np.ndarray):
        self.nodes = chebyshev.lobatto((0.0, 1.0), nodes)
        y, weights = np.polynomial.legendre.leggauss(2 * nodes)
        y, weights = (y + 1) / 2, weights / 2
        inner = np.eye(nodes + 1)[1:-1]
        slopes = (chebyshev.differentiation_matrix(self.nodes) @ inner.T).T
        values, slopes = (chebyshev.Solution(self.nodes, f)(y) for f in (inner, slopes))
        mass, covariance = (values * weights) @ values.T, 0.0
        for one in drifts:
            u = problem.solution(alone(problem, one), LAM, nodes, *ROUGH).values[0]
            lumped = functools.reduce(np.multiply.outer, [mass.sum(1)] * (problem.dim - 1)).ravel()
            for axis in range(problem.dim):
                rows = np.moveaxis(u, axis, 0).reshape(nodes - 1, -1)
                part = (rows * lumped) @ rows.T
                covariance = covariance + part + part[::-1, ::-1]  # and the mirrored solution
        self.matrix = eigh(mass @ covariance @ mass, mass)[1][:, ::-1]
        psi, slopes = self.matrix.T @ values, self.matrix.T @ slopes
        wave = np.cos(np.pi * y)
        pairs = ((slopes, slopes), (psi, slopes), (psi * wave, psi))
        found = [(a * weights) @ b.T for a, b in pairs]
        self.stiffness, self.slope, self.wave = (np.where(abs(m) < 1e-6, 0, m) for m in found)
        self.integral = psi @ weights

    def __call__(self, y: np.ndarray) -> np.ndarray:
        """At y (q,), (modes, q)."""
        return self.matrix.T @ chebyshev.Solution(self.nodes, np.eye(len(self.nodes))[1:-1])(y)


class Sparse:
    """Galerkin's method in the products of modes of which the numbers add up to K at most."""

    def __init__(self, problem: ExitTime, modes: Modes, degree: int):
        d, count = problem.dim, len(modes.integral)
        index = [()]
        for _ in range(d):
            index = [(*k, i) for k in index for i in range(min(count, degree - sum(k) + 1))]
        self.modes, self.index = modes, np.array(index)
        self.size = size = len(index)
        diffusion = [self._restricted({i: modes.stiffness}) for i in range(d)]
        self.fixed = (LAM.eps * sum(diffusion)).tocsr()
        (mean,), (shear,) = problem.parts(np.ones((1, d * d)))
        rows, columns, values, terms = [], [], [], []
        for i, j in np.ndindex(d, d):
            factors = {i: modes.slope} if i == j else {i: modes.slope, j: modes.wave}
            part = self._restricted(factors).tocoo()
            rows.append(part.row)
            columns.append(part.col)
            values.append(part.data * (mean[i] if i == j else shear[i, j]))
            terms.append(np.full(part.nnz, i * d + j))
        every = np.concatenate(rows).astype(np.int64) * size + np.concatenate(columns)
        entries, where = np.unique(every, return_inverse=True)
        self.entries = entries // size, entries % size
        of = sp.csr_matrix((np.concatenate(values), (where, np.concatenate(terms))))
        self.of = of.astype(np.float32)
        pattern = np.ones(len(entries), np.float32), self.entries
        self.pattern = sp.csr_matrix(pattern, (size, size))
        self.fixed = self.fixed.astype(np.float32)
        self.inverse = 1 / self.fixed.diagonal()
        self.source = np.prod(modes.integral[self.index], axis=1).astype(np.float32)

    def _restricted(self, factors: Mapping[int, np.ndarray]) -> sp.csr_matrix:
        """A product of matrices, each along an axis, between the functions of the basis."""
        index, count = self.index, len(self.modes.integral)
        base = count ** np.arange(index.shape[1])
        rows = np.arange(len(index))
        to, values = index @ base, np.ones(len(index))
        order = np.argsort(to)
        for axis, matrix in factors.items():
            here = index[rows, axis]
            to = (to[:, None] + (np.arange(count) - here[:, None]) * base[axis]).ravel()
            values = (values[:, None] * matrix[here]).ravel()
            rows = np.repeat(rows, count)
            some = values != 0
            rows, to, values = rows[some], to[some], values[some]
        known = (index @ base)[order]
        found = np.minimum(np.searchsorted(known, to), len(index) - 1)
        some = known[found] == to
        entries = values[some], (rows[some], order[found[some]])
        return sp.csr_matrix(entries, (len(index),) * 2)

    def solve(self, numbers: np.ndarray) -> np.ndarray:
        """The coefficients for one drift (d²,)."""
        carried = self.pattern.copy()
        carried.data = self.of @ numbers.astype(np.float32)
        matrix, inverse = self.fixed + carried, self.inverse

        def apply(z: np.ndarray) -> np.ndarray:
            return inverse * (matrix @ z)

        operator = LinearOperator((self.size,) * 2, matvec=apply, dtype=np.float32)
        found, failed = gmres(operator, inverse * self.source, rtol=ROUGH[1], restart=60)
        assert not failed
        return found

    def features(self, x: np.ndarray) -> np.ndarray:
        """The basis at points (q, d), (size, q)."""
        out = np.ones((self.size, len(x)), np.float32)
        for axis, y in enumerate(x.T):
            out *= self.modes(y).astype(np.float32)[self.index[:, axis]]
        return out


class Reduced:
    """Galerkin's method in the POD modes of whole solutions on the grid of N = 6."""

    NODES = 6

    def __init__(self, problem: ExitTime, drifts: np.ndarray, x: np.ndarray):
        d, m = problem.dim, self.NODES - 1
        self.problem, grid = problem, chebyshev.lobatto((0.0, 1.0), self.NODES)
        began = time.perf_counter()
        solved = [problem.solution(alone(problem, one), LAM, self.NODES, *ROUGH) for one in drifts]
        u = np.concatenate([s.values for s in solved]).reshape(len(drifts), -1)
        y, weights = np.polynomial.legendre.leggauss(self.NODES)
        basis = chebyshev.Solution(grid, np.eye(self.NODES + 1)[1:-1])((y + 1) / 2)
        lumped = functools.reduce(np.multiply.outer, [(basis * weights / 2).sum(1)] * d)
        lumped = lumped.ravel().astype(np.float32)
        size, vectors = np.linalg.eigh(((u * lumped) @ u.T).astype(float))
        order = np.argsort(-size)
        scaled = vectors[:, order] / np.sqrt(np.maximum(size[order], 1e-14 * size.max()))
        self.basis = v = scaled.T.astype(np.float32) @ u
        first = chebyshev.differentiation_matrix(grid)
        second, first = (f[1:-1, 1:-1].astype(np.float32) for f in (first @ first, first))
        cosines = np.cos(np.pi * grid[1:-1]).astype(np.float32)

        def along(matrix: np.ndarray, axis: int) -> np.ndarray:
            return np.matmul(matrix, v.reshape(len(v) * m**axis, m, -1)).reshape(v.shape)

        self.fixed = -LAM.eps * sum((v * lumped) @ along(second, i).T for i in range(d))
        (mean,), (shear,) = problem.parts(np.ones((1, d * d)))
        self.terms = np.empty((d * d, len(v), len(v)), np.float32)
        for i in range(d):
            slope = along(first, i).T
            for j in range(d):
                wave = np.reshape(cosines, (-1, *(1,) * (d - 1 - j))) * np.ones((m,) * d)
                factor = mean[i] * lumped if i == j else shear[i, j] * lumped * wave.ravel()
                self.terms[i * d + j] = (v * factor.astype(np.float32)) @ slope
        self.source = v @ lumped
        self.seconds = time.perf_counter() - began
        self.at = np.concatenate(
            [
                type(solved[0])(solved[0].nodes, part.reshape(-1, *(m,) * d))(x)
                for part in np.array_split(v, 10)
            ]
        )

    def solve(self, numbers: np.ndarray, count: int) -> np.ndarray:
        """The coefficients of the first modes for one drift (d²,)."""
        some = self.terms[:, :count, :count].reshape(len(self.terms), -1)
        matrix = (numbers.astype(np.float32) @ some).reshape(count, count)
        return np.linalg.solve(self.fixed[:count, :count] + matrix, self.source[:count])


def walks(problem: ExitTime, numbers: np.ndarray, x: np.ndarray, count: int, step: float) -> Any:
    """The times of `count` walks from x (d,): steps of Euler and Maruyama in the box.

    Between two steps a walk may have been outside: so much is known of the Brownian bridge.
    """
    rng, dtype = np.random.default_rng(0), np.float32
    mean, shear = (part[0].astype(dtype) for part in problem.parts(numbers[None]))
    at, times, going = np.tile(x.astype(dtype), (count, 1)), np.zeros(count), np.arange(count)
    noise, now = dtype(np.sqrt(2 * LAM.eps * step)), 0.0
    while len(going):
        b = mean + np.cos(np.pi * at) @ shear.T
        new = at - dtype(step) * b + noise * rng.standard_normal(at.shape, dtype)
        inside = ((new > 0) & (new < 1)).all(axis=1)
        near = np.minimum(at * new, (1 - at) * (1 - new)) / dtype(LAM.eps * step)
        stays = np.prod(1 - np.exp(-np.maximum(near, 0)), axis=1) > rng.random(len(at), dtype)
        stays &= inside
        times[going[~stays]] = now + step / 2
        at, going, now = new[stays], going[stays], now + step
    return times


def monte_carlo(judge: Judge, exact: np.ndarray, x: np.ndarray) -> tuple[float, float, float]:
    """Seconds a point for an error of 3 %, the walks that takes, and the bias of the steps."""
    problem, numbers, count, step = judge.problem, judge.values["drift"], 20_000, 1e-3
    needed, seconds, offs = [], [], []
    for k in range(10):
        began = time.perf_counter()
        found = walks(problem, np.asarray(numbers[0]), x[k], count, step)
        each = (time.perf_counter() - began) / count
        needed.append(found.var() / (0.03 * found.mean()) ** 2)
        seconds.append(each * needed[-1])
        offs.append(found.mean() / exact[k] - 1)
    return float(np.mean(seconds)), float(np.mean(needed)), float(np.mean(offs))


class Trained(NamedTuple):
    """An operator, and what it took."""

    title: str
    op: hop.Operator
    steps: int
    seconds: float


def trained(title: str, variant: str = "", dim: int = 8, even: bool = False) -> Trained:
    """That of a config, trained unless it is there; in other dimensions, or at `even` points."""
    workdir = RUNS / title.replace(" ", "_").replace(",", "")
    config = config_files.read("configs/exit_time.py" + variant, ())
    config = dataclasses.replace(config, problem={"name": "exit_time", "dim": dim})
    problem = None
    if even:
        config = dataclasses.replace(config, problem={})
        problem = with_domain(ExitTime(dim), Box((0.0,) * dim, (1.0,) * dim))
    if not (workdir / "stages").exists():
        hop.train(config, workdir, problem=problem)
    (record,) = (info.record for info in Store.find(workdir).stages())
    op = hop.load(workdir, problem=problem)
    return Trained(title, op, record["step"], record["seconds"])


def errors(u: np.ndarray, exact: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """L2RE of each function."""
    return np.sqrt((u - exact) ** 2 @ weights / (exact**2 @ weights))


def percent(value: float) -> str:
    return f"{100 * value:.2f} %" if value < 0.01 else f"{100 * value:.1f} %"


def both(e: np.ndarray) -> list[str]:
    """Mean and worst."""
    return [percent(e.mean()), percent(e.max())]


def query(op: hop.Operator, count: int = 1000) -> float:
    """Seconds for one value of u, of many drifts at once."""
    dim = op.ansatz.problem.domain.dim
    numbers, x = np.random.default_rng(0).standard_normal((count, dim**2)), np.full((1, dim), 0.5)
    op(numbers, x)
    began = time.perf_counter()
    op(numbers, x)
    return (time.perf_counter() - began) / count


class Rival(NamedTuple):
    """Another way to the answer: its values (n, q), and seconds a drift and before the first."""

    title: str
    unknowns: int
    u: np.ndarray
    seconds: float
    before: float = 0.0


def timed(solve: Callable[[np.ndarray], np.ndarray], drifts: np.ndarray) -> tuple[Any, float]:
    """The solutions of some drifts, and seconds each in the quickest of five rounds."""
    rounds = []
    for _ in range(5):
        began = time.perf_counter()
        found = [solve(one) for one in drifts]
        rounds.append((time.perf_counter() - began) / len(drifts))
    return np.array(found), min(rounds)


def rivals(judge: Judge, x: np.ndarray, drifts: np.ndarray) -> Iterator[Rival]:
    """Solvers and reduced bases, from rough to fine; each on its own drifts before the first."""
    problem = judge.problem
    others = np.random.default_rng(1).standard_normal((250, problem.dim**2))
    for nodes in (5, 6, 7, 8):
        found = tensor(judge, nodes, len(drifts), *ROUGH)
        title = f"Chebyshev, N = {nodes}"
        yield Rival(title, (nodes - 1) ** problem.dim, found["u"], found["seconds"])
    began = time.perf_counter()
    modes = Modes(problem, 8, others[:2])
    before = time.perf_counter() - began
    for degree in (2, 4, 5, 6, 7, 8):
        began = time.perf_counter()
        sparse = Sparse(problem, modes, degree)
        made = time.perf_counter() - began
        z, seconds = timed(sparse.solve, drifts)
        u = z @ sparse.features(x)
        yield Rival(f"Sparse Galerkin, K = {degree}", sparse.size, u, seconds, before + made)
    reduced = Reduced(problem, others, x)
    for count in (50, 100, 250):
        z, seconds = timed(functools.partial(reduced.solve, count=count), drifts)
        title = f"Reduced basis, {count} modes of {len(others)} solutions"
        yield Rival(title, count, z @ reduced.at[:count], seconds, reduced.seconds)


class Test(NamedTuple):
    """What errors are measured by: points, their weights by the law and plain, and solutions."""

    judge: Judge
    x: np.ndarray
    law: np.ndarray
    plain: np.ndarray
    exact: np.ndarray

    @property
    def drifts(self) -> np.ndarray:
        return np.asarray(self.judge.values["drift"])[: len(self.exact)]

    def row(self, u: np.ndarray) -> list[str]:
        """Mean and worst error, and the mean of the plain one."""
        plain = errors(u, self.exact, self.plain).mean()
        return [*both(errors(u, self.exact, self.law)), percent(plain)]

    def error(self, u: np.ndarray) -> float:
        return float(errors(u, self.exact, self.law).mean())


def test_of(dim: int, nodes: tuple[int, ...], count: int) -> tuple[Test, str]:
    """By the last of `nodes`, and the table of how the reference converges."""
    config = config_files.read("configs/exit_time.py", ())
    config = dataclasses.replace(config, problem={"name": "exit_time", "dim": dim})
    judge = Judge.of(config_lib.build(config), "test", count)
    x, law = judge.quadrature(LAM.eps)
    grids = {
        n: kept(f"tensor_{n}" if dim == 8 else f"tensor_{n}_{dim}d",
                lambda n=n: tensor(judge, n, FEW, *FINE))
        for n in nodes
    }  # fmt: skip
    found = Test(judge, x, law, 1 / judge.problem.domain.density(x), grids[nodes[-1]]["u"])
    rows = [
        [str(n), f"{(n - 1) ** dim:,}", *found.row(grid["u"]), f"{float(grid['seconds']):.3g}"]
        for n, grid in grids.items()
    ]
    columns = ["N", "unknowns", "L2RE", "worst", "plain L2", "seconds a solve"]
    return found, files.table(columns, rows[:-1])


def answers(test: Test, runs: list[Trained]) -> str:
    """The operators on many drifts by the reference of the problem, and on few by a finer one."""
    judge, x = test.judge, test.x
    many = test._replace(exact=kept("reference", lambda: {"u": judge.reference(LAM)})["u"])
    still = judge.problem.lift(jnp.zeros((1, 1)), jnp.asarray(x).T[:, None], {}, LAM)
    of = [(run.title, np.asarray(run.op(many.drifts, x)), run) for run in runs]
    of += [("the mean over drifts", np.tile(many.exact.mean(0), (MANY, 1)), None)]
    of += [("φ/ε, the answer without drift", np.tile(np.asarray(still), (MANY, 1)), None)]
    rows = [
        [title, *many.row(u), *test.row(u[:FEW])[:2],
         *(["", ""] if run is None else [f"{run.steps:,}", f"{run.seconds:.0f}"])]
        for title, u, run in of
    ]  # fmt: skip
    columns = ["", "L2RE", "worst", "plain L2", f"by N = {FINEST}", "worst", "steps", "seconds"]
    return files.table(columns, rows)


def compare(test: Test, runs: list[Trained]) -> tuple[str, str]:
    """The tables of the rivals, and of when the training of each run is repaid."""
    others = list(rivals(test.judge, test.x, test.drifts))
    table = [
        [r.title, f"{r.unknowns:,}", *test.row(r.u), f"{1000 * r.seconds:.3g}", f"{r.before:.0f}"]
        for r in others
    ]
    repaid = []
    for run in runs:
        aim, asked = test.error(np.asarray(run.op(test.drifts, test.x))), query(run.op)
        for kind in ("Chebyshev", "Sparse Galerkin", "Reduced basis"):
            some = [r for r in others if r.title.startswith(kind) and test.error(r.u) <= aim]
            row = [run.title, percent(aim), f"{1e6 * asked:.1f}"]
            if not some:
                repaid.append([*row, f"{kind}: none as accurate", "", ""])
                continue
            best = min(some, key=lambda r: r.seconds)
            count = (run.seconds - best.before) / (best.seconds - asked)
            repaid.append([*row, best.title, f"{1000 * best.seconds:.3g}", f"{count:,.0f}"])
    columns = ["", "unknowns", "L2RE", "worst", "plain L2", "ms a drift", "seconds before"]
    of_star = ["operator", "L2RE", "µs a value", "rival", "ms a drift", "N*"]
    return files.table(columns, table), files.table(of_star, repaid)


def main() -> None:
    test, convergence = test_of(8, (6, 7, 8, 9, FINEST), MANY)
    runs = [
        trained("150 s"),
        trained("20 minutes", ":long"),
        trained("150 s, even points", even=True),
    ]
    beside, star = compare(test, runs[:2])
    six, in_six = test_of(6, (8, 10, 12), FEW)
    runs_in_six = [trained("d = 6", dim=6)]
    beside_in_six, star_in_six = compare(six, runs_in_six)
    seconds, count, bias = monte_carlo(test.judge, test.exact[0], test.x)
    page = PAGE.format(
        convergence=convergence, answers=answers(test, runs), beside=beside, star=star,
        in_six=in_six, beside_in_six=beside_in_six, star_in_six=star_in_six,
        steps_in_six=f"{runs_in_six[0].steps:,}", seconds_in_six=f"{runs_in_six[0].seconds:.0f}",
        seconds=seconds, walks=count, bias=percent(abs(bias)),
        credit=provenance.credit("python examples/exit_time.py"),
    )  # fmt: skip
    _, *many = TARGET.read_text(encoding="utf-8").split(exit_time_many.SECTION)
    write("\n".join([page, *(exit_time_many.SECTION + section for section in many)]))


def write(page: str) -> None:
    TARGET.write_text(page, encoding="utf-8")
    print(TARGET)


def many() -> None:
    """Writes the section of many dimensions, the last of the page, and leaves the others."""
    before, *_ = TARGET.read_text(encoding="utf-8").split(exit_time_many.SECTION)
    credit = provenance.credit("python examples/exit_time.py many")
    section = exit_time_many.section(RUNS, kept, percent, credit)
    write(before.rstrip() + "\n\n" + section)


if __name__ == "__main__":
    many() if sys.argv[1:] == ["many"] else main()
