"""When an operator's training is repaid: every problem beside the best solver of it we could build.

    python benchmarks/when_it_pays.py [--only=3,7] [--output=docs/results]

A row is an operator, pretrained or trained here into runs/when_it_pays, and its rivals: classical
solvers, each from rough to fine, up to the first that is no less accurate in the mean than the
operator, on the same functions and points against a finer reference. Rows that --only leaves out
stay as they were. Writes when_it_pays.md and .json into the folder of --output, or prints the page.
"""

import argparse
import functools
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import report

import hop
from hop import ambient, files
from hop.checkpoints import Store
from hop.config import files as config_files
from hop.evaluation import Judge
from hop.laws import Field
from hop.operators import Operator, stored_experiment
from hop.polishing import TOLERANCE
from hop.problem import Lam, in_time, layers_of, reference
from hop.problems import allen_cahn_time, burgers_2d, burgers_time, kdv
from hop.references import chebyshev, chebyshev_tensor, spectral, spectral_2d
from hop.references.newton import Found

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "when_it_pays"
sys.path.append(str(ROOT / "examples"))
COMMAND = "python benchmarks/when_it_pays.py --output=docs/results"
ROUNDS = 3  # of each timing, of which the quickest counts
SAME = 1e-4  # solutions that differ by less, beside the largest value
HASTE = 1e-3  # the last Newton step of a solver in a hurry

Values = np.ndarray
Solve = Callable[[], Values]


class Rival(NamedTuple):
    """A solver: its kind and size, seconds before the first function, and what gives all values."""

    kind: str
    size: str
    before: float
    solve: Solve


Rivals = Callable[[Judge, Lam, np.ndarray], Iterator[Rival]]


class Row(NamedTuple):
    """A problem.

    Attributes:
      source: the pretrained operator, or the config that trains it.
      eps: where; None for the last stage.
      functions: how many are timed and scored.
      rivals: given the judge, λ and the points.
      inputs: what the operator takes, as the page says it.
    """

    source: str
    eps: float | None
    functions: int
    rivals: Rivals
    inputs: str


def operator(source: Any, eps: float | None, functions: int) -> tuple[Operator, Judge, float, str]:
    """An operator, its judge, the seconds of its training, and where that ran; as of a `Row`."""
    if source.endswith(".py") or ":" in source:
        path, (file, _, variant) = source, source.partition(":")
        source = RUNS / f"{Path(file).stem}_{variant}".rstrip("_")
        if not (source / "stages").exists():
            hop.train(config_files.read(path, ()), source)
    op, store = hop.load(source, eps=eps), Store.find(source)
    on = {info.metadata["versions"]["platform"] for info in store.stages()}
    seconds = sum(info.record["seconds"] for info in store.stages())
    experiment = stored_experiment(store)
    return op, Judge.of(experiment, "test", functions), seconds, "/".join(sorted(on))


def points(judge: Judge, lam: Lam) -> tuple[np.ndarray, np.ndarray]:
    """Where errors are taken: where `hop evaluate` takes them, but no more than users ask for."""
    problem, domain = judge.problem, judge.problem.domain
    if in_time(problem) or layers_of(problem, lam) or domain.dim > 2:
        return judge.quadrature(lam.eps)
    return domain.quadrature({1: 1001, 2: 65}[domain.dim])


def measure(row: Row) -> dict[str, Any]:
    op, judge, training, where = operator(row.source, row.eps, row.functions)
    x, weights = points(judge, op.lam)
    exact = reference(judge.problem, judge.fields, x, op.lam)

    def error(u: Any) -> float:
        parts = [u[name] for name in op.ansatz.problem.unknowns] if isinstance(u, dict) else u
        off = np.asarray(parts, float).reshape(-1, len(x)) - exact.reshape(-1, len(x))
        size = exact.reshape(-1, len(x)) ** 2 @ weights
        return float(np.mean(np.sqrt(off**2 @ weights / size)))

    def timed(solve: Callable[[], Any]) -> tuple[float, float]:
        """The error, and seconds a function after a first round that compiles."""
        found, rounds = error(solve()), []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            solve()
            rounds.append(time.perf_counter() - began)
        return found, min(rounds) / judge.functions

    ours, query = timed(lambda: op(*judge.given, x))
    others: dict[str, dict[str, Any]] = {}
    for rival in row.rivals(judge, op.lam, x):
        if others.get(rival.kind, {}).get("error", math.inf) <= ours:
            continue  # as accurate already
        off, seconds = timed(rival.solve)
        others[rival.kind] = {
            "title": f"{rival.kind}, {rival.size}" if rival.size else rival.kind,
            "before": rival.before, "error": off, "seconds": seconds,
        }  # fmt: skip
        print(f"   {others[rival.kind]}", flush=True)
    return {
        "source": row.source, "inputs": row.inputs, "eps": op.eps, "points": len(x),
        "functions": judge.functions, "training": training, "where": where, "error": ours,
        "query": query, "rivals": list(others.values()),
    }  # fmt: skip


def repaid(row: Mapping[str, Any], rival: Mapping[str, Any]) -> float:
    """N*, the number of functions from which the operator has saved time; infinite for never."""
    saved = rival["seconds"] - row["query"]
    return max(0.0, row["training"] - rival["before"]) / saved if saved > 0 else math.inf


# The rivals, each from rough to fine.


def by_spectra(nonlinear: Any, symbol: Any, sizes: tuple[tuple[int, int], ...]) -> Rivals:
    """Fourier modes and steps of ETDRK4, in one unknown."""

    def rivals(judge: Judge, lam: Lam, x: np.ndarray) -> Iterator[Rival]:
        field, count = judge.fields["u0"], judge.functions
        for modes, steps in sizes:

            def solve(modes: int = modes, steps: int = steps) -> Values:
                many = np.full(count, modes), np.full(count, steps)
                at = x[:, 0], x[:, 1]
                return spectral.solve(nonlinear, symbol(lam.eps), field, *at, *many, block=128)

            yield Rival("ETDRK4", f"{modes} modes, {steps} steps", 0.0, solve)

    return rivals


def in_the_plane(judge: Judge, lam: Lam, x: np.ndarray) -> Iterator[Rival]:
    start = judge.fields["u0"], judge.fields["v0"]
    for modes, steps in ((6, 8), (8, 10), (10, 12), (12, 16), (16, 20), (20, 40), (32, 80)):

        def solve(modes: int = modes, steps: int = steps) -> Values:
            at, symbol = (x[:, :2], x[:, 2]), burgers_2d.diffusion(lam.eps)
            return spectral_2d.solve(burgers_2d.convection, symbol, start, *at, modes, steps)

        yield Rival("ETDRK4", f"{modes}² modes, {steps} steps", 0.0, solve)


def superposed(judge: Judge, lam: Lam, x: np.ndarray) -> Iterator[Rival]:
    """A linear problem: solved for each mode of its input once, then a matrix product."""
    ((name, field),) = judge.fields.items()
    law, K = judge.problem.inputs[name], np.asarray(field.coefficients)
    began = time.perf_counter()
    basis = judge.problem.reference({name: law.field(np.eye(K.shape[1]))}, x, lam)  # type: ignore[attr-defined]
    before = time.perf_counter() - began
    yield Rival("superposition", f"{K.shape[1]} solutions", before, lambda: K @ basis)


def on_parts(judge: Judge, lam: Lam, x: np.ndarray) -> Iterator[Rival]:
    """Collocation on parts that grow from the wall x = 1."""
    cuts = chebyshev.cuts_near(1.0, lam.eps / 2, (0.0, 1.0))
    for nodes in (4, 5, 6, 8, 10, 12, 16):

        def solve(nodes: int = nodes) -> Values:
            box, ends = (0.0, 1.0), (0.0, 0.0)
            args = judge.problem, judge.fields, [lam], box, ends, nodes, cuts, None, HASTE
            return chebyshev.newton(*args).solution(x)

        yield Rival("Chebyshev collocation", f"N = {nodes} on {len(cuts) + 1} parts", 0.0, solve)


def steady_burgers(judge: Judge, lam: Lam, x: np.ndarray) -> Iterator[Rival]:
    """Newton's method on few Chebyshev points, from the line, or down from a larger ε."""
    for nodes in (16, 24, 32, 48, 64, 96):
        for way, walk in (("", [lam]), (", down from ε = 1", chebyshev.walk_to(lam))):

            def solve(nodes: int = nodes, walk: Any = walk) -> Values:
                box, ends = (0.0, 1.0), (0.0, 0.0)
                args = judge.problem, judge.fields, walk, box, ends, nodes, (), None, HASTE
                return chebyshev.newton(*args).solution(x)

            yield Rival(f"Chebyshev collocation{way}", f"N = {nodes}", 0.0, solve)


class ReducedWind:
    """Galerkin's method in the POD modes of solutions with other winds; the system is dense."""

    def __init__(self, judge: Judge, lam: Lam, x: np.ndarray, nodes: int, snapshots: int):
        began = time.perf_counter()
        problem, law = judge.problem, judge.problem.inputs["wind"]
        drawn = np.random.default_rng(1).standard_normal((snapshots, law.width))
        found = problem.solution({"wind": law.field(drawn)}, lam, nodes)  # type: ignore[attr-defined]
        u = found.values.reshape(snapshots, -1)
        box, d, m = problem.domain, problem.domain.dim, nodes - 1
        parts = [_clenshaw_curtis(nodes)[1:-1]] * d
        weights = functools.reduce(np.multiply.outer, parts).ravel()
        size, vectors = np.linalg.eigh((u * weights) @ u.T)
        order = np.argsort(-size)
        v = (vectors[:, order] / np.sqrt(np.maximum(size[order], 1e-14 * size.max()))).T @ u
        first = chebyshev.differentiation_matrix(chebyshev.lobatto((0.0, 1.0), nodes))
        second, first = (f[1:-1, 1:-1] for f in (first @ first, first))

        def along(matrix: np.ndarray, axis: int) -> np.ndarray:
            return np.matmul(matrix, v.reshape(len(v) * m**axis, m, -1)).reshape(v.shape)

        slopes = np.stack([along(first, k) for k in range(d)])
        weighed = v * weights
        at = jnp.asarray(chebyshev_tensor.points(box, nodes).T[:, None])
        with ambient.on_cpu():
            numbers = np.concatenate([np.zeros((1, law.width)), np.eye(law.width)])
            winds = np.array(problem.wind(jnp.asarray(numbers), at))  # type: ignore[attr-defined]
        winds[:, 1:] -= winds[:, :1]

        def carried(k: int) -> np.ndarray:
            return weighed @ np.einsum("dq,drq->rq", winds[:, k], slopes).T

        bent = sum(along(second, k) for k in range(d))
        self.fixed = weighed @ (-lam.eps * bent + problem.reaction * v).T + carried(0)  # type: ignore[attr-defined]
        self.terms = np.stack([carried(k) for k in range(1, len(numbers))])
        self.source = weighed.sum(axis=1)
        parts = [chebyshev_tensor.Solution(found.nodes, block.reshape(-1, *(m,) * d))(x)
                 for block in np.array_split(v, max(1, len(v) // 25))]  # fmt: skip
        self.at = np.concatenate(parts)
        self.before = time.perf_counter() - began

    def solve(self, numbers: np.ndarray, count: int) -> Values:
        terms = self.terms[:, :count, :count].reshape(len(self.terms), -1)
        matrices = (numbers @ terms).reshape(-1, count, count) + self.fixed[:count, :count]
        right = np.broadcast_to(self.source[:count, None], (len(numbers), count, 1))
        return np.linalg.solve(matrices, right)[..., 0] @ self.at[:count]


def _clenshaw_curtis(nodes: int) -> np.ndarray:
    return chebyshev.integration_matrix(nodes)[-1]


def in_wind(sizes: tuple[int, ...], snapshots: int, counts: tuple[int, ...]) -> Rivals:
    """Tensor collocation with a preconditioner, and a reduced basis made with the finest of it."""

    def rivals(judge: Judge, lam: Lam, x: np.ndarray) -> Iterator[Rival]:
        for nodes in sizes:

            def solve(nodes: int = nodes) -> Values:
                return judge.problem.solution(judge.fields, lam, nodes)(x)  # type: ignore[attr-defined]

            yield Rival("Chebyshev collocation", f"N = {nodes}", 0.0, solve)
        reduced = ReducedWind(judge, lam, x, sizes[-1], snapshots)
        numbers = np.asarray(judge.fields["wind"].coefficients, float)
        for count in counts:
            solve_reduced = functools.partial(reduced.solve, numbers, count)
            size = f"{count} modes of {snapshots} solutions"
            yield Rival("reduced basis", size, reduced.before, solve_reduced)

    return rivals


def by_galerkin(judge: Judge, lam: Lam, x: np.ndarray) -> Iterator[Rival]:
    """Continuation in Re with few polynomials, or with fewer, then Newton's method with few."""
    problem: Any = judge.problem
    for count in (10, 12, 14, 16, 20):
        for kind, coarse in (("Galerkin", 0), ("nested Galerkin", 6), ("nested Galerkin", 8)):

            def solve(count: int = count, coarse: int = coarse) -> Values:
                a, guess = judge.fields, None
                if coarse:
                    guess = problem.newton(a, lam, None, HASTE, coarse).solution
                return problem.newton(a, lam, guess, HASTE, count).solution(x)

            size = f"N = {coarse}², {count}²" if coarse else f"N = {count}²"
            yield Rival(kind, size, 0.0, solve)


def by_differences(judge: Judge, lam: Lam, x: np.ndarray) -> Iterator[Rival]:
    """Numerov's, from neutrality, on few nodes."""
    problem: Any = judge.problem
    for nodes in (50, 100, 200, 400, 800):

        def solve(nodes: int = nodes) -> Values:
            return problem.newton(judge.fields, lam, None, HASTE, nodes).solution(x)

        yield Rival("Numerov's differences", f"N = {nodes}", 0.0, solve)


def a_branch(judge: Judge, lam: Lam, x: np.ndarray) -> Iterator[Rival]:
    """Continuation in ε by long strides on few unknowns, and from a zero of f tracked by hand."""
    problem: Any = judge.problem
    for nodes in (50, 100, 200):

        def walk(nodes: int = nodes) -> Values:
            return problem.newton(judge.fields, lam, None, HASTE, nodes, 0.6).solution(x)

        def track(nodes: int = nodes) -> Values:
            import warm_starts

            places = warm_starts.tracked(judge.fields, lam.eps)
            guess = warm_starts.with_wells(judge.fields, lam, places)
            return problem.newton(judge.fields, lam, guess, HASTE, nodes).solution(x)

        yield Rival("continuation", f"N = {nodes}", 0.0, walk)
        yield Rival("a tracked zero and Newton's method", f"N = {nodes}", 0.0, track)


def gummel(judge: Judge, lam: Lam, x: np.ndarray) -> Iterator[Rival]:
    """Gummel's sweeps from neutrality with the voltage laid over the device evenly."""
    problem: Any = judge.problem
    for sweeps, nodes in ((1, 100), (2, 100), (2, 200), (3, 200), (3, 400)):

        def solve(sweeps: int = sweeps, nodes: int = nodes) -> Values:
            return problem.device(judge.fields, lam, nodes).after(sweeps)(x)

        yield Rival("Gummel's sweeps", f"{sweeps} on N = {nodes}", 0.0, solve)


def sparse_exit(judge: Judge, lam: Lam, x: np.ndarray) -> Iterator[Rival]:
    """The solvers of examples/exit_time.py."""
    import exit_time

    problem, drifts = judge.problem, np.asarray(judge.values["drift"])
    others = np.random.default_rng(1).standard_normal((2, problem.dim**2))  # type: ignore[attr-defined]
    for nodes in (6, 7):

        def tensor(nodes: int = nodes) -> Values:
            return exit_time.tensor(judge, nodes, judge.functions, *exit_time.ROUGH)["u"]

        yield Rival("Chebyshev collocation", f"N = {nodes}", 0.0, tensor)
    began = time.perf_counter()
    modes = exit_time.Modes(problem, 8, others)
    before = time.perf_counter() - began
    for degree in (4, 5, 6, 7, 8):
        began = time.perf_counter()
        sparse = exit_time.Sparse(problem, modes, degree)
        features = sparse.features(x)
        made = before + time.perf_counter() - began

        def solve(sparse: Any = sparse, features: Any = features) -> Values:
            return np.array([sparse.solve(one) for one in drifts]) @ features

        yield Rival("sparse Galerkin", f"K = {degree}", made, solve)


def by_quadrature(judge: Judge, lam: Lam, x: np.ndarray) -> Iterator[Rival]:
    """The formula of Hopf and Cole, which this family of costs splits into integrals on a line."""
    for step in (4.0, 3.0, 2.0, 1.5, 1.0, 0.5):

        def solve(step: float = step) -> Values:
            return judge.problem.solution(judge.fields, x, lam, step)[0]  # type: ignore[attr-defined]

        yield Rival("Hopf–Cole by quadrature", f"step {step:g}", 0.0, solve)


LINES = ((8, 10), (12, 10), (16, 20), (24, 20), (24, 40), (32, 60), (48, 100), (64, 150))
ROWS = {
    "Burgers, steady, s = ε = 0.05": Row(
        "burgers-steady-unit", None, 100, steady_burgers, "a function"
    ),
    "Burgers in time, ν = 0.01": Row(
        "configs/burgers_time.py:fourier", None, 100,
        by_spectra(burgers_time.transport, burgers_time.diffusion, LINES), "a function",
    ),
    "Burgers in the plane, ν = 0.01": Row(
        "burgers-2d", None, 16, in_the_plane, "two functions of the plane"
    ),
    "Allen–Cahn in time, ε = 10⁻⁴": Row(
        "configs/allen_cahn_time.py", None, 100,
        by_spectra(allen_cahn_time.growth, allen_cahn_time.diffusion,
                   tuple((modes, steps) for modes in (32, 64, 128, 256) for steps in (10, 20, 40))),
        "a function",
    ),
    "Korteweg–de Vries": Row(
        "configs/kdv.py", None, 100,
        by_spectra(kdv.transport, kdv.dispersion, ((16, 50), (32, 100), (64, 200), (96, 400))),
        "a function",
    ),
    "Convection–diffusion, ε = 10⁻³": Row(
        "convection-diffusion", 1e-3, 100, superposed, "a function, ε"
    ),
    "Reaction–diffusion, ε = 10⁻³": Row(
        "configs/reaction_diffusion.py", 1e-3, 100, superposed, "a function, ε"
    ),
    "Variable convection, ε = 10⁻³": Row(
        "configs/variable_convection.py", 1e-3, 100, on_parts, "two functions, ε"
    ),
    "A random wind in the square, ε = 0.01": Row(
        "configs/random_wind.py", None, 50,
        in_wind((12, 16, 20, 24, 32), 250, (25, 50, 100, 200)), "16 numbers",
    ),
    "A random wind in the cube, ε = 0.05": Row(
        "configs/random_wind.py:cube", 0.05, 20,
        in_wind((8, 10, 12, 16), 250, (25, 50, 100, 200)), "51 numbers, ε",
    ),
    "Allen–Cahn with a random force, ε = 0.03": Row(
        "configs/allen_cahn_forced.py", None, 100, a_branch, "a function"
    ),
    "Flow in a cavity, Re from 500 to 5,000": Row(
        "cavity-high", None, 8, by_galerkin, "a function, Re"
    ),
    "Flow in a cavity, Re from 100 to 1,000": Row(
        "cavity", None, 8, by_galerkin, "a function, Re"
    ),
    "A semiconductor at equilibrium, λ = 10⁻³": Row(
        "drift-diffusion", 1e-3, 100,
        by_differences, "a function, λ",
    ),
    "A semiconductor under voltage, λ = 0.01": Row(
        "biased-drift-diffusion", None, 100, gummel, "a function, V"
    ),
    "Exit time in 8 dimensions, ε = 0.1": Row(
        "configs/exit_time.py", None, 5, sparse_exit, "64 numbers"
    ),
    "Hamilton–Jacobi in 20 dimensions, ε = 10⁻³": Row(
        "hamilton-jacobi-20d", None, 10, by_quadrature, "48 numbers"
    ),
}  # fmt: skip


# Warm starts: to a solver's own tolerance, from the operator and from all else.


Way = Callable[[Mapping[str, Field]], Found]
Ways = Callable[[Any, Lam], Mapping[str, Way]]


class Start(NamedTuple):
    """An operator that starts Newton's method, and what could do so in its place.

    Attributes:
      source, functions: as of a `Row`.
      at: what is asked for, as {"eps": 1e-3}, or {"Re": 5000} of an input.
      others: other ways, given the problem and λ.
    """

    source: str
    functions: int
    at: Mapping[str, float]
    others: Ways


def newton(start: Start) -> dict[str, Any]:
    eps = start.at.get("eps")
    op, judge, training, where = operator(start.source, eps, start.functions)
    given = dict(judge.given[0])
    for name in start.at.keys() & given.keys():
        given[name] = np.full(judge.functions, start.at[name])
    problem: Any = op.ansatz.problem
    a, lam = op.fields(given), op.lam
    ways: dict[str, Way] = {
        "the solver's own": lambda a: problem.newton(a, lam, None, TOLERANCE),
        "the operator": lambda a: problem.newton(a, lam, lambda x: op(given, x), TOLERANCE),
        **start.others(problem, lam),
    }
    rows: list[dict[str, Any]] = []
    grid = problem.domain.grid(*(41,) * problem.domain.dim)
    for title, way in ways.items():
        way(a)  # compiles
        began = time.perf_counter()
        found = way(a)
        seconds = (time.perf_counter() - began) / judge.functions
        values = found.solution(grid)
        if not rows:
            meant = values
        off = np.abs(values - meant).max(axis=1) / np.abs(meant).max(axis=1)
        same = (found.step <= TOLERANCE) & (off < SAME)
        rows.append({
            "title": title, "converged": int(same.sum()), "seconds": seconds,
            "steps": float(np.median(found.iterations[same])) if same.any() else math.nan,
        })  # fmt: skip
        print(f"   {rows[-1]}", flush=True)
    return {
        "source": start.source, "at": dict(start.at), "functions": judge.functions,
        "training": training, "where": where, "ways": rows,
    }  # fmt: skip


def nested(keyword: str, *grids: tuple[int, ...]) -> Ways:
    """Solutions on grids, each from the one before; `keyword` of the problem's `newton` is N."""

    def ways(problem: Any, lam: Lam) -> Mapping[str, Way]:
        def solve(a: Mapping[str, Field], sizes: tuple[int, ...]) -> Found:
            found, guess = None, None
            for size in sizes:
                enough = TOLERANCE if size == sizes[-1] else HASTE
                found = problem.newton(a, lam, guess, enough, **{keyword: size})
                guess = found.solution
            return found

        return {
            f"nested grids, N = {', '.join(map(str, sizes))}": functools.partial(solve, sizes=sizes)
            for sizes in grids
        }

    return ways


def swept(problem: Any, lam: Lam) -> Mapping[str, Way]:
    """After some of Gummel's sweeps, the last of them by `newton` itself."""

    def solve(a: Mapping[str, Field], sweeps: int) -> Found:
        return problem.newton(a, lam, problem.device(a, lam).after(sweeps - 1), TOLERANCE)

    return {f"{k} of Gummel's sweeps": functools.partial(solve, sweeps=k) for k in (1, 2, 3, 4)}


def tracked(problem: Any, lam: Lam) -> Mapping[str, Way]:
    """From the zero of f that a front made a point would follow."""
    import warm_starts

    def solve(a: Mapping[str, Field]) -> Found:
        guess = warm_starts.with_wells(a, lam, warm_starts.tracked(a, lam.eps))
        return problem.newton(a, lam, guess, TOLERANCE)

    return {"a zero of f, tracked": solve}


LIDS = nested("polynomials", (16, 34), (20, 34))
STARTS = {
    "Flow in a cavity, Re = 3,200": Start("cavity-high", 20, {"Re": 3200}, LIDS),
    "Flow in a cavity, Re = 5,000": Start("cavity-high", 20, {"Re": 5000}, LIDS),
    "A semiconductor at equilibrium, λ = 10⁻³": Start(
        "drift-diffusion", 100, {"eps": 1e-3}, nested("nodes", (625, 2500, 10_000))
    ),
    "A semiconductor under voltage, λ = 0.01, V = 20": Start(
        "biased-drift-diffusion", 100, {"V": 20.0}, swept
    ),
    "Allen–Cahn with a random force, ε = 0.03": Start(
        "configs/allen_cahn_forced.py", 200, {}, tracked
    ),
}


HEAD = """\
# When does it pay?

An operator's training is repaid once it has answered N* functions, the break-even number of
arXiv 2605.15399:

    N* = (t_training − t_before) / (t_solver − t_operator),

with the times of one answer below, and `t_before` what the solver prepares. The solver is the
quickest that we could build that is no less accurate than the operator: its mean L2RE over
functions that training never saw is the same or less, on the same points, against a finer
reference. Both answer all functions at once, on one core.

{short}

## In place of a solver

{beside}

"Not as accurate" is a solver that did not reach the operator's error at any size that we tried.

{alone}

## To start a solver

Here the answer is the solver's own, to a last Newton step of 1e-8, and the operator saves steps
(`hop.polish`). N* counts how many functions repay its training against each other start; it *fails*
where it does not converge for all. *Nested grids* solve with few unknowns first, in the solver's
own way, and go on from there; the steps are those on the last grid.

{warm}
"""
ALONE = """\
Problems without an input have one solution, and one solve replaces the training: steady Burgers at
s = 0, whose solution does not depend on u₀, Allen–Cahn on the line and in the plane, the single
functions of Burgers, Allen–Cahn and Korteweg–de Vries, Helmholtz and `high_frequency`, which have
closed forms. They are there to study the method. The solver of Hamilton–Jacobi knows that this
family of costs splits into integrals on a line; [its page](hamilton_jacobi.md) has Monte Carlo,
which does not. That of the [exit time](exit_time.md) has more solvers, and 16 and 32 dimensions,
where no grid fits: there a network of another kind is repaid after some hundreds of drifts against
a solver that is not even as accurate, and after 600 and more against a formula."""


def number(value: float) -> str:
    """Two digits, or "never"."""
    if not math.isfinite(value):
        return "never"
    digits = max(0, math.floor(math.log10(value)) - 1) if value >= 1 else 0
    return f"{round(value, -digits):,.0f}"


def micro(seconds: float) -> str:
    """Microseconds."""
    return f"{1e6 * seconds:,.3g}" if seconds < 1e-3 else f"{1e6 * seconds:,.0f}"


def beside(found: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for title, row in found.items():
        trained = f"{row['training']:,.0f}" + (
            "" if row["where"] == "cpu" else f" ({row['where']})"
        )
        ours = [title, row["inputs"], trained, f"{row['error']:.1e}", micro(row["query"])]
        for rival in sorted(row["rivals"], key=lambda r: -repaid(row, r)):
            good = rival["error"] <= row["error"]
            star = number(repaid(row, rival)) if good else "not as accurate"
            theirs = [rival["title"], f"{rival['error']:.1e}", f"{rival['before']:.2g}",
                      micro(rival["seconds"]), star]  # fmt: skip
            rows.append([*ours, *theirs])
            ours = [""] * len(ours)
    return rows


def warmed(found: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for title, row in found.items():
        (ours,) = (way for way in row["ways"] if way["title"] == "the operator")
        head = [title, f"{row['training']:,.0f}"]
        for way in row["ways"]:
            saved = way["seconds"] - ours["seconds"]
            whole = way["converged"] == row["functions"]
            star = number(row["training"] / saved if saved > 0 else math.inf) if whole else "fails"
            rows.append([*head, way["title"], f"{way['converged']} of {row['functions']}",
                         f"{way['steps']:g}", f"{1e3 * way['seconds']:,.3g}",
                         "" if way is ours else star])  # fmt: skip
            head = ["", ""]
    return rows


def short(rows: Mapping[str, Any]) -> str:
    """What follows from the figures."""
    stars = {}
    for title, row in rows.items():
        good = [rival for rival in row["rivals"] if rival["error"] <= row["error"]]
        if good:
            stars[title] = max(repaid(row, rival) for rival in good)
    never = sum(not math.isfinite(star) for star in stars.values())
    soonest = min(stars, key=lambda title: stars[title])
    return (
        f"**In short.** Of {len(rows)} operators {never} never repay their training: the solver is "
        f"quicker than the network. The one that does soonest, after {number(stars[soonest])} "
        f"functions, is *{soonest}*."
    )


def sooner(starts: Mapping[str, Any]) -> str:
    """The same of starts: against the start that makes the operator's training pay latest."""
    stars = {}
    for title, row in starts.items():
        (ours,) = (way for way in row["ways"] if way["title"] == "the operator")
        saved = [
            way["seconds"] - ours["seconds"]
            for way in row["ways"]
            if way is not ours and way["converged"] >= ours["converged"]
        ]
        least = min(saved, default=math.nan)
        stars[title] = row["training"] / least if least > 0 else math.inf
    first = min(stars, key=lambda title: stars[title])
    return (
        f"As a start of Newton's method an operator is repaid soonest in *{first}*: after "
        f"{number(stars[first])} functions, against the best other start that leads as many to "
        "their solutions."
    )


def page(found: report.Figures) -> str:
    rows = {title: found[title] for title in ROWS}
    starts = {title: found[f"{title}: starts"] for title in STARTS}
    columns = [
        "",
        "input",
        "training, s",
        "L2RE",
        "µs",
        "the solver",
        "L2RE",
        "before, s",
        "µs",
        "N*",
    ]
    of_starts = ["", "training, s", "start", "converged", "steps", "ms", "N*"]
    text = HEAD.format(
        short=f"{short(rows)} {sooner(starts)}",
        beside=files.table(columns, beside(rows)),
        alone=ALONE,
        warm=files.table(of_starts, warmed(starts)),
    )
    runs: dict[str, list[str]] = {}
    for title, section in (*rows.items(), *((f"{k} (starts)", v) for k, v in starts.items())):
        runs.setdefault(f"{section['machine']}, {section['date']}", []).append(title)
    made = [f"{credit}: {', '.join(titles)}." for credit, titles in runs.items()]
    return (
        f"{text}\n`{COMMAND}`; `--only=3,7` measures some rows anew.\n\n" + "\n\n".join(made) + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="numbers of the rows to measure, as 3,7")
    parser.add_argument("--output", type=Path, help="the folder of the page")
    args = parser.parse_args()
    measures: dict[str, Any] = {k: functools.partial(measure, v) for k, v in ROWS.items()}
    measures |= {f"{k}: starts": functools.partial(newton, v) for k, v in STARTS.items()}
    found = report.sections(args.output, "when_it_pays", measures, args.only, COMMAND)
    report.keep(args.output, "when_it_pays", page(found), found)


if __name__ == "__main__":
    main()
