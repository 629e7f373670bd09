"""Table 8: explicit finite differences, Newton and the operator, for one function and for many."""

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from hop import ambient
from hop.checkpoints import Store
from hop.files import table
from hop.laws import Field
from hop.operators import Operator, load
from hop.problem import Lam
from hop.references import chebyshev, finite_differences
from reproduce import Folders, Results, Table, declared, parts, published, runs

CASES = (("steady", 0.0, 0.5), ("steady", 0.0, 0.1), ("steady", 0.0, 0.05), ("unit", 0.2, 0.2))
MANY, SOME = 10_000, 100
BLOCK = 250  # functions marched together: their states stay in the cache
SOLVERS = {
    "explicit": "explicit, {points} points, {steps:,} steps",
    "newton": "Newton, {nodes} nodes",
    "operator": "operator",
}
X = np.linspace(0.0, 1.0, 1001)


def measure(folders: Folders, quick: bool) -> Any:
    cases = []
    for run, s, eps in CASES:
        operator = load(folders[run], s=s, eps=eps)
        stages = Store(folders[run]).stages()
        until = next(k for k, i in enumerate(stages) if (i.s, i.eps) == (operator.s, operator.eps))
        cases.append(compare(operator, sum(i.record["seconds"] for i in stages[: until + 1])))
    return cases


def fields(operator: Operator, count: int) -> tuple[Field, np.ndarray]:
    """Fresh functions: the field, and its values at the sensors."""
    law = operator.ansatz.problem.inputs["u0"]
    with ambient.numerics(np.float64):
        field = law.field(np.asarray(law.sample(ambient.key(7), count).coefficients))
        return field, np.asarray(law.values(field))


def some(field: Field, count: int, first: int = 0) -> Field:
    return jax.tree.map(lambda coefficients: coefficients[first : first + count], field)


def newton(problem: Any, field: Field, lam: Lam, nodes: int) -> np.ndarray:
    walk = chebyshev.walk_to(lam)
    solution = chebyshev.solve(problem, {"u0": field}, walk, (0.0, 1.0), (0.0, 0.0), nodes)
    return solution(X)


def slowest(problem: Any, field: Field, lam: Lam, points: int = 257) -> float:
    """λ₀, the least real part of the spectrum of the differenced H_u, the least over the fields."""
    x = np.linspace(0, 1, points)
    h, rates = x[1], []
    u = newton(problem, field, lam, 200)
    for row in u:
        v = np.interp(x, X, row)
        s, eps = lam
        main = (1 - s) * (np.gradient(v, h) + 2 * eps / h**2) + s
        low = (1 - s) * (-v / (2 * h) - eps / h**2)
        up = (1 - s) * (v / (2 * h) - eps / h**2)
        matrix = np.diag(main) + np.diag(up[:-1], 1) + np.diag(low[1:], -1)
        rates.append(np.linalg.eigvals(matrix[1:-1, 1:-1]).real.min())
    return float(min(rates))


def error(u: np.ndarray, r: np.ndarray) -> float:
    return float(np.mean(np.linalg.norm(u - r, axis=1) / np.linalg.norm(r, axis=1)))


def timed(f: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """The least of some timings after a first call, which compiles."""
    result, times = f(), []
    for _ in range(repeats):
        began = time.perf_counter()
        result = f()
        times.append(time.perf_counter() - began)
    return min(times), result


def compare(operator: Operator, training: float) -> dict[str, Any]:
    """The three solvers at a stage: errors, seconds for one function and for many, break-even."""
    problem, lam = operator.ansatz.problem, Lam(operator.s, operator.eps)
    field, values = fields(operator, MANY)
    few, test = some(field, 1), some(field, SOME)
    exact = newton(problem, test, lam, 2 * max(144, 32 + math.ceil(6 / lam.eps)))
    values32 = values.astype(np.float32)
    one_u, _ = timed(lambda: operator(values32[:1], X[:, None]), 20)
    many_u, u = timed(lambda: operator(values32, X[:, None]))
    rows: dict[str, Any] = {
        "operator": {"error": error(u[:SOME], exact), "one": one_u, "many": many_u}
    }
    goal = rows["operator"]["error"]
    for nodes in (12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160):
        reached = error(newton(problem, test, lam, nodes), exact)
        if reached <= goal:
            break
    one_n, _ = timed(lambda: newton(problem, few, lam, nodes))
    served = few if lam.s == 0 else field  # at s = 0 one solve serves every function
    many_n, _ = timed(lambda: newton(problem, served, lam, nodes), 1)
    rows["newton"] = {"error": reached, "nodes": nodes, "one": one_n, "many": many_n}
    decay = slowest(problem, some(field, 5), lam)
    for points in (33, 65, 129, 257):
        speed = 1.2 * float(np.abs(exact).max())

        def march(fs: Field, points: int = points, speed: float = speed) -> Any:
            return finite_differences.march(problem, {"u0": fs}, lam, points, decay, speed)

        x, u, steps = march(some(field, 4))
        smooth = np.stack([np.interp(x, X, row) for row in exact[:4]])
        reached = error(u, smooth)
        if reached <= goal:
            break
    one_e, _ = timed(lambda: march(few), 1)
    many_e = one_e
    if lam.s > 0:
        blocks = [some(field, BLOCK, k) for k in range(0, MANY, BLOCK)]
        many_e, _ = timed(lambda: [march(block) for block in blocks], 1)
    rows["explicit"] = {"error": reached, "points": points, "steps": steps, "one": one_e,
                        "many": many_e}  # fmt: skip

    def pays(one: float, many: float) -> float | None:
        """After how many functions training pays; at s = 0 only if each were solved anew."""
        gain = (one if lam.s == 0 else many / MANY) - many_u / MANY
        return training / gain if gain > 0 else None

    return {"s": lam.s, "eps": lam.eps, "decay": decay, "training": training, "solvers": rows,
            "break_even": None if lam.s == 0 else pays(one_n, many_n),
            "break_even_explicit": pays(one_e, many_e)}  # fmt: skip


def often(count: float | None) -> str:
    return "no number of" if count is None else f"{count:,.0f}"


def places(results: Results, cases: Any) -> dict[str, str]:
    paper, rows, notes = published("table_8"), [], []
    for c in cases or ():
        where = f"s = {c['s']:g}, ε = {c['eps']:g}"
        for name, label in SOLVERS.items():
            r = c["solvers"][name]
            cells = [f"{r['error']:.1e}", parts.duration(r["one"]), parts.duration(r["many"])]
            theirs = paper.get(name, {}).get(c["eps"], "–") if c["s"] == 0 else "–"
            rows.append([where, label.format(**r), theirs, *cells])
        reached, goal = (c["solvers"][name]["error"] for name in ("explicit", "operator"))
        worse = f" (less accurate: {reached:.1e}, not {goal:.1e})" if reached > goal else ""
        notes.append(
            f"* {where}: λ₀ = {c['decay']:.2g}; training up to this stage {c['training']:.0f} s, "
            f"which pays after {often(c['break_even_explicit'])} explicit solves{worse}"
            + (
                ", were each function marched anew; against Newton never, since one solve serves "
                "every function."
                if c["s"] == 0
                else f" and {often(c['break_even'])} Newton solves, many at a time."
            )
        )
    head = ["", "solver", "paper, L2RE and time", "mean L2RE", "1 function", f"{MANY:,} functions"]
    return {
        "some": str(SOME),
        "solvers": table(head, rows),
        "notes": "\n".join(notes),
        "made": parts.made(results["runs"]),
    }


TABLE = Table(declared("table_8"), places, measure, runs.picture_of("steady"))
