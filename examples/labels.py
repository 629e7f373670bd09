"""Labels: what a few known solutions are worth beside the equation, and alone.

Steady Burgers at s = 0.05, trained directly at ε = 0.05; then along the usual path, and Burgers in
time, where labels matter less. Labels are reference solutions of functions of the training split;
errors are those of 100 functions of the validation split.

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
SETTINGS = {  # a config, the words of the command line, and points of the labels along each axis
    "direct": (
        "configs/burgers_steady_unit.py",
        ("path.s=(0.05,)", "path.eps=(0.05,)", "train.steps=2000", "strategy.name=classical"),
        (129,),
    ),
    "path": ("configs/burgers_steady_unit.py", ("train.steps=300",), (129,)),
    "time": ("configs/burgers_time.py:direct", ("train.steps=300",), (33, 33)),
}
ALONE = ("strategy.name=supervised",)
DIRECT = {  # labelled functions, their weight, and further words
    "the equation alone": (0, 1, ()),
    "the equation and 20 labelled functions, weight 1": (20, 1, ()),
    "the same, weight 10": (20, 10, ()),
    "the same, weight 100": (20, 100, ()),
    "the equation and 100 labelled functions, weight 10": (100, 10, ()),
    "20 labelled functions alone": (20, 1, ALONE),
    "100 labelled functions alone": (100, 1, ALONE),
    "the equation alone, another seed": (0, 1, ("seed=1",)),
    "the equation and 20, weight 10, that seed": (20, 10, ("seed=1",)),
}
ELSEWHERE = {
    "steady Burgers, the path": ("path", 0),
    "steady Burgers, the path, with 20 labelled functions": ("path", 20),
    "Burgers in time": ("time", 0),
    "Burgers in time, with 20 labelled functions": ("time", 20),
}
COLUMNS = ["L2RE", "worst", "steps", "seconds"]


@functools.cache
def judge(setting: str) -> Judge:
    return Judge.of(config_lib.build(config(setting, 1, ())), "validation", 100)


@functools.cache
def labelled(setting: str, count: int) -> dict[str, np.ndarray]:
    """Reference solutions of the first functions of the training split, at the path's end."""
    experiment = config_lib.build(config(setting, 1, ()))
    problem, laws = experiment.problem, experiment.problem.inputs
    found = datasets.load_all(laws, "train", experiment.config.data.data_dir, count)
    fields = {name: laws[name].field(f["coefficients"]) for name, f in found.items()}
    x = problem.domain.grid(*SETTINGS[setting][2])
    u = reference(problem, fields, x, experiment.path.places[-1])
    return {name: f["values"] for name, f in found.items()} | {"x": x, "u": u}


def config(setting: str, weight: float, more: tuple[str, ...]) -> config_lib.Config:
    file, words, _ = SETTINGS[setting]
    chosen = (*words, "train.validation=1", f"labels.weight={weight:.1f}", *more)
    return config_files.read(file, [f"--config.{word}" for word in chosen])


def row(what: str, setting: str, count: int, weight: float, more: tuple[str, ...]) -> list[str]:
    """Trains a network, unless it is there, and scores it."""
    name = "-".join([setting, str(count), f"{weight:g}", *(w.split("=")[1] for w in more)])
    workdir = ROOT / "runs" / "labels" / name
    op = hop.train(
        config(setting, weight, more),
        workdir,
        labels=labelled(setting, count) if count else None,
    )
    records, errors = [s.record for s in Store.find(workdir).stages()], judge(setting).errors(op)
    scores = [f"{errors.mean():.2g}", f"{errors.max():.2g}"]
    return [what, *scores, *(f"{sum(r[k] for r in records):,.0f}" for k in ("step", "seconds"))]


HEAD = """\
# Labels

`python examples/labels.py` trains what it does not find and writes this page. Labels are reference
solutions of functions of the training split, at 129 points, or at 33 × 33 in x and t; they are
trained on beside the equation, or alone (`strategy.name=supervised`). Errors are relative L2 (L2RE)
over 100 functions of the validation split. The seconds are those of training, on a machine that was
shared with other jobs.

## Steady Burgers, trained directly

`configs/burgers_steady_unit.py` at s = 0.05 and ε = 0.05 without a path, 2,000 steps, by the
strategy `classical`."""
SHOWS = """\
A few labels beside the equation are worth far more than either alone: 20 cut the error of the
equation to a fifth, and 100 beside it are four times better than 100 alone. The weight matters.
With few labels a large one fits these and spoils the rest: at 100 little of the gain is left. The
last two rows repeat a comparison with another seed.

## Where labels change nothing

The same problem along its path, 300 steps a stage, with labels of weight 10 at its last ε; and
`configs/burgers_time.py:direct` at 300 steps, with labels of weight 10. The path, or the
equation by itself, finds the solution there, and labels of 20 functions add nothing that one would
notice."""


if __name__ == "__main__":
    direct = [row(what, "direct", *how) for what, how in DIRECT.items()]
    elsewhere = [row(what, *where, 10, ()) for what, where in ELSEWHERE.items()]
    tables = [files.table(["trained on", *COLUMNS], rows) for rows in (direct, elsewhere)]
    print("\n\n".join(tables))
    page = [HEAD, tables[0], SHOWS, tables[1], provenance.credit("python examples/labels.py")]
    target = ROOT / "docs" / "results" / "labels.md"
    target.write_text("\n\n".join(page) + "\n", encoding="utf-8")
