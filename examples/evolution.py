"""Allen–Cahn and Korteweg–de Vries in time: single functions, and operators of u₀.

python examples/evolution.py  # trains what runs/evolution lacks, writes docs/results/evolution.md
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import jax
import numpy as np

import hop
from hop import config as config_lib
from hop import files, provenance
from hop.checkpoints import Store
from hop.config import files as config_files
from hop.domain import Box
from hop.evaluation import Judge
from hop.problem import reference

ROOT = Path(__file__).parents[1]
PROBLEMS = {"allen_cahn_time": "Allen–Cahn", "kdv": "Korteweg–de Vries"}
ALONE = "… the ansatz without its network"
PUBLISHED = {"allen_cahn_time": 4.0e-6, "kdv": 1.5e-4}
GRID = Box((-1.0, 0.0), (1.0, 1.0)).grid(513, 201)  # that of the published figures, and x = 1


def trained(problem: str, variant: str = "") -> tuple[hop.Operator, list[dict]]:
    """The operator of a config, and the records of its stages."""
    workdir = ROOT / "runs" / "evolution" / f"{problem}-{variant or 'operator'}"
    config = config_files.read(f"configs/{problem}.py" + (variant and f":{variant}"), [])
    op = hop.train(config, workdir)
    return op, [stage.record for stage in Store.find(workdir).stages()]


def cost(op: hop.Operator, records: list[dict]) -> list[str]:
    """Parameters, steps and seconds."""
    total = [f"{sum(record[key] for record in records):,.0f}" for key in ("step", "seconds")]
    return [f"{op.ansatz.size:,}", *total]


def on_grid(op: hop.Operator) -> tuple[np.ndarray, np.ndarray]:
    """The reference of a single function and its network on the grid, (201, 513) each."""
    exact = reference(op.ansatz.problem, {}, GRID, op.lam)
    return exact.reshape(201, 513), np.asarray(op(GRID)).reshape(201, 513)


def without_network(op: hop.Operator) -> hop.Operator:
    """The ansatz alone."""
    return dataclasses.replace(op, params=jax.tree.map(np.zeros_like, op.params))


def single(problem: str) -> list[list[str]]:
    op, records = trained(problem, "single")
    rows = []
    for each in (op, without_network(op)):
        exact, found = on_grid(each)
        rows.append(f"{np.linalg.norm(found - exact) / np.linalg.norm(exact):.1e}")
    published = f"{PUBLISHED[problem]:.1e}"
    return [[PROBLEMS[problem], rows[0], published, *cost(op, records)], [ALONE, rows[1]]]


def unrolled() -> list[list[str]]:
    """The time up to which a stage of Korteweg–de Vries shows the solution, and its error."""
    _, records = trained("kdv", "single")
    return [[f"{1 - record['s']:.2f}", f"{record['l2re']:.1e}"] for record in records]


def operator(problem: str) -> list[list[str]]:
    op, records = trained(problem)
    judge = Judge.of(config_lib.build(op.config), "test", 100)
    off = [judge.errors(each) for each in (op, without_network(op))]
    means = [[f"{100 * value:.2f}" for value in (each.mean(), each.max())] for each in off]
    return [[PROBLEMS[problem], *means[0], *cost(op, records)], [ALONE, *means[1]]]


def filled(tables: Iterable[list[list[str]]], width: int) -> list[list[str]]:
    """The rows of several tables in one, of one width."""
    return [row + [""] * (width - len(row)) for rows in tables for row in rows]


def picture(target: Path) -> None:
    """Both single functions in space and time, and what the networks miss."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 5.4), layout="constrained", sharex=True)
    for row, (problem, title) in zip(axes, PROBLEMS.items(), strict=True):
        exact, found = on_grid(trained(problem, "single")[0])
        shown = {title: (found, {"cmap": "RdBu_r"}), "error": (np.abs(found - exact), {})}
        for ax, (said, (values, style)) in zip(row, shown.items(), strict=True):
            extent = (0.0, 1.0, -1.0, 1.0)
            image = ax.imshow(values.T, origin="lower", aspect="auto", extent=extent, **style)
            ax.set(title=said, ylabel="x", yticks=(-1, 0, 1))
            figure.colorbar(image, ax=ax)
    for ax in axes[-1]:
        ax.set(xlabel="t")
    figure.savefig(target, dpi=80)


HEAD = """\
# Evolution: Allen–Cahn and Korteweg–de Vries

`python examples/evolution.py` trains what it does not find and writes this page. Both equations
live on the circle [−1, 1], 0 ≤ t ≤ 1: u_t = εu_xx + 5(u − u³) with ε = 10⁻⁴
(`hop/problems/allen_cahn_time.py`), and u_t + uu_x + εu_xxx = 0 with ε = 0.022²
(`hop/problems/kdv.py`).

![Both solutions in space and time, and what the networks miss](evolution.png)"""
SINGLE = """\
## One function

u₀ = x² cos πx for Allen–Cahn and cos πx for Korteweg–de Vries, without data, by
Levenberg–Marquardt in float64 (`configs/allen_cahn_time.py:single`, `configs/kdv.py:single`).
Relative L2 errors on the grid of 201 times, against a spectral reference."""
BESIDE = """\
The published figures are the best that we know of, those of PirateNets trained with SOAP on a GPU
(jaxpi2). Their networks know the initial values and the period alone. Ours of Allen–Cahn is told
more: what reaction and diffusion do alone, and to first order in ε together, in closed form. It
finds only what is missing there. The seconds are those of training on one core, which other jobs
used as well.

Korteweg–de Vries has no such help but a path in s, which unrolls the solution from u₀ on; on all of
[0, 1] at once such a network got stuck. It is too small for the eight solitons that there are at
the end, and far from the published figure. The error of every stage, up to its time:"""
OPERATORS = """\
## Operators of u₀

The network `fno`, from the equation alone, on new random functions at every step
(`configs/allen_cahn_time.py`, `configs/kdv.py`). Relative L2 errors in % on 100 unseen functions,
the mean and the worst, on 101 times and 2,048 places. Both are first figures, after a few minutes
each. Korteweg–de Vries has a path in s here too, and is far from resolved. The network of
Allen–Cahn adds little yet to what its ansatz knows. One seed each."""


if __name__ == "__main__":
    columns = ["", "L2RE", "published", "parameters", "steps", "seconds"]
    singles = files.table(columns, filled(map(single, PROBLEMS), len(columns)))
    stages = files.table(["up to t", "L2RE"], unrolled())
    columns = ["", "L2RE, %", "worst, %", "parameters", "steps", "seconds"]
    operators = files.table(columns, filled(map(operator, PROBLEMS), len(columns)))
    print(singles, stages, operators, sep="\n\n")
    results = ROOT / "docs" / "results"
    picture(results / "evolution.png")
    credit = provenance.credit("python examples/evolution.py")
    parts = [HEAD, SINGLE, singles, BESIDE, stages, OPERATORS, operators, credit]
    page = "\n\n".join(parts) + "\n"
    (results / "evolution.md").write_text(page, encoding="utf-8")
