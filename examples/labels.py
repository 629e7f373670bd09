"""Labels: what a few known solutions are worth beside the equation, and alone.

Steady Burgers at s = 0.05, trained directly at ε = 0.02 for 1,000 steps, where the residual alone
does not find the place of the shock. Labels are reference solutions of functions of the training
split; errors are those of 100 functions of the validation split.

python examples/labels.py      # trains what runs/labels lacks, writes docs/results/labels.md
"""

import functools
from pathlib import Path

import numpy as np

import hop
from hop import config as config_lib
from hop import datasets, files, provenance
from hop.checkpoints import Store
from hop.config import files as config_files
from hop.evaluation import Judge
from hop.problem import reference

ROOT = Path(__file__).parents[1]
WORDS = (
    "--config.path.s=(0.05,)",
    "--config.path.eps=(0.02,)",
    "--config.train.steps=1000",
    "--config.train.validation=1",
)
RUNS = {  # labelled functions, their weight, and the strategy
    "the equation alone": (0, 1, "classical"),
    "with 20 labelled functions": (20, 1, "classical"),
    "the same, weight 10": (20, 10, "classical"),
    "the same, weight 100": (20, 100, "classical"),
    "the same, weight 1,000": (20, 1000, "classical"),
    "20 labelled functions alone": (20, 1, "supervised"),
    "100 labelled functions alone": (100, 1, "supervised"),
}
HEAD = """\
# Labels

`python examples/labels.py` trains what it does not find and writes this page: the steady Burgers
operator at s = 0.05, trained directly at ε = 0.02 for 1,000 steps, where the residual alone does
not find the place of the shock. Labels are reference solutions at 129 points, of functions of the
training split, beside the equation or alone (`strategy.name=supervised`). Errors are relative L2
(L2RE) over 100 functions of the validation split. The seconds are those of training alone, on a
machine that was shared with other jobs."""


@functools.cache
def labelled(count: int) -> dict[str, np.ndarray]:
    """Reference solutions of the first functions of the training split."""
    experiment = config_lib.build(config(0, 1, "classical"))
    problem, laws = experiment.problem, experiment.problem.inputs
    found = datasets.load_all(laws, "train", experiment.config.data.data_dir, count)
    fields = {name: laws[name].field(f["coefficients"]) for name, f in found.items()}
    x = problem.domain.grid(129)
    u = reference(problem, fields, x, experiment.path.places[-1])
    return {name: f["values"] for name, f in found.items()} | {"x": x, "u": u}


def config(count: int, weight: float, strategy: str) -> config_lib.Config:
    chosen = [f"--config.strategy.name={strategy}", f"--config.labels.weight={weight:.1f}"]
    return config_files.read("configs/burgers_steady_unit.py", [*WORDS, *chosen])


def row(what: str, count: int, weight: float, strategy: str, judge: Judge) -> list[str]:
    end = "-supervised" if strategy == "supervised" else ""
    workdir = ROOT / "runs" / "labels" / f"{count}-{weight:g}{end}"
    if not (workdir / "stages" / "0").exists():
        labels = labelled(count) if count else None
        hop.train(config(count, weight, strategy), workdir, labels=labels)
    record, errors = Store.find(workdir).stages()[-1].record, judge.errors(hop.load(workdir))
    scores = [f"{errors.mean():.2g}", f"{errors.max():.2g}"]
    return [what, *scores, f"{record['step']:,}", f"{record['seconds']:.0f}"]


if __name__ == "__main__":
    judge = Judge.of(config_lib.build(config(0, 1, "classical")), "validation", 100)
    rows = [row(what, *run, judge) for what, run in RUNS.items()]
    table = files.table(["trained on", "L2RE", "worst", "steps", "seconds"], rows)
    print(table)
    page = [HEAD, table, provenance.credit("python examples/labels.py")]
    target = ROOT / "docs" / "results" / "labels.md"
    target.write_text("\n\n".join(page) + "\n", encoding="utf-8")
