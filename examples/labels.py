"""Labels: what a few known solutions are worth beside the equation, and alone.

Each problem is trained directly at its ε, for a few steps, with and without labels: reference
solutions of functions of the training split. Errors are those of 100 functions of the validation
split.

python examples/labels.py      # trains what runs/labels lacks, writes docs/results/labels.md
"""

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
PROBLEMS = {  # the title, the words after `hop train`, and the places of labels along each axis
    "steady": (
        "Steady Burgers, s = 0.05, ε = 0.02",
        [
            "configs/burgers_steady_unit.py",
            "--config.path.s=(0.05,)",
            "--config.path.eps=(0.02,)",
            "--config.strategy.name=classical",
            "--config.train.steps=1000",
        ],
        129,
    ),
    "time": (
        "Burgers in time, ε = 0.01",
        [
            "configs/burgers_time.py:quickstart",
            "--config.strategy.name=classical",
            "--config.train.steps=300",
        ],
        33,
    ),
}
RUNS = {  # labelled functions, weight, strategy
    "the equation alone": (0, 1.0, ""),
    "with 20 labelled functions": (20, 1.0, ""),
    "the same, weight 10": (20, 10.0, ""),
    "20 labelled functions alone": (20, 1.0, "supervised"),
    "100 labelled functions alone": (100, 1.0, "supervised"),
}
HEAD = """\
# Labels

`python examples/labels.py` trains what it does not find and writes this page. Networks are trained
directly at the ε named, for a few steps, beside the equation or from labels alone
(`strategy.name=supervised`). Labels are reference solutions of functions of the training split on a
grid; errors are relative L2 (L2RE) over 100 functions of the validation split. The seconds are
those of training, without the reference solver that made the labels, on a machine that was shared
with other jobs."""


def configured(words: list[str], weight: float, strategy: str) -> config_lib.Config:
    chosen = [f"--config.strategy.name={strategy}"] * bool(strategy)
    file, *overrides = words
    more = [f"--config.labels.weight={weight}", "--config.train.validation=1"]
    return config_files.read(file, [*overrides, *chosen, *more])


def labelled(experiment: config_lib.Experiment, count: int, points: int) -> dict[str, np.ndarray]:
    """Reference solutions of the first functions of the training split, on a grid."""
    problem, laws = experiment.problem, experiment.problem.inputs
    found = datasets.load_all(laws, "train", experiment.config.data.data_dir, count)
    fields = {name: laws[name].field(f["coefficients"]) for name, f in found.items()}
    x = problem.domain.grid(points)
    u = reference(problem, fields, x, experiment.path.places[-1])
    return {name: f["values"] for name, f in found.items()} | {"x": x, "u": u}


def rows(name: str, words: list[str], points: int) -> list[list[str]]:
    experiment = config_lib.build(configured(words, 1.0, ""))
    labels = labelled(experiment, max(count for count, _, _ in RUNS.values()), points)
    judge, made = Judge.of(experiment, "validation", 100), []
    for number, (what, (count, weight, strategy)) in enumerate(RUNS.items()):
        workdir = ROOT / "runs" / "labels" / f"{name}-{number}"
        some = {key: value if key == "x" else value[:count] for key, value in labels.items()}
        config = configured(words, weight, strategy)
        op = hop.train(config, workdir, labels=some if count else None)
        errors, record = judge.errors(op), Store.find(workdir).stages()[-1].record
        scores = [f"{errors.mean():.1e}", f"{errors.max():.1e}"]
        made.append([what, *scores, f"{record['step']:,}", f"{record['seconds']:.0f}"])
    return made


if __name__ == "__main__":
    page = [HEAD]
    for name, (title, words, points) in PROBLEMS.items():
        table = files.table(["trained on", "L2RE", "worst", "steps", "seconds"],
                            rows(name, words, points))  # fmt: skip
        command = f"`hop train --config={' '.join(words)}`"
        page.append(
            f"## {title}\n\n{command}, labels at {points} points along each axis.\n\n{table}"
        )
    page.append(provenance.credit("python examples/labels.py"))
    target = ROOT / "docs" / "results" / "labels.md"
    target.write_text("\n\n".join(page) + "\n", encoding="utf-8")
    print("\n\n".join(page[1:]))
