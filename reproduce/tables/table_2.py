"""Table 2: the kernel K_ε = D_ε S D_εᵀ at the target, of a fresh network and of trained starts."""

from pathlib import Path
from typing import Any

from hop import kernels, plotting
from hop.operators import load
from hop.problems import Lam
from reproduce import Folders, Results, Table, parts
from reproduce.tables.table_1 import RUNS

TARGET = 0.01
STARTS = (0.1, 0.05, 0.025, 0.013)  # Δε falls from row to row
POINTS = (10, 20, 50, 200)
RUN = "predictor–corrector, seed 0"
PAPER = ("7.38e-8", "2.11e-6", "7.77e-5", "1.57e-4", "1.48e-2")


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


def page(results: Results, measured: Any) -> list[str]:
    names = ["Xavier", *(f"ε = {eps:g}, Δε = {eps - TARGET:.3g}" for eps in STARTS)]
    rows = []
    for k, name in enumerate(names if measured else ()):
        cells = []
        for n in POINTS:
            at = measured[str(n)][k]
            least = "rounding" if at["lost"] else f"{at['least']:.1e}"
            cells.append(f"{least}, {at['rank']}")
        rows.append([name, PAPER[k], *cells])
    head = ["start", "paper, λ_min", *(f"n = {n}: λ_min, rank" for n in POINTS)]
    return [
        f"λ_min and numerical rank (float64) of K at the target ε = {TARGET:g} on n equally spaced "
        "points, for a Xavier start and for stages of a continuation, the paper's network. λ_min "
        "falls geometrically with n; the n of the paper's column is not known to us. Where the "
        "rank is below n, λ_min is rounding. What grows as the start draws nearer is the rank: "
        "more directions in which gradient descent can move at all. The picture: the largest "
        "eigenvalue of D_ε against ε, and how the eigenvalues of S fall.",
        "* K = J Jᵀ (n × n), J = ∂r/∂θ: along the gradient flow the residuals r at the n points "
        "obey r′ = −K r/n, so λ_min(K) bounds how slowly the loss falls.\n"
        "* V = ∂u/∂θ at the points, and S = V Vᵀ: what the network alone can move.\n"
        "* D_ε takes the values of a small change of u to those of the linearised residual, by "
        "finite differences, so that K ≈ D_ε S D_εᵀ; here K comes from J itself.\n\n"
        "More in [hop/kernels.py](../../hop/kernels.py).",
        parts.table(head, rows),
        *parts.made(results["runs"]),
    ]


def draw(target: Path, folders: Folders) -> None:
    plotting.spectra(str(target))


TABLE = Table(
    "Table 2: what gradient descent can move", {"runs": {RUN: RUNS[RUN]}}, page, measure, draw
)
