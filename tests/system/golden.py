"""The numbers that a change of structure must keep: `golden.json`.

For every problem, each strategy with a solver that serves both, and each solver with a strategy
that serves both: the losses of the first steps of two stages, in float64. And values of the
pretrained models. `test_golden.py` compares them. After a change of behaviour that is meant,

    PYTHONPATH=tests .venv/bin/python tests/system/golden.py

writes the file again; its diff then shows what the change touches.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np
from conftest import Listener  # it sets the numerics of all tests

import hop
from hop import config as config_lib
from hop import errors, evaluation
from hop.training import train

FILE = Path(__file__).with_suffix(".json")
PRETRAINED = Path(hop.__file__).parents[1] / "pretrained"
Case = dict[str, Any]
# Linear problems with their layers in the ansatz, or more: one case stands for all. The residual of
# the cavity at points is of fourth order: its weak form has tests of its own. Burgers in the plane
# has 8,192 sensor values. Of the problems on a line in time, Burgers stands for all, and Allen–Cahn
# without a force for the one with. In many dimensions and time a program takes long to compile.
APART = (
    "allen_cahn_forced",
    "allen_cahn_time",
    "biased_drift_diffusion",
    "burgers_2d",
    "burgers_shocks",
    "cavity",
    "convection_diffusion",
    "drift_diffusion",
    "exit_time",
    "hamilton_jacobi",
    "kdv",
    "random_wind",
    "reaction_diffusion",
    "variable_convection",
)


def has_input(problem: str) -> bool:
    return bool(config_lib.find("problem", problem)().inputs)


def cases() -> Iterator[tuple[str, Case]]:
    """name → problem, strategy, solver, and overrides FIELD → value."""
    for problem in config_lib.modules("hop.problems"):
        if problem in APART:
            continue
        for strategy in config_lib.modules("hop.strategies"):
            if strategy == "supervised":  # which has nothing to minimise without labels
                continue
            serving = ("first_order", "levenberg_marquardt")
            dense = not has_input(problem) and strategy in ("euler", "predictor_corrector")
            yield _named(problem, strategy, serving[dense])
        for solver in config_lib.modules("hop.solvers"):
            if solver != "first_order":  # which serves most strategies above
                yield _named(problem, "homotopy_loss", solver)
    odd = {"problem.symmetry": "odd"}
    parts = {"train.accumulate": 4}
    yield _named("burgers_steady", "homotopy_loss", "first_order", slow={"strategy.slow": 1.0})
    yield _named("burgers_steady", "homotopy_loss", "first_order", odd=odd)
    yield _named("allen_cahn_2d", "homotopy_loss", "first_order", odd=odd)
    yield _named("burgers_steady", "homotopy_loss", "first_order", parts=parts)
    yield _named("burgers_steady", "homotopy_loss", "first_order", fresh={"data.fresh": True})
    for name in ("adaptive", "uniform", "grid"):
        sampler = {"train.sampler": name}
        yield _named("allen_cahn_1d", "homotopy_loss", "first_order", **{name: sampler})
    soft = {"problem.conditions_by": "loss"}
    for problem in ("allen_cahn_1d", "allen_cahn_2d", "burgers_steady", "burgers_time"):
        yield _named(problem, "homotopy_loss", "first_order", soft=soft)
    yield _named("allen_cahn_2d", "sequence_to_sequence", "first_order", soft=soft)
    pin = {"strategy.pin": 1e-9, "train.points": 64, "train.goal": 1e-6, "train.steps": 20}
    yield _named("allen_cahn_1d", "predictor_corrector", "levenberg_marquardt", pin=pin)
    decoder = {"network.name": "nonlinear_deeponet"}
    yield _named("burgers_time", "curriculum", "first_order", decoder=decoder)
    span = {"ansatz.eps": (0.4, 1.0), "strategy.tangent": 0.0, "train.sampler": "layered"}
    span |= {"data.fresh": True}
    yield _named("variable_convection", "homotopy_loss", "first_order", span=span)


def _named(problem: str, strategy: str, solver: str, **change: Case) -> tuple[str, Case]:
    name = " ".join((problem, strategy, solver, *change))
    changes = {key: value for group in change.values() for key, value in group.items()}
    return name, {"problem": problem, "strategy": strategy, "solver": solver, "changes": changes}


def config_of(case: Case, data_dir: str) -> config_lib.Config:
    operator = has_input(case["problem"])
    network = case["changes"].get("network.name", "deeponet" if operator else "mlp")
    skin = config_lib.experiment(
        problem=case["problem"],
        network=network,
        strategy=case["strategy"],
        solver=case["solver"],
    )
    small = {"branch": (8,), "trunk": (8,), "rank": 4} if operator else {"widths": (8,)}
    skin.network.update(small)
    if case["problem"] == "burgers_time":
        skin.network.harmonics = 2
    if case["problem"] == "allen_cahn_2d":
        skin.problem.symmetry = "none"  # a quarter of the work
    if case["problem"] == "helmholtz":
        skin.problem.update(dim=3, boundary_points=16)
    if case["solver"] == "gauss_newton_cg":
        skin.solver.iterations = 2  # more of them magnify rounding
    if case["strategy"] == "sequence_to_sequence":
        skin.strategy.update(windows=2, horizon=0.5)
    skin.path.update(s=(0.5, 0.3), eps=(0.5, 0.4))
    skin.mesh.update(function=-1 if operator else 1, point=1 if operator else -1)
    skin.data.data_dir = data_dir
    skin.train.update(
        precision="float64", steps=3, functions=8, points=16, validation=1, dispatch=1
    )
    for field, value in case["changes"].items():
        group, name = field.split(".")
        skin[group][name] = value
    return config_lib.parse(skin.to_dict())


def losses(case: Case, data_dir: str) -> dict[str, Any]:
    """The total of every step, and the terms of the last; or why the three are refused."""
    heard = Listener()
    # Scores have tests of their own, and take their time.
    unscored = mock.patch.object(evaluation.Judge, "scores", return_value={"loss": 0.0})
    with tempfile.TemporaryDirectory() as folder, unscored:
        try:
            train(config_of(case, data_dir), Path(folder) / "w", heard)
        except errors.UserError as error:
            return {"refused": str(error)}
    known = {"kind", "stage", "s", "eps", "step", "total_steps", "seconds", "total"}
    last = {key: value for key, value in heard.windows[-1].items() if key not in known}
    return {"total": [window["total"] for window in heard.windows], "last": last}


def values(name: str, stage: int, data_dir: str) -> list[list[float]]:
    """A pretrained operator's values for two functions at five points."""
    operator = hop.load(str(PRETRAINED / name), stage=stage)
    laws = operator.ansatz.problem.inputs
    data = hop.datasets.load_all(laws, "test", data_dir, 2)
    given = {k: found["values"].astype(np.float32) for k, found in data.items()}
    given = {k: v.reshape(len(v), *laws[k].shape) for k, v in given.items()}
    first = len(operator.grid) // 10 if name == "cavity" else 0  # whose first points lie on a wall
    x = operator.grid[first :: len(operator.grid) // 5][:5]
    found = operator(given, x)
    found = np.stack(list(found.values())) if isinstance(found, dict) else found
    return np.asarray(found, float).tolist()


def pretrained() -> Iterator[tuple[str, int]]:
    for name in sorted(folder.parent.name for folder in PRETRAINED.glob("*/stages")):
        for stage in sorted(int(path.name) for path in (PRETRAINED / name / "stages").iterdir()):
            yield name, stage


if __name__ == "__main__":
    data_dir = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
    found: dict[str, Any] = {"training": {}, "pretrained": {}}
    for name, case in cases():
        found["training"][name] = losses(case, data_dir)
        print(name, found["training"][name], flush=True)
        jax.clear_caches()
    for name, stage in pretrained():
        found["pretrained"][f"{name} {stage}"] = values(name, stage, data_dir)
    lines = [
        f' "{kind}": {{\n'
        + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in group.items())
        + "\n }"
        for kind, group in found.items()
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
