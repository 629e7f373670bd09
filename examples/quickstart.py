"""Sets what `make quickstart` trained beside the best constant answer and a spectral solver.

    python examples/quickstart.py --workdir=runs/quickstart [--functions=100] [--readme]

For every viscosity ν it prints the relative L2 error (L2RE) of the operator u₀ ↦ u(x, t) on
functions that it never saw, on 101 × 101 points, against the integral of Cole and Hopf. Beside it:

* the best constant answer, the one function of (x, t) that is nearest to all solutions. A network
  that ignored u₀ could do no better;
* the coarsest of some spectral solvers that is at least as accurate.

Times are of all functions at once. --readme puts the table into README.md.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import hop
from hop import files
from hop.checkpoints import Store
from hop.datasets import load as load_data
from hop.laws import Field
from hop.problems.burgers_time import BurgersTime, diffusion, transport
from hop.provenance import credit, made
from hop.references import spectral

# Modes, and steps in a unit of time, from coarse to fine.
GRIDS = ((8, 10), (12, 10), (12, 20), (16, 20), (16, 40), (24, 40), (32, 100), (48, 100))


def timed(f: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    began = time.perf_counter()
    return f(), time.perf_counter() - began


def errors(u: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """The relative L2 error of each function; rows (q,)."""
    return np.linalg.norm(u - exact, axis=1) / np.linalg.norm(exact, axis=1)


def solved(field: Field, x: np.ndarray, eps: float, modes: int, steps: int) -> np.ndarray:
    """u of all functions at x by exponential time differencing (ETDRK4), (n, q)."""
    every, each = np.full(field.count, modes), np.full(field.count, steps)
    block = max(16, 16_384 // modes)
    args = transport, diffusion(eps), field, x[:, 0], x[:, 1]
    return spectral.solve(*args, every, each, block=block)


def row(workdir: str, eps: float, functions: int) -> list[str]:
    op, law = hop.load(workdir, eps=eps), BurgersTime.inputs["u0"]
    data = load_data(law, "test", "", functions)
    u0, field = data["values"].astype(np.float32), law.field(data["coefficients"])
    problem, x = BurgersTime(), BurgersTime.domain.grid(101, 101)
    exact = np.asarray(problem.reference({"u0": field}, x, op.lam))

    op(u0, x)  # compiles
    u, seconds = timed(lambda: op(u0, x))
    ours = errors(u, exact)
    weights = 1 / np.sum(exact**2, axis=1)  # the least mean square of these errors
    constant = errors(np.average(exact, axis=0, weights=weights)[None], exact).mean()
    for modes, steps in GRIDS:
        reached = errors(solved(field, x, eps, modes, steps), exact).mean()
        if reached <= ours.mean():
            break
    _, took = timed(lambda: solved(field, x, eps, modes, steps))
    return [
        f"{eps:g}",
        *(f"{100 * of(ours):.2f} %" for of in (np.mean, np.median, np.max)),
        f"{seconds:.1f} s",
        f"{100 * constant:.0f} %",
        f"{modes} modes, {steps} steps: {100 * reached:.2f} %, {took:.1f} s",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", default="runs/quickstart")
    parser.add_argument("--functions", type=int, default=100)
    parser.add_argument("--readme", action="store_true")
    args = parser.parse_args()
    stages = Store.find(args.workdir).stages()
    head = ["ν", "mean L2RE", "median", "worst", "time", "best constant", "spectral solver"]
    rows = [row(args.workdir, stage.eps, args.functions) for stage in stages]
    trained = sum(stage.record["seconds"] for stage in stages)
    table = (
        f"{files.table(head, rows)}\n\n{args.functions:,} test functions, all at once; trained in "
    )
    table += f"{trained:.0f} s. {credit('make quickstart', made('make quickstart'))}"
    print(table)
    if args.readme:
        page = Path(__file__).parents[1] / "README.md"
        text = page.read_text(encoding="utf-8")
        files.write(page, files.between(text, "quickstart", table))


if __name__ == "__main__":
    main()
