"""Runs of tables: each trained once in a folder named by its config's hash, and scored once."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hop import config as config_lib
from hop import files, plotting, training
from hop.checkpoints import Store
from hop.config import Config
from hop.config import files as config_files
from hop.console import Console
from hop.errors import RunError, UserError
from hop.evaluation import Judge
from hop.operators import Operator, open_stage
from hop.provenance import credit
from reproduce import Folders, Run
from reproduce.parts import Rows, method

SCORER = 1  # raise it when `scores` changes: runs are then scored anew, and not trained anew
_FEW = 64  # test functions of quick tables
_RECORDED = ("stage", "s", "eps", "seconds", "step", "place")


def config_of(run: Run, quick: bool) -> Config:
    return config_files.read(run.config, run.words(quick))


def folder_of(config: Config, workdir: Path) -> Path:
    """Where a run lives: the same config, whatever file it comes from, is the same run.

    Its name comes from what differs from the defaults, so that an option added later keeps it.
    """
    text = json.dumps(_own(config), sort_keys=True)
    return workdir / hashlib.sha256(text.encode()).hexdigest()[:16]


def _own(config: Config) -> dict[str, Any]:
    """The values that differ from the defaults of the same problem, network, strategy, solver."""
    values = config_lib.to_json(config)
    names = {kind: values[kind]["name"] for kind in config_lib.KINDS}
    defaults = config_lib.to_json(config_lib.parse(config_lib.experiment(**names).to_dict()))
    nested = {name: group for name, group in values.items() if isinstance(group, dict)}
    changed = {
        name: {k: v for k, v in group.items() if v != defaults[name][k]}
        for name, group in nested.items()
    }
    if not changed["ansatz"]:  # a group that older versions did not have
        del changed["ansatz"]
    return {"names": names} | changed | {k: v for k, v in values.items() if k not in nested}


def result(
    config: Config, folder: Path, asked: str, *, quick: bool, train: bool, command: str
) -> dict[str, Any] | None:
    """What is known of a run, as in `reproduce.Results`; trained and scored unless it was.

    Args:
      folder: its workdir, `folder_of` its config.
      asked: the command that makes this run alone.
      quick: scored on few functions, and without a picture.
      train: whether to train what is not there; otherwise it is None.
      command: the command that makes it now.

    Raises:
      UserError: the run cannot be made as it is declared.
    """
    kept = folder / "scores.json"
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if known.get("scorer") != SCORER:
        if not train and not _finished(folder):
            return None
        if train and "stages" not in known:
            known |= _trained(config, folder, asked, picture=not quick)
        stages = Store(folder).stages()
        known = {"made": credit(command, stages[-1].made if stages else None)} | known
        known |= {"scorer": SCORER, "stages": scores(folder, _FEW if quick else None)}
        files.write(kept, json.dumps(known, indent=1) + "\n")
    found = {key: known[key] for key in ("made", "failed", "missing", "stages") if key in known}
    return {"command": asked} | found


def _finished(folder: Path) -> bool:
    """Whether a workdir's last stage is at the end of its path."""
    stages = Store(folder).stages()
    if not stages:
        return False
    places = config_lib.build(config_lib.stored(Store(folder).config())).path.places
    return bool(stages[-1].metadata["bookmark"]["position"]["t"] >= len(places) - 1)


def _trained(config: Config, folder: Path, command: str, picture: bool) -> dict[str, Any]:
    """Trains a run, or goes on with it; of a failed one says why, and the places it missed."""
    try:
        with Console() as console:
            training.train(config, folder, console, command=command)
        if picture:
            plotting.path(str(folder))
    except (RunError, jax.errors.JaxRuntimeError) as error:
        reached = {(info.s, info.eps) for info in Store(folder).stages()}
        places = config_lib.build(config).path.places
        missing = [list(lam) for lam in places if tuple(lam) not in reached]
        return {"failed": str(error).splitlines()[0], "missing": missing}
    return {}


def scores(folder: Path, functions: int | None = None) -> Rows:
    """Every finished stage's record and errors on the test split, and the place of its layer."""
    store = Store(folder)
    stages = store.stages()
    if not stages:
        return []
    judge = Judge.of(config_lib.build(config_lib.stored(store.config())), "test", functions)
    rows = []
    for info in stages:
        operator = open_stage(store, info)
        record = {key: info.record[key] for key in _RECORDED if key in info.record}
        rows.append({**record, **judge.scores(operator), **layers(judge, operator)})
    return rows


def layers(judge: Judge, operator: Operator) -> dict[str, float | None]:
    """Where the layer of a solution on an interval is, beside its reference's.

    Returns:
      of one function its "interface" and the "true_interface", its upward zeros; of an operator
      "shock", the mean squared error of the downward zero, and "constant", the mean relative error
      of the best constant predictor; nothing of other problems, or without a reference.
    """
    problem = judge.problem
    plain = problem.domain.dim == 1 and len(problem.unknowns) == 1
    if not plain or "xx" not in problem.derivatives:
        return {}
    try:
        r = judge.reference(operator.lam)
    except RunError:
        return {}
    points, weights = judge.quadrature(operator.eps)
    x = points[:, 0]
    if not judge.values:
        u = np.stack([operator(points).astype(np.float64), r[0]])
        ours, true = (None if np.isnan(zero) else float(zero) for zero in crossing(x, -u))
        return {"interface": ours, "true_interface": true}
    size, apart = (np.sqrt(v**2 @ weights) for v in (r, r - r.mean(axis=0)))
    gap = crossing(x, operator(judge.values, points).astype(np.float64)) - crossing(x, r)
    shock = float(np.nanmean(gap**2)) if np.isfinite(gap).any() else None
    return {"constant": float(np.mean(apart / size)), "shock": shock}


def crossing(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The interpolated downward zero nearest ½ of each function, NaN where there is none."""
    places = np.full(len(u), np.nan)
    for i, row in enumerate(u):
        down = np.flatnonzero((row[:-1] > 0) & (row[1:] <= 0))
        if len(down):
            zeros = x[down] + (x[down + 1] - x[down]) * row[down] / (row[down] - row[down + 1])
            places[i] = zeros[np.argmin(np.abs(zeros - 0.5))]
    return places


def picture_of(name: str) -> Callable[[Path, Folders], None]:
    """Draws a table by the picture of a method's first run: its path, and the loss by stage."""

    def draw(target: Path, folders: Folders) -> None:
        first = next((run for run in folders if method(run) == name), None)
        if first is None:
            raise UserError(f"there is no run of {name}")
        plotting.path(str(folders[first]), target, first)

    return draw
