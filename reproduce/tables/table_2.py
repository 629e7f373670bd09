"""Table 2: the kernel K_ε = D_ε S D_εᵀ at the target, of a fresh network and of trained starts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from hop import ambient, kernels
from hop.ansatz import Ansatz
from hop.files import table
from hop.networks.mlp import MLP
from hop.operators import load
from hop.plotting import STYLE
from hop.problem import Lam, Problem
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_steady import BurgersSteady
from hop.problems.helmholtz import Helmholtz
from reproduce import Folders, Results, Table, parts, published
from reproduce.tables import table_1

TARGET = 0.01
STARTS = (0.1, 0.05, 0.025, 0.013)  # Δε falls from row to row
POINTS = (10, 20, 50, 200)
RUN = "predictor–corrector, seed 0"


def measure(folders: Folders, quick: bool) -> Any:
    stages = [load(folders[RUN], eps=eps) for eps in STARTS]
    found = {}
    for n in POINTS:
        x = kernels.equispaced((0.0, 1.0), n).x[:, None]
        found[str(n)] = [
            {"least": k.smallest, "lost": k.lost, "rank": k.rank}
            for k in (start.kernel.k for start in kernels.starts(stages, Lam(0.0, TARGET), x))
        ]
    return found


def places(results: Results, measured: Any) -> dict[str, str]:
    names: dict[Any, str] = {"Xavier": "Xavier"}
    names |= {eps: f"ε = {eps:g}, Δε = {eps - TARGET:.3g}" for eps in STARTS}
    paper, rows = published("table_2")["least"], []
    for k, (start, name) in enumerate(names.items() if measured else ()):
        cells = []
        for n in POINTS:
            at = measured[str(n)][k]
            least = "rounding" if at["lost"] else f"{at['least']:.1e}"
            cells.append(f"{least}, {at['rank']}")
        rows.append([name, paper[start], *cells])
    head = ["start", "paper, λ_min", *(f"n = {n}: λ_min, rank" for n in POINTS)]
    return {
        "target": f"{TARGET:g}",
        "ranks": table(head, rows),
        "made": parts.made(results["runs"]),
    }


def draw(target: Path, folders: Folders) -> None:
    spectra(target, (1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01))


def spectra(target: Path, eps: Sequence[float]) -> None:
    """Draws λ_max(D_ε) against ε, and how the eigenvalues of S fall for a fresh 3×30 tanh net."""
    n, points = 255, 200
    problems: dict[str, Problem] = {
        "Allen–Cahn 1D": AllenCahn1D(),
        "Helmholtz, d = 20, tensor grid": Helmholtz(),
        "Burgers, steady": BurgersSteady(),
    }
    ansatz = Ansatz(AllenCahn1D(conditions_by="loss"), MLP())
    x = kernels.equispaced((0.0, 1.0), points).x
    fresh = kernels.kernel(ansatz, ansatz.init(ambient.key(0)), Lam(0.0, 1.0), x[:, None])
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
        for (name, problem), marker in zip(problems.items(), "os^", strict=True):
            left.loglog(eps, kernels.largest(problem, eps, n), marker=marker, ms=4, label=name)
        title = f"D_ε, the linearised operator by differences,\nat h = length/{n + 1} an axis"
        left.set(xlabel="parameter ε of the equation", ylabel="largest |eigenvalue|", title=title)
        left.legend(fontsize=8)
        index, s = np.arange(1, points + 1), fresh.s
        for dtype, color in (("float32", "C2"), ("float64", "C1")):
            v = fresh.value.astype(dtype)
            formed = np.sort(np.abs(np.linalg.eigvalsh(v @ v.T)))[::-1] / s.eigenvalues[0]
            right.semilogy(index, formed, ".", color=color)
            label = f"S formed as a product in {dtype}: rank {s.formed(dtype)}"
            right.text(40, 8 * formed[20], label, color=color, ha="right", fontsize=8)
        right.semilogy(index, s.eigenvalues / s.eigenvalues[0], "o", ms=6, mfc="none", color="C0")
        floor = (s.rounding / s.sigma[0]) ** 2
        right.axhline(floor, color="C0", lw=0.8, ls=(0, (4, 3)))
        label = f"singular values of V, squared: rank {s.rank}"
        right.text(40, 8 * floor, label, color="C0", ha="right", fontsize=8)
        title = f"eigenvalues of S at {points} points,\n3×30 tanh network, Xavier start"
        right.set(xlabel="number of the eigenvalue", ylabel="|eigenvalue|, the largest being 1")
        right.set(title=title, xlim=(0, 41), ylim=(1e-36, 1e2))
        figure.savefig(target)
        plt.close(figure)


TABLE = Table({"runs": {RUN: table_1.RUNS["runs"][RUN]}}, places, measure, draw)
