"""Functions of your own beside a law of this package: an operator trained on either.

Burgers in time at viscosity 0.01. The own functions are 10,000 fields of the very law of the
dataset, drawn by another seed and imported as a file of values, so that both operators should be
equally good: what differs is that the law is known to one, and measured of functions by the other.

python examples/own_functions.py      # trains what runs/own_functions lacks, writes
                                      # docs/results/own_functions.md
"""

from pathlib import Path

import jax
import numpy as np

import hop
from hop import ambient, datasets, examining, files, provenance, splits
from hop import config as config_lib
from hop.checkpoints import Store
from hop.config import files as config_files
from hop.evaluation import Judge
from hop.laws.named import NAMED

ROOT = Path(__file__).parents[1]
HOME = ROOT / "runs" / "own_functions"
COUNT, SEED = 10_000, 2024
STEPS = 1500  # of the 3,000 of the config
HEAD = """\
# Functions of your own

`python examples/own_functions.py` trains what it does not find and writes this page. It draws
10,000 initial states of the law of Burgers in time by another seed than the dataset's, imports
their values as you would import your own,

```
hop data import u0.npy own --ends=periodic
hop train --config=configs/burgers_time.py:direct --config.train.steps=1500 \\
    --config.data.samples.u0=own --workdir=W
```

and trains this config, Burgers in time at viscosity 0.01, on the dataset and on the own functions,
with the same seed and steps. Errors are relative L2 (L2RE) over 100 functions of a test
split: of the dataset, and of the own functions. The seconds are those of training, on a machine
that was shared with other jobs."""


def imported() -> hop.Samples:
    """What `hop data import u0.npy own --ends=periodic` does."""
    law, file = NAMED["periodic"], HOME / "u0.npy"
    HOME.mkdir(parents=True, exist_ok=True)
    with ambient.on_cpu():  # in float64
        np.save(file, np.asarray(law.values(law.sample(jax.random.key(SEED), COUNT))))
    own = hop.Samples(file, ends="periodic")
    for finding in examining.imported(own):
        print(finding.part, finding.text, sep=": ")
    datasets.keep(own, "own", str(HOME / "data"))
    return own


def config(*more: str) -> config_lib.Config:
    words = [f"--config.{word}" for word in (f"train.steps={STEPS}", *more)]
    return config_files.read("configs/burgers_time.py:direct", words)


if __name__ == "__main__":
    own = imported()
    configs = {
        "the dataset": config(),
        "own functions": config("data.samples.u0=own", f"data.data_dir={HOME / 'data'}"),
    }
    judges = [Judge.of(config_lib.build(found), "test", 100) for found in configs.values()]
    rows, errors = [], []
    for what, found in configs.items():
        workdir = HOME / what.replace(" ", "-")
        op, record = hop.train(found, workdir), Store.find(workdir).stages()[-1].record
        scores = [judge.errors(op) for judge in judges]
        errors.append(scores[0].mean())
        said = [f"{e.mean():.2e} ({e.max():.1e})" for e in scores]
        rows.append([what, *said, f"{record['step']:,}", f"{record['seconds']:.0f}"])
    columns = ["trained on", "L2RE of the dataset's (worst)", "of the own (worst)"]
    table = files.table([*columns, "steps", "seconds"], rows)
    ratio = (
        f"On the dataset's functions the error of the operator trained on own functions is\n"
        f"{errors[1] / errors[0]:.2f} times that of the other. It has learned of "
        f"{own.counts[0]:,} functions, and the other of {splits.SPLITS['train']:,}."
    )
    print(table, ratio, sep="\n\n")
    page = [HEAD, table, ratio, provenance.credit("python examples/own_functions.py")]
    target = ROOT / "docs" / "results" / "own_functions.md"
    target.write_text("\n\n".join(page) + "\n", encoding="utf-8")
