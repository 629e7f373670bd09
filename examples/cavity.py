"""Flow in a cavity: the operator of the lid and of Re, single functions, and their reference.

python examples/cavity.py      # trains what runs/cavity lacks, writes docs/results/cavity.md
"""

from pathlib import Path

import numpy as np

import hop
from hop import config as config_lib
from hop import files, provenance
from hop.checkpoints import Store
from hop.config import files as config_files
from hop.evaluation import Judge
from hop.problem import Lam
from hop.problems.cavity import Cavity

ROOT = Path(__file__).parents[1]
RUNS = {  # a config, words of the command line, and the stages that are shown
    "operator": ("configs/cavity.py", (), (-1,)),
    "short": ("configs/cavity.py", ("train.steps=5000", "train.validation=4"), (-1,)),
    "path": ("configs/cavity.py:single", (), (2, 4)),
    "direct": ("configs/cavity.py:single", ("path.eps=(0.001,)", "train.steps=240"), (-1,)),
    "unit": ("configs/cavity.py:unit", (), (2,)),
}
TITLES = {
    "operator": "operator, 100 unseen lids, each with a Re from 100 to 1,000",
    "short": "the same, fewer steps",
    "path": "smooth lid, along the path",
    "direct": "smooth lid, directly",
    "unit": "U = 1, along the path",
}
EXACT: dict = {}  # the reference's velocities, computed once
PUBLISHED = (-0.3885698, 0.3769447, -0.5270771)  # Botella, Peyret 1998, at Re = 1,000


def trained(name: str) -> Path:
    file, words, _ = RUNS[name]
    workdir = ROOT / "runs" / "cavity" / name
    hop.train(config_files.read(file, [f"--config.{word}" for word in words]), workdir)
    return workdir


def velocity_errors(op: hop.Operator, functions: int = 100) -> np.ndarray:
    """Relative L2 errors of the velocity (ψ_y, −ψ_x), one for each function of the test split."""
    problem, given, fields = op.ansatz.problem, (), {}
    if problem.inputs:
        judge = Judge.of(config_lib.build(op.config), "test", functions)
        given, fields = judge.given, judge.fields
    places, along = np.polynomial.legendre.leggauss(48)
    x = np.stack(np.meshgrid(*[(1 + places) / 2] * 2, indexing="ij"), -1).reshape(-1, 2)
    weights = np.multiply.outer(along, along).ravel()
    key = (problem, op.lam)
    if key not in EXACT:
        solution = problem.solution(fields, op.lam)
        EXACT[key] = {label: solution(x, label) for label in "xy"}
    off = size = 0
    for label, exact in EXACT[key].items():
        off += (np.atleast_2d(op.derivative(*given, x, label)) - exact) ** 2 @ weights
        size += exact**2 @ weights
    return np.sqrt(off / size)


def rows(name: str) -> list[list[str]]:
    workdir, made = trained(name), []
    stages = Store.find(workdir).stages()
    for stage in RUNS[name][2]:
        op = hop.load(workdir, stage=stage)
        errors = velocity_errors(op)
        done = stages[: stage + 1] if stage >= 0 else stages
        spent = [f"{sum(s.record[k] for s in done):,.0f}" for k in ("step", "seconds")]
        number = "" if op.laws else f"{1 / op.eps:,.0f}"
        made.append([TITLES[name], number, f"{errors.mean():.1e}", f"{errors.max():.1e}", *spent])
    return made


def extrema(count: int) -> list[str]:
    """Of the velocity on the two centre lines, U = 1, Re = 1,000."""
    solution = Cavity(lid="unit").solution({}, Lam(0.0, 1e-3), count)
    line = np.linspace(0.02, 0.98, 4001)
    middle = np.full_like(line, 0.5)
    u = solution(np.stack([middle, line], axis=1), "y")[0][line < 0.5]
    v = -solution(np.stack([line, middle], axis=1), "x")[0]
    return [f"{value:.6f}" for value in (u.min(), v.max(), v.min())]


def picture(op: hop.Operator, target: Path) -> None:
    """Streamlines and vorticity of three lids and Reynolds numbers."""
    from matplotlib import pyplot as plt

    t = np.linspace(0, 1, 121)
    x = np.stack(np.meshgrid(t, t), -1).reshape(-1, 2)
    s = op.sensors["U"]
    bump = 16 * s**2 * (1 - s) ** 2
    lids = np.stack([bump * np.exp(k * (s - 0.5)) for k in (-1.0, 0.0, 1.0)])
    numbers = np.array([100.0, 400.0, 1000.0])
    given = {"U": lids, "Re": numbers}
    psi = op(given, x).reshape(3, 121, 121)
    swirl = -(op.derivative(given, x, "xx") + op.derivative(given, x, "yy")).reshape(3, 121, 121)
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.8), layout="constrained")
    for ax, flow, turn, number in zip(axes, psi, swirl, numbers, strict=True):
        shown = ax.pcolormesh(t, t, turn, cmap="RdBu_r", vmin=-8, vmax=8, rasterized=True)
        least = flow.min()
        ax.contour(t, t, flow, np.linspace(least, 0, 9)[1:-1], colors="k", linewidths=0.7,
                   linestyles="solid")  # fmt: skip
        inner = flow.max() * np.array([0.1, 0.4, 0.8])
        ax.contour(t, t, flow, np.sort(inner), colors="k", linewidths=0.4)
        ax.set(title=f"Re = {number:.0f}", aspect="equal", xticks=(0, 1), yticks=(0, 1))
    figure.colorbar(shown, ax=axes, label="vorticity", shrink=0.8)
    figure.savefig(target, dpi=110)


HEAD = """\
# Flow in a cavity

`python examples/cavity.py` trains what it does not find and writes this page. Steady Navier–Stokes
in the unit square, the lid y = 1 moving at U(x), in the stream function ψ
(`hop/problems/cavity.py`), by the weak residual. Errors are relative L2 errors of the velocity
(ψ_y, −ψ_x) against a Galerkin–Newton reference. The random lids are 16 x²(1 − x)² e^g with a
Gaussian field g of length 0.3 and standard deviation 0.3. The seconds are those of training, on a
machine that was shared with other jobs.

![Streamlines and vorticity of the operator for three lids](cavity.png)"""
REFERENCE = """\
## The reference

By n² polynomials that vanish at the walls with their derivatives, and for U = 1 the Stokes flow of
the corners. Extrema of the velocity on the centre lines at Re = 1,000, beside those of Botella and
Peyret, *Computers & Fluids* 27 (1998):"""


if __name__ == "__main__":
    figures = [row for name in RUNS for row in rows(name)]
    columns = ["", "Re", "velocity L2RE", "worst", "steps", "seconds"]
    table = files.table(columns, figures)
    counts = [[str(n), *extrema(n)] for n in (16, 24, 32, 48)]
    counts.append(["published", *map(str, PUBLISHED)])
    published = files.table(["n", "min u(½, y)", "max v(x, ½)", "min v(x, ½)"], counts)
    print(table, published, sep="\n\n")
    results = ROOT / "docs" / "results"
    picture(hop.load(ROOT / "runs" / "cavity" / "operator"), results / "cavity.png")
    credit = provenance.credit("python examples/cavity.py")
    page = "\n\n".join([HEAD, table, REFERENCE, published, credit]) + "\n"
    (results / "cavity.md").write_text(page, encoding="utf-8")
