"""Flow in a cavity: the operator of the lid and of Re, single functions, and their reference.

python examples/cavity.py      # trains what runs/cavity lacks, writes docs/results/cavity.md
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import animation
from matplotlib import pyplot as plt

import hop
from hop import config as config_lib
from hop import files, provenance
from hop.checkpoints import Store
from hop.config import files as config_files
from hop.domain import tensor
from hop.evaluation import Judge
from hop.problem import Lam
from hop.problems.cavity import Cavity

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"


class Row(NamedTuple):
    """Of the table: a title, a config, words of the command line, stages shown, seeds."""

    title: str
    config: str
    words: tuple[str, ...] = ()
    stages: tuple[int, ...] = (-1,)
    seeds: int = 1


SINGLE, UNIT = "configs/cavity.py:single", "configs/cavity.py:unit"
DIRECT = ("path.eps=(0.001,)", "train.steps=120")
SHORT = "path.eps=(0.01,0.0025,0.001)"
STRONG = (SHORT, "train.tests=()", "train.points=1296")
STEPS = (10, 40, 160)  # a stage, of the runs that compare loss and error
ROWS = {
    "operator": Row("random lids, each with a Re from 100 to 1,000", "configs/cavity.py"),
    "short": Row("the same, fewer steps", "configs/cavity.py", ("train.steps=8000",)),
    "wide": Row("random lids, each with a Re from 100 to 3,200", "configs/cavity.py:wide"),
    "unit_wide": Row("U = 1, Re from 50 to 1,000 (at 20)", "configs/cavity.py:unit_wide"),
    "path": Row("smooth lid, along the path", SINGLE, (), (2, 4, 5), 3),
    "direct": Row("smooth lid, directly", SINGLE, DIRECT, (-1,), 3),
    "direct_strong": Row(
        "smooth lid, directly, residual at points",
        SINGLE,
        ("path.eps=(0.001,)", *STRONG[1:], "train.steps=60"),
    ),
    "strong": Row("smooth lid, path, residual at points", SINGLE, (*STRONG, "train.steps=160")),
    "unit": Row("U = 1, along the path", UNIT, (), (2, 4), 3),
}
EXACT: dict = {}  # the reference's velocities, computed once
PUBLISHED = (-0.3885698, 0.3769447, -0.5270771)  # Botella, Peyret 1998, at Re = 1,000


def trained(name: str, config: str, words: tuple[str, ...]) -> Path:
    workdir = ROOT / "runs" / "cavity" / name
    hop.train(config_files.read(config, [f"--config.{word}" for word in words]), workdir)
    return workdir


PLACES, ALONG = np.polynomial.legendre.leggauss(48)
NODES = tensor([(1 + PLACES) / 2] * 2)
WEIGHTS = np.multiply.outer(ALONG, ALONG).ravel()


def velocity_errors(op: hop.Operator, functions: int = 100) -> np.ndarray:
    """Relative L2 errors of the velocity (ψ_y, −ψ_x), one for each function of the test split."""
    problem, given, fields = op.ansatz.problem, (), {}
    if problem.inputs:
        judge = Judge.of(config_lib.build(op.config), "test", functions)
        given, fields = judge.given, judge.fields
    key = (problem, op.lam)
    if key not in EXACT:
        solution = problem.solution(fields, op.lam)
        EXACT[key] = {label: solution(NODES, label) for label in "xy"}
    off = size = 0
    for label, exact in EXACT[key].items():
        off += (np.atleast_2d(op.derivative(*given, NODES, label)) - exact) ** 2 @ WEIGHTS
        size += exact**2 @ WEIGHTS
    return np.sqrt(off / size)


def rows(name: str, row: Row) -> list[list[str]]:
    runs = [name if seed == 0 else f"{name}_{seed}" for seed in range(row.seeds)]
    workdirs = [
        trained(run, row.config, (*row.words, f"seed={seed}")) for seed, run in enumerate(runs)
    ]
    made = []
    for stage in row.stages:
        ops = [hop.load(workdir, stage=stage) for workdir in workdirs]
        errors = [velocity_errors(op, 100 if "U" in op.laws else 20) for op in ops]
        middle = np.median([e.mean() for e in errors])
        worst = max(e.max() for e in errors)
        number = "" if ops[0].laws else f"{1 / ops[0].eps:,.0f}"
        stages = Store.find(workdirs[0]).stages()
        done = stages[: stage + 1] if stage >= 0 else stages
        spent = [f"{sum(s.record[k] for s in done):,.0f}" for k in ("step", "seconds")]
        made.append([row.title, number, f"{middle:.1e}", f"{worst:.1e}", *spent])
    return made


def extrema(count: int) -> list[str]:
    """Of the velocity on the two centre lines, U = 1, Re = 1,000."""
    solution = Cavity(lid="unit").solution({}, Lam(0.0, 1e-3), count)
    line = np.linspace(0.02, 0.98, 4001)
    middle = np.full_like(line, 0.5)
    u = solution(np.stack([middle, line], axis=1), "y")[0][line < 0.5]
    v = -solution(np.stack([line, middle], axis=1), "x")[0]
    return [f"{value:.6f}" for value in (u.min(), v.max(), v.min())]


GRID = np.linspace(0, 1, 121)


def flows(op: hop.Operator, given: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """ψ and the vorticity on a grid, (n, 121, 121)."""
    x = tensor([GRID] * 2)
    swirl = -(op.derivative(given, x, "xx") + op.derivative(given, x, "yy"))
    return op(given, x).reshape(-1, 121, 121), swirl.reshape(-1, 121, 121)


def draw(ax, flow: np.ndarray, swirl: np.ndarray, title: str):
    """Streamlines over the vorticity."""
    shown = ax.pcolormesh(GRID, GRID, swirl, cmap="RdBu_r", vmin=-8, vmax=8, rasterized=True)
    style = {"colors": "k", "linestyles": "solid"}
    ax.contour(GRID, GRID, flow, np.linspace(flow.min(), 0, 9)[1:-1], linewidths=0.7, **style)
    if flow.max() > 1e-6:  # the eddies in the corners
        inner = flow.max() * np.array([0.1, 0.4, 0.8])
        ax.contour(GRID, GRID, flow, inner, linewidths=0.4, **style)
    ax.set(title=title, aspect="equal", xticks=(0, 1), yticks=(0, 1))
    return shown


def picture(op: hop.Operator, target: Path) -> None:
    """Three lids and Reynolds numbers."""
    s = op.sensors["U"]
    bump = 16 * s**2 * (1 - s) ** 2
    lids = np.stack([bump * np.exp(k * (s - 0.5)) for k in (-1.0, 0.0, 1.0)])
    numbers = np.array([100.0, 400.0, 1000.0])
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.8), layout="constrained")
    for ax, flow, swirl, n in zip(axes, *flows(op, {"U": lids, "Re": numbers}), numbers,
                                  strict=True):  # fmt: skip
        shown = draw(ax, flow, swirl, f"Re = {n:.0f}")
    figure.colorbar(shown, ax=axes, label="vorticity", shrink=0.8)
    figure.savefig(target, dpi=110)


def moving(op: hop.Operator, target: Path) -> None:
    """U = 1 as Re rises from 50 to 1,000."""
    numbers = np.geomspace(50, 1000, 32)
    made = list(zip(*flows(op, {"Re": numbers}), numbers, strict=True))
    figure, ax = plt.subplots(figsize=(4, 4.2), layout="constrained")

    def frame(i: int) -> None:
        ax.clear()
        draw(ax, *made[i][:2], f"Re = {made[i][2]:.0f}")

    order = [*range(32), *[31] * 6, *range(30, -1, -3)]
    animation.FuncAnimation(figure, frame, order).save(target, animation.PillowWriter(10), dpi=75)


def bounds(target: Path) -> None:
    """Loss and error at the ends of stages, by tests and at points, in one picture."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
    sets = {"against test functions": (SHORT,), "at points": STRONG}
    for ax, (title, words) in zip(axes, sets.items(), strict=True):
        found = {}
        for steps in STEPS:
            name = ("strong" if len(words) > 1 else "weak") + ("" if steps == 160 else f"_{steps}")
            workdir = trained(name, SINGLE, (*words, f"train.steps={steps}", "seed=0"))
            for stage in Store.find(workdir).stages():
                op = hop.load(workdir, stage=stage.stage)
                size = np.sqrt(2 * stage.record["loss"])
                found.setdefault(1 / op.eps, []).append((size, velocity_errors(op).item()))
        for number, dots in found.items():
            ax.loglog(*np.array(dots).T, "o-", label=f"Re = {number:,.0f}")
        ax.set(title=f"Residual {title}", xlabel="norm of the residual")
    axes[0].set(ylabel="velocity L2RE")
    axes[0].legend(frameon=False)
    figure.savefig(target, dpi=110)


HEAD = """\
# Flow in a cavity

`python examples/cavity.py` trains what it does not find and writes this page. Steady Navier–Stokes
in the unit square, the lid y = 1 moving at U(x), in the stream function ψ
(`hop/problems/cavity.py`), by the weak residual. Errors are relative L2 errors of the velocity
(ψ_y, −ψ_x) against a Galerkin–Newton reference. The random lids are 16 x²(1 − x)² e^g with a
Gaussian field g of length 0.3 and standard deviation 0.3; means over 100 that training never saw,
the worst beside. Of the single functions it is the median of three seeds, the worst beside; the
path is Re = 100, 400, 1,000, 1,800, 3,200, 5,000. The seconds are those of training, on one core.

![Streamlines and vorticity of the operator for three lids](cavity.png)
![Streamlines and vorticity for U = 1, as Re rises](cavity.gif)
"""
BOUND = """\
Against test functions, in the dual of the energy norm, the residual and the error fall together. At
points it is of fourth order: wiggles that hardly move the flow make it large, and it tells little
of the error.

![Error over the norm of the residual](cavity_bound.png)

The dots are the ends of stages of 10, 40 and 160 steps, on the path Re = 100, 400, 1,000. At points
the residual is measured on others than those of training.
"""
PUBLISHED_ERRORS = """\
## Beside published figures

Each against its own reference, so only the orders compare. U = 1 over Re from 50 to 1,000: PI-CViT
about 6.5 % (arXiv 2606.06164). U = 1 at Re = 3,200: PirateNets 4.2 %, Scale-PINN 1.7 % in 85 s of a
GPU; at 5,000: jaxpi2 4.3 %. A classical solver needs no network for one function: the reference's
24² polynomials have an error of 2e-4 at Re = 1,000 with a smooth lid after less than a second.
"""
REFERENCE = """\
## The reference

By n² polynomials that vanish at the walls with their derivatives, and for U = 1 the Stokes flow of
the corners. Extrema of the velocity on the centre lines at Re = 1,000, beside those of Botella and
Peyret, *Computers & Fluids* 27 (1998):"""
CONVERGED = """\
Velocity L2 error of n² polynomials for U = 1, against n = 56. The errors above are against n = 40
at Re = 1,000, and 48 at 3,200."""


def converging() -> str:
    """How the reference of U = 1 converges."""
    lines = []
    for number in (1000, 3200):
        made = {}
        for n in (24, 32, 40, 48, 56):
            solution = Cavity(lid="unit").solution({}, Lam(0.0, 1 / number), n)
            made[n] = np.concatenate([solution(NODES, label)[0] for label in "xy"])
        size = np.sqrt(made[56] ** 2 @ np.tile(WEIGHTS, 2))
        off = [np.sqrt((made[n] - made[56]) ** 2 @ np.tile(WEIGHTS, 2)) / size for n in made]
        lines.append([f"{number:,}", *[f"{e:.1e}" for e in off[:-1]]])
    return files.table(["Re", "24", "32", "40", "48"], lines)


def main() -> None:
    figures = [line for name, row in ROWS.items() for line in rows(name, row)]
    table = files.table(["", "Re", "velocity L2RE", "worst", "steps", "seconds"], figures)
    counts = [[str(n), *extrema(n)] for n in (16, 24, 32, 48)]
    counts.append(["published", *map(str, PUBLISHED)])
    published = files.table(["n", "min u(½, y)", "max v(x, ½)", "min v(x, ½)"], counts)
    print(table, published, sep="\n\n")
    runs = ROOT / "runs" / "cavity"
    picture(hop.load(runs / "operator"), RESULTS / "cavity.png")
    moving(hop.load(runs / "unit_wide"), RESULTS / "cavity.gif")
    bounds(RESULTS / "cavity_bound.png")
    credit = provenance.credit("python examples/cavity.py")
    parts = [HEAD, table, BOUND, PUBLISHED_ERRORS, REFERENCE, published, CONVERGED, converging()]
    page = "\n\n".join(part.strip() for part in [*parts, credit]) + "\n"
    (RESULTS / "cavity.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
