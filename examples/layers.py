"""Layers: one network for every ε of a range, beside a ladder of stages at single ε.

python examples/layers.py      # trains what runs/layers lacks (15 minutes on two cores), writes
                               # docs/results/layers.md
"""

import time
from pathlib import Path

import numpy as np

import hop
from hop import config as config_lib
from hop import files, provenance
from hop.checkpoints import Store
from hop.config import files as config_files
from hop.evaluation import Judge
from hop.operators import Operator
from hop.problems.random_wind import RandomWind

ROOT = Path(__file__).parents[1]
EPS = (1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
CUBE = (1.0, 0.1, 0.05, 0.02)
RUNS = {  # the titles, and where they are scored
    "convection_diffusion": ("−εu″ + u′ = f, one network for the range", EPS),
    "convection_diffusion:ladder": ("The same, a ladder: a network for each ε, of 7 stages", EPS),
    "reaction_diffusion": ("−ε²u″ + u = f, one network for the range", EPS),
    "variable_convection": ("−εu″ + b u′ = f with a random b > 0, one network for the range", EPS),
    "random_wind": ("−εΔu + b·∇u = 1 in the square, b a random wind", (0.01,)),
    "random_wind:reaction": ("−εΔu + b·∇u + 10u = 1 in the square", (0.01,)),
    "random_wind:cube": ("Without reaction in the cube, one network for a range", CUBE),
    "random_wind:cube_reaction": ("−εΔu + b·∇u + 10u = 1 in the cube", CUBE),
}
HEAD = """\
# Layers

`python examples/layers.py` trains what it does not find and writes this page: three problems on an
interval with layers of width ε, [ε an input](../concepts.md#ε-as-an-input), for the first one also
a ladder of stages at single ε, and a random wind in the square and the cube, without reaction and
with. Errors are means over 100 functions that training never saw, the worst beside: in L2, and the
largest error anywhere over the largest value of the solution. They are taken on a grid that is as
fine in the layers as between them. The references are Chebyshev polynomials: piecewise on the
interval, where they agree with closed forms to 2e-9; tensor products in the square and the cube,
good to 1e-4.

The limit ε → 0 is built into the first two, so that the network gives what is missing, and small
errors there say little of it: where ε is near 1 it does all the work. Over a range the two are
trained on the modes of the law of f in place of draws (`config.data.modes`).

In a random wind what is hard is the map from the wind, 16 numbers in the square and 51 in the cube,
to how u is carried along; the layers are in the ansatz, and points drawn evenly serve best. N is
the least even number of nodes along an axis with which the reference's own method is as accurate in
L2, beside its time for a wind and the number of winds whose solves take as long as the training
did: fewer do not repay it. [Ranges](ranges.md) has the path and single ε beside these."""


def errors(op: Operator, judge: Judge) -> list[str]:
    """L2 and maximum, the means and the worst."""
    (x, weights), r = judge.quadrature(op.eps), judge.reference(op.lam)
    off = np.asarray(op(*judge.given, x), float) - r
    l2 = np.sqrt(off**2 @ weights) / np.sqrt(r**2 @ weights)
    largest = np.abs(off).max(axis=1) / np.abs(r).max(axis=1)
    return [f"{of(e):.1e}" for e in (l2, largest) for of in (np.mean, np.max)]


def rival(op: Operator, judge: Judge, seconds: float) -> list[str]:
    """N, milliseconds a wind, and how many winds repay the training."""
    (x, weights), r = judge.quadrature(op.eps), judge.reference(op.lam)
    aim, nodes, error = judge.errors(op).mean(), 2, np.inf
    while error > aim:
        nodes += 2
        for _ in range(2):  # the first compiles
            began = time.perf_counter()
            solution = op.ansatz.problem.solution(judge.fields, op.lam, nodes)
            each = (time.perf_counter() - began) / judge.functions
        error = np.mean(np.sqrt((solution(x) - r) ** 2 @ weights) / np.sqrt(r**2 @ weights))
    return [str(nodes), f"{1000 * each:.1f}", f"{seconds / each:,.0f}"]


def section(name: str, title: str, places: tuple[float, ...]) -> str:
    """Trains a run unless it is there; its table."""
    config = config_files.read(
        f"configs/{name.replace(':', '.py:')}" + ".py" * (":" not in name), ()
    )
    workdir = ROOT / "runs" / "layers" / name.replace(":", "_")
    if not (workdir / "stages").exists():
        hop.train(config, workdir)
    judge = Judge.of(config_lib.build(config), "test", 100)
    records = [info.record for info in Store.find(workdir).stages()]
    steps, seconds = (sum(record[key] for record in records) for key in ("step", "seconds"))
    columns, rows = ["ε", "L2RE", "worst", "maximum", "worst"], []
    if rivals := isinstance(judge.problem, RandomWind):
        columns += ["N", "ms a wind", "winds"]
    for eps in places:
        op = hop.load(workdir, eps=eps)
        more = rival(op, judge, seconds) if rivals else []
        rows.append([f"{eps:g}", *errors(op, judge), *more])
    table = files.table(columns, rows)
    return f"## {title}\n\n{table}\n\n{steps:,} steps in {seconds:.0f} s."


if __name__ == "__main__":
    parts = [section(name, *said) for name, said in RUNS.items()]
    page = [HEAD, *parts, provenance.credit("python examples/layers.py")]
    target = ROOT / "docs" / "results" / "layers.md"
    target.write_text("\n\n".join(page) + "\n", encoding="utf-8")
    print(target)
