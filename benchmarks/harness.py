"""Runs that a benchmark needs, trained once each and scored; shared by the benchmarks here.

A benchmark names groups of runs: {group: {run: (config, changes)}}. Its results are kept group by
group in docs/results/NAME.json, so that one group can be made anew by itself.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from report import provenance

from hop.checkpoints import Store
from hop.config import build, parse
from hop.evaluation import Judge
from hop.operators import Operator, open_stage

ROOT = Path(__file__).resolve().parents[1]
Runs = Mapping[str, Mapping[str, tuple[str, list[str]]]]
Rows = list[dict[str, Any]]


def command(config: str, changes: list[str], workdir: str) -> str:
    overrides = " ".join(f"--config.{change}" for change in changes)
    return f"hop train --config={config} --workdir={workdir} {overrides}".strip()


def spread(values: list[float]) -> str:
    """Median (worst)."""
    return f"{np.median(values):.1e} ({max(values):.1e})" if values else "–"


def crossing(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The interpolated downward zero nearest ½ of each function, NaN where there is none."""
    places = np.full(len(u), np.nan)
    for i, row in enumerate(u):
        down = np.flatnonzero((row[:-1] > 0) & (row[1:] <= 0))
        if len(down):
            zeros = x[down] + (x[down + 1] - x[down]) * row[down] / (row[down] - row[down + 1])
            places[i] = zeros[np.argmin(np.abs(zeros - 0.5))]
    return places


def main(
    name: str,
    about: str,
    runs: Runs,
    more: Callable[[Judge, Operator], dict[str, Any]],
    report: Callable[[dict[str, dict[str, Rows]], dict[str, str]], list[str]],
) -> None:
    """The command line of a benchmark.

    Args:
      name: of its files in docs/results.
      about: its docstring.
      runs: what to train.
      more: figures of a stage beside the scores of `hop evaluate`.
      report: the parts of its Markdown page, from the rows and the provenance of every group.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--only", default=",".join(runs), help="the groups to make")
    parser.add_argument("--workdir", type=Path, default=ROOT / "runs" / "benchmarks")
    parser.add_argument("--report", action="store_true", help="train nothing, report what is there")
    parser.add_argument("--note", default="", help="a sentence on how these runs were made")
    args = parser.parse_args()
    out = ROOT / "docs" / "results" / f"{name}.json"
    kept = json.loads(out.read_text()) if out.exists() else {"made": {}, "runs": {}}
    for group in args.only.split(","):
        rows: dict[str, Rows] = {}
        for key, (config, changes) in runs[group].items():
            scored = _run(key, config, changes, args.workdir / group, not args.report, more)
            if scored is not None:
                rows[key] = scored
        if rows:
            script = f"python benchmarks/{name}.py --only={group}"
            kept["made"][group] = f"{provenance(script)}. {args.note}".strip()
            kept["runs"][group] = rows
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(kept, indent=1) + "\n")
    page = out.with_suffix(".md")
    page.write_text("\n".join(report(kept["runs"], kept["made"])).rstrip() + "\n")
    print(f"written: {page}")


def _run(
    name: str,
    config: str,
    changes: list[str],
    folder: Path,
    train: bool,
    more: Callable[[Judge, Operator], dict[str, Any]],
) -> Rows | None:
    """A run's stages scored on the test split; trains it first unless it is there.

    Returns None where it is not there and not to be trained.
    """
    letters = [c if c.isalnum() or c in "-." else "-" for c in name]
    workdir = folder / "".join(letters)
    scored = workdir / "scores.json"
    if not scored.exists():
        if not train:
            return None
        words = command(config, changes, str(workdir)).split()[1:]
        done = subprocess.run([sys.executable, "-m", "hop", *words], cwd=ROOT)
        if done.returncode == 1:  # a failed stage is a result; a refused request is a mistake here
            print(f"{name}: the run failed; its finished stages are scored", file=sys.stderr)
        elif done.returncode:
            raise SystemExit(done.returncode)
        scored.write_text(json.dumps(_scores(workdir, more), indent=2))
    return json.loads(scored.read_text())


def _scores(workdir: Path, more: Callable[[Judge, Operator], dict[str, Any]]) -> Rows:
    """Every stage's record and errors, and what `more` adds."""
    store = Store.find(workdir)
    judge, rows = Judge.of(build(parse(store.config())), "test"), []
    for info in store.stages():
        operator = open_stage(store, info)
        record = {key: info.record[key] for key in ("stage", "s", "eps", "seconds", "step")}
        record |= {key: info.record[key] for key in ("place",) if key in info.record}
        rows.append({**record, **judge.scores(operator), **more(judge, operator)})
    return rows
