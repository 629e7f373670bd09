"""Hamilton–Jacobi with small noise in 20 and 100 dimensions: what it takes, and what else there is.

python examples/hamilton_jacobi.py  # trains what runs/hamilton_jacobi lacks (an hour and a half on
                                    # a core), writes docs/results/hamilton_jacobi.md
"""

import dataclasses
import functools
import math
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hop
from hop import ambient, files, provenance
from hop.checkpoints import Store
from hop.config import files as config_files
from hop.problem import Lam
from hop.problems.hamilton_jacobi import HamiltonJacobi

ROOT = Path(__file__).parents[1]
POINTS, COSTS = 2048, 50  # scored on
SAMPLES = (100, 10_000)  # of Monte Carlo, on fewer points
FEW = 64
STARTS, STEPS = 8, 12  # of Newton's method for the best end
HEAD = """\
# Hamilton–Jacobi with small noise

`python examples/hamilton_jacobi.py` trains what it does not find and writes this page. Of

    u_t + ½ |∇u|² = ε Δu,  u(x, 0) = g(x),  x in R^d,

u is the least cost of steering a noisy walk, and −∇u the best control
({py:mod}`hop.problems.hamilton_jacobi`). g is a random quadratic with a wave, which is not convex,
along one direction in five: 4 of 20, and 20 of 100. Points x are standard normal, t is even in
[0, 1]. Errors are relative, in the mean square over 2,048 such points: of u, of ∇u, and of the part
of ∇u along the waves, where all that is not elementary happens. The exact solution is a mean over
one normal number for each wave, good to 1e-11."""
SINGLE = """\
## One cost

*The ansatz alone* is what is known without training: the quadratic's solution, by Riccati's
equation, with the waves carried along to the end where the quadratic alone would go. As ε → 0 this
cost of 20 dimensions has two kinks before t = 1, where the control jumps. The network is told the
waves and their slopes at that end, besides x and t.

{table}

Here training goes to ε = 10⁻³ directly. What counts is what the network need not find out. Points
count less: the row before those of 100 dimensions has even ones."""
FAMILY = """\
## An operator of the cost

48 numbers say what the cost is. Errors are means over 50 costs that training never saw, the worst
beside.

{table}

*Stage 0* to *3* are a path in ε, each from the one before; *directly* takes as many steps as one of
these (the DeepONet, whose steps are quicker, more).

A network that must find out by itself what the numbers mean for a point learns little more than the
mean of u. Where its decoder is shown the waves and their slopes (`shown`), it learns the gradient
too."""
RIVALS = """\
## Monte Carlo

The formula u = −2ε ln E exp(−g(x + √(2εt) Z) / 2ε) by samples of Z, on {few} of the points, at ε =
10⁻³: plain; and drawn about the best end y, the minimum of g(y) + |x − y|² / 2t by Newton's method
from {starts} starts, with the covariance that the curvature there asks for. *Points* says how many
points, with their gradients, take as long as the training of the network did.

{table}

Samples about the best end are hard to beat: as ε → 0 they become exact. What the network has over
them is a fraction of their time for a point. Its training pays from about the number of points on
the right: of one cost here, of all costs together for an operator."""


class Untold(HamiltonJacobi):
    """The same where the network sees nothing of the waves."""

    trunk_features: Any = None
    shown: Any = None


class Plain(Untold):
    """The same where the ansatz knows the start alone: u = g + t N."""

    reduced_residual: Any = None

    def lift(self, network, x, a, lam):
        return self.value(self.cost_of(a, x.dtype), x[:-1]) + x[-1] * network


class EvenSpace(hop.WholeSpace):
    """Space, seen at even points from −σ to σ."""

    def from_unit(self, unit):
        x = self.deviation * (2 * unit[:, : self.space] - 1)
        return jnp.concatenate([x, self.until * unit[:, self.space :]], axis=1)


class Even(HamiltonJacobi):
    """The same trained at even points from −3 to 3."""

    @property
    def domain(self):
        return EvenSpace(self.dim, deviation=3.0, until=1.0)


def trained(name: str, variant: str, own: Any = None, **groups: Any) -> list[hop.Operator]:
    """The operators of the stages of a run, which is trained unless it is there.

    `groups` of the config have other fields.
    """
    config = config_files.read("configs/hamilton_jacobi.py" + variant)
    for group, fields in groups.items():
        was = getattr(config, group)
        new = fields if isinstance(was, dict) else dataclasses.replace(was, **fields)
        config = dataclasses.replace(config, **{group: new})
    problem = None if own is None else own(config.problem["dim"], config.problem["cost"])
    if problem is not None:
        config = dataclasses.replace(config, problem={})
    workdir = ROOT / "runs" / "hamilton_jacobi" / name
    if not (workdir / "stages").exists():
        hop.train(config, workdir, problem=problem)
    count = len(Store.find(workdir).stages())
    return [hop.load(workdir, stage=k, problem=problem) for k in range(count)]


def taken(name: str) -> tuple[int, float]:
    """The steps and seconds of a run's training."""
    records = [i.record for i in Store.find(ROOT / "runs" / "hamilton_jacobi" / name).stages()]
    return sum(r["step"] for r in records), sum(r["seconds"] for r in records)


@functools.cache
def exact(problem: HamiltonJacobi, eps: float) -> tuple[Any, ...]:
    """Costs that training never saw, points of the law, and u and ∇u there."""
    x, _ = problem.domain.quadrature(POINTS)
    with ambient.on_cpu():
        costs = problem.law.sample(ambient.key(2**31), COSTS) if problem.inputs else None
    fields = {} if costs is None else {"cost": costs}
    given = () if costs is None else (np.asarray(costs.coefficients),)
    return given, x, *problem.solution(fields, x, Lam(0.0, eps))


def errors(problem: HamiltonJacobi, eps: float, u: np.ndarray, slope: np.ndarray) -> list[str]:
    """Of u, of ∇u and of its part along the waves; of several costs the worst beside."""
    _, _, right, right_slope = exact(problem, eps)
    q = u.shape[-1]

    def off(made: np.ndarray, wanted: np.ndarray) -> str:
        wanted = wanted[..., :q]
        axes = tuple(k for k in range(wanted.ndim) if k != wanted.ndim - 2)
        made = np.asarray(made, float).reshape(wanted.shape)
        each = np.sqrt(((made - wanted) ** 2).sum(axes) / (wanted**2).sum(axes))
        return f"{each.mean():.1e}" + f" ({each.max():.1e})" * (len(each) > 1)

    def waves(of: np.ndarray) -> np.ndarray:
        return np.tensordot(problem.directions, of.reshape(problem.dim, -1, q), 1)

    along = off(waves(np.asarray(slope, float)), waves(right_slope[..., :q]))
    return [off(u, right), off(slope, right_slope), along]


def row(title: str, op: hop.Operator, spent: tuple[int, float] | None, alone: bool = False) -> list:
    """A line of a table; with N = 0 instead of the network's for the ansatz alone."""
    own = op.ansatz.problem
    problem = HamiltonJacobi(own.dim, own.cost)
    given, x, _, _ = exact(problem, op.eps)
    if alone:
        op = dataclasses.replace(op, params=jax.tree.map(np.zeros_like, op.params))
    steps, seconds = ("", "") if spent is None else (f"{spent[0]:,}", f"{spent[1]:.0f}")
    made = errors(problem, op.eps, op(*given, x), op.derivative(*given, x, "∇"))
    return [title, f"{op.eps:g}", *made, steps, seconds]


@functools.partial(jax.jit, static_argnums=(0, 3, 4))
def sampled(problem: HamiltonJacobi, x: jax.Array, eps: float, count: int, about: bool) -> Any:
    """u (q,) and ∇u (q, d) of the one cost by Monte Carlo at points (q, d + 1)."""
    cost = problem.cost_of({}, x.dtype)

    def g(y: jax.Array) -> jax.Array:
        return problem.value(cost, y[:, None, None])[0, 0]

    def best(at: jax.Array, t: jax.Array, key: jax.Array) -> jax.Array:
        def whole(y: jax.Array) -> jax.Array:
            return g(y) + jnp.sum((y - at) ** 2) / (2 * t)

        def newton(y: jax.Array, _: Any) -> Any:
            # Where g is concave, the curvature of the quadratic around it stands in for its own.
            values, vectors = jnp.linalg.eigh(jax.hessian(whole)(y))
            step = vectors @ ((vectors.T @ jax.grad(whole)(y)) / jnp.maximum(jnp.abs(values), 0.3))
            tries = jax.vmap(lambda h: y - h * step)(jnp.array([1.0, 0.5, 0.25, 0.05, 0.0]))
            return tries[jnp.argmin(jax.vmap(whole)(tries))], None

        first = at[None] + jnp.sqrt(t) * jax.random.normal(key, (STARTS, len(at)))
        ends = jax.vmap(lambda y: jax.lax.scan(newton, y, length=STEPS)[0])(first)
        return ends[jnp.argmin(jax.vmap(whole)(ends))]

    def one(place: jax.Array, key: jax.Array) -> Any:
        at, t = place[:-1], jnp.maximum(place[-1], 1e-6)
        start, draw = jax.random.split(key)
        z = jax.random.normal(draw, (count, len(at)))
        if about:
            end = best(at, t, start)
            root = jnp.linalg.cholesky(jax.hessian(g)(end) + jnp.eye(len(at)) / t)
            y = end[None] + jnp.sqrt(2 * eps) * jax.scipy.linalg.solve_triangular(root.T, z.T).T
            volume = len(at) / 2 * jnp.log(t) + jnp.sum(jnp.log(jnp.diag(root)))
            density = jnp.sum(z**2, axis=1) / 2 - jnp.sum((y - at[None]) ** 2, axis=1) / (
                4 * eps * t
            )
        else:
            y, volume, density = at[None] + jnp.sqrt(2 * eps * t) * z, 0.0, 0.0
        power = density - jax.vmap(g)(y) / (2 * eps)
        u = -2 * eps * (jax.nn.logsumexp(power) - math.log(count) - volume)
        return u, (at - jax.nn.softmax(power) @ y) / t

    keys = jax.random.split(jax.random.key(0), len(x))
    return jax.lax.map(lambda pair: one(*pair), (x, keys))


def rivals(op: hop.Operator, seconds: float) -> list[list[str]]:
    """The network beside Monte Carlo."""
    problem = op.ansatz.problem
    _, x, _, _ = exact(problem, op.eps)
    x, rows = x[:FEW], []

    def clock(make: Any) -> tuple[Any, float]:
        began = time.perf_counter()
        made = jax.block_until_ready(make())
        return made, (time.perf_counter() - began) / len(x)

    def network() -> Any:
        return op(x), op.derivative(x, "∇")

    network()  # compiles
    (u, slope), each = clock(network)
    title = f"d = {problem.dim}, the network"
    rows.append([title, *errors(problem, op.eps, u, slope), f"{1000 * each:.3f}", ""])
    for about, words in ((False, "plain"), (True, "about the best end")):
        for count in SAMPLES:
            with ambient.on_cpu():
                at = jnp.asarray(x)
                compiled = sampled.lower(problem, at, op.eps, count, about).compile()
                (u, slope), each = clock(lambda: compiled(at, op.eps))  # noqa: B023
            made = errors(problem, op.eps, np.asarray(u), np.asarray(slope).T)
            rows.append(
                [f"{words}, {count:,} samples", *made, f"{1000 * each:.2f}",
                 f"{seconds / each:,.0f}"]
            )  # fmt: skip
    return rows


def stages(title: str, name: str, ladder: list[hop.Operator]) -> list[list[str]]:
    """A line for each stage of a run; what it took in all in the last."""
    spent = [None] * (len(ladder) - 1) + [taken(name)]
    pairs = enumerate(zip(ladder, spent, strict=True))
    return [row(f"{title}, stage {k}", *pair) for k, pair in pairs]


def single_costs(single: hop.Operator, high: hop.Operator) -> str:
    rows = [
        row("d = 20, the ansatz alone", single, None, alone=True),
        row("d = 20, directly", single, taken("single")),
        row("not told the waves", trained("untold", "", Untold)[0], taken("untold")),
        row("nor the quadratic, u = g + t N", trained("plain", "", Plain)[0], taken("plain")),
        row("told, at even points from −3 to 3", trained("even", "", Even)[0], taken("even")),
        row("d = 100, the ansatz alone", high, None, alone=True),
        row("d = 100, directly", high, taken("100d")),
    ]
    columns = ["", "ε", "u", "∇u", "along the waves", "steps", "seconds"]
    return SINGLE.format(table=files.table(columns, rows))


def family_of_costs() -> str:
    direct = {"path": {"eps": (1e-3,)}}
    onet = {"name": "deeponet", "branch": (256, 256), "trunk": (128, 128), "rank": 256}
    more = {"functions": 64, "points": 64, "steps": 9_000}
    ladder = trained("family", ":family")
    others = {
        "shown the waves, directly": trained("shown", ":family", **direct),
        "not shown the waves, directly": trained("unshown", ":family", Untold, **direct),
        "a DeepONet, directly": trained("deeponet", ":family", **direct, network=onet, train=more),
    }
    names = ("shown", "unshown", "deeponet")
    rows = [
        row("the ansatz alone", ladder[-1], None, alone=True),
        *stages("shown the waves", "family", ladder),
        *(row(k, v[0], taken(name)) for (k, v), name in zip(others.items(), names, strict=True)),
    ]
    columns = ["", "ε", "u", "∇u", "along the waves", "steps", "seconds"]
    return FAMILY.format(table=files.table(columns, rows))


if __name__ == "__main__":
    one, hundred = trained("single", "")[0], trained("100d", ":100d")[0]
    parts = [HEAD, single_costs(one, hundred), family_of_costs()]
    found = [*rivals(one, taken("single")[1]), *rivals(hundred, taken("100d")[1])]
    table = files.table(["", "u", "∇u", "along the waves", "ms a point", "points"], found)
    parts.append(RIVALS.format(table=table, few=FEW, starts=STARTS))
    parts.append(provenance.credit("python examples/hamilton_jacobi.py"))
    target = ROOT / "docs" / "results" / "hamilton_jacobi.md"
    target.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(target)
