"""Burgers in time: the pretrained operator, the spectral solver beside it, and an ablation."""

from pathlib import Path
from typing import Any

import numpy as np

from hop import plotting
from hop.checkpoints import Store
from hop.datasets import load as load_data
from hop.files import table
from hop.laws import Field
from hop.operators import Operator, load
from hop.problem import Lam, reference
from hop.problems.burgers_time import BurgersTime, diffusion, transport
from hop.provenance import credit
from hop.references import spectral
from reproduce import Folders, Results, Table, declared, parts, published
from reproduce.tables.table_8 import error, timed

MODEL = "burgers-time"
FUNCTIONS, MANY = 100, 1000
LAST, BEYOND = 1e-3, (3e-4, 1e-4)  # how far the network of one viscosity serves for others


def measure(folders: Folders, quick: bool) -> Any:
    """Errors of the pretrained stages, by their card, and seconds beside the solver's."""
    infos = Store.find(MODEL).stages()
    many, beyond = (100, ()) if quick else (MANY, BEYOND)
    trained = [{"eps": i.eps, "steps": i.record["step"], "seconds": i.record["seconds"]}
               | i.metadata["test"] | i.made for i in infos]  # fmt: skip
    return {
        "stages": trained,
        "inference": [beside_the_solver(load(MODEL, eps=i.eps), many) for i in infos],
        "functions": many,
        "carried": {f"{eps:g}": carried(load(MODEL, eps=LAST), eps) for eps in beyond},
    }


def carried(operator: Operator, eps: float) -> float:
    """The mean L2RE of a network at another viscosity, untrained there, on 2,048 points in x."""
    problem, law = operator.ansatz.problem, BurgersTime.inputs["u0"]
    data = load_data(law, "test", "", FUNCTIONS)
    x = problem.domain.grid(2048, 26)
    exact = reference(problem, {"u0": law.field(data["coefficients"])}, x, Lam(0.0, eps))
    return error(operator(data["values"].astype(np.float32), x), exact)


def beside_the_solver(operator: Operator, many: int) -> dict[str, Any]:
    """Seconds for many functions on the grid, of the operator and of the solver at its accuracy."""
    problem, eps = operator.ansatz.problem, operator.eps
    law = BurgersTime.inputs["u0"]
    data = load_data(law, "test", "", many)
    few = law.field(data["coefficients"][:FUNCTIONS])
    every = law.field(data["coefficients"])
    x = operator.grid
    exact = reference(problem, {"u0": few}, x, operator.lam)

    def solve(field: Field, modes: int, rate: int) -> np.ndarray:
        return spectral.solve(
            transport, diffusion(eps), field, x[:, 0], x[:, 1],
            np.full(field.count, modes), np.full(field.count, rate), block=max(16, 16_384 // modes),
        )  # fmt: skip

    values = data["values"].astype(np.float32)
    goal = error(operator(values[:FUNCTIONS], x), exact)
    for modes, rate in _GRIDS:
        reached = error(solve(few, modes, rate), exact)
        if reached <= goal:
            break
    ours = {"error": goal, "seconds": timed(lambda: operator(values, x))[0]}
    theirs = {"error": reached, "modes": modes, "rate": rate}
    theirs["seconds"] = timed(lambda: solve(every, modes, rate))[0]
    return {"eps": eps, "operator": ours, "solver": theirs}


# Modes and steps in a unit of time, coarse to fine.
_GRIDS = [(8, 10), (12, 10), (12, 20), (16, 20), (16, 40), (24, 40), (24, 100), (32, 100),
          (48, 100), (64, 100), (96, 100), (128, 200), (192, 200), (256, 300), (384, 400),
          (512, 600)]  # fmt: skip


def places(results: Results, measured: Any) -> dict[str, str]:
    stages = measured["stages"] if measured else []
    columns = sorted({row["eps"] for row in stages} | {0.01, LAST, *BEYOND}, reverse=True)
    rows = [
        [name, *(figures.get(eps, "–") for eps in columns)]
        for name, figures in published("burgers_time").items()
    ]
    mine = {row["eps"]: row for row in stages}
    tested = stages[0]["functions"] if stages else FUNCTIONS
    for key, name in (("l2re", "mean"), ("l2re_median", "median"), ("l2re_worst", "worst")):
        cells = [f"{100 * mine[eps][key]:.2g}" if eps in mine else "–" for eps in columns]
        rows.append([f"hop: pretrained `{MODEL}`, {name}", *cells])
    if beyond := measured and measured["carried"]:
        known = {float(eps): f"{100 * value:.2g}" for eps, value in beyond.items()}
        name = f"hop: its network of ν = {LAST:g}, untrained at others, mean"
        rows.append([name, *(known.get(eps, "–") for eps in columns)])
    solved = []
    for case in measured["inference"] if measured else ():
        ours, theirs = case["operator"], case["solver"]
        by = f"{theirs['modes']} modes, {theirs['rate']} steps"
        solved.append([f"{case['eps']:g}"])
        for how, found in (("", ours), (f"{by}: ", theirs)):
            solved[-1] += [f"{how}{100 * found['error']:.2g} %", f"{found['seconds']:.2g} s"]
    changed = []
    for name, run in results["runs"].items():
        errors = (parts.cell([run], 0.01, key=key) for key in ("l2re", "l2re_worst"))
        changed.append([name, *errors, parts.training([run])])
    return {
        "tested": str(tested),
        "errors": table(["", *(f"ν = {eps:g}" for eps in columns)], rows),
        "stages": "\n".join(
            f"* ν = {row['eps']:g}: {row['steps']:,} steps in {row['seconds']:.0f} s, "
            + credit(row["command"], row)
            for row in stages
        ),
        "functions": f"{measured['functions']:,}" if measured else "",
        "inference": table(
            ["ν", "operator, L2RE", "time", "spectral solver (ETDRK4)", "time"], solved
        ),
        "ingredients": table(["", "mean L2RE", "worst function", "training"], changed),
        "made": parts.made(results["runs"]),
    }


def draw(target: Path, folders: Folders) -> None:
    operator = load(MODEL)
    law = BurgersTime.inputs["u0"]
    u0 = load_data(law, "test", "", 3)["values"]
    plotting.evolution(str(target), operator, u0)
    plotting.evolution(str(target.with_suffix(".gif")), operator, u0)


TABLE = Table(declared("burgers_time"), places, measure, draw)
