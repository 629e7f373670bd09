"""Burgers in the plane: a network that moves with its inputs, and a DeepONet on the line.

python examples/burgers_2d.py  # trains what runs/ lacks, writes docs/results/burgers_2d.md
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

import hop
from hop import config as config_lib
from hop import files, provenance
from hop.ansatz import size
from hop.checkpoints import Store
from hop.config import files as config_files
from hop.domain import tensor
from hop.evaluation import Judge
from hop.problem import reference
from hop.problems.burgers_2d import Burgers2D

ROOT = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Bare(Burgers2D):
    """With nothing known but the start, u = u₀ + t N."""

    def lift(self, network: Any, x: Any, a: Any, lam: Any) -> Any:
        start = jnp.stack([a["u0"], a["v0"]])
        return start + x[2][None] * network


_SHORT = ("train.patience=1000000",)
RUNS: dict[str, tuple[str, str, tuple[str, ...], Any]] = {  # a title, a config, words, a problem
    "fourier": ("the config as it is", "configs/burgers_2d.py", (), None),
    "short": ("ten minutes of it", "configs/burgers_2d.py", ("train.steps=1500",), None),
    "one-window": (
        "… in one window",
        "configs/burgers_2d.py",
        ("ansatz.windows=1", "train.steps=2200"),
        None,
    ),
    "bare": ("… with u = u₀ + t N", "configs/burgers_2d.py", ("train.steps=1700",), Bare()),
    "deeponet": ("… a DeepONet", "configs/burgers_2d.py:deeponet", ("train.steps=750",), None),
    "deeponet-one": (
        "… a DeepONet in one window, with u = u₀ + t N",
        "configs/burgers_2d.py:deeponet",
        ("ansatz.windows=1", "train.steps=850"),
        Bare(),
    ),
}
ON_THE_LINE: dict[str, tuple[str, str, tuple[str, ...], Any]] = {
    "line-fourier": (
        "Fourier, four windows",
        "configs/burgers_time.py:fourier",
        ("ansatz.windows=4", "train.steps=1000", *_SHORT),
        None,
    ),
    "line-fourier-one": (
        "Fourier",
        "configs/burgers_time.py:fourier",
        ("train.steps=1500", *_SHORT),
        None,
    ),
    "line-deeponet": (
        "DeepONet",
        "configs/burgers_time.py:quickstart",
        ("train.steps=2000", *_SHORT),
        None,
    ),
}
TIMES = (0.0, 0.2, 0.5, 0.8, 1.0)
EXACT: dict = {}  # the reference, computed once


def trained(name: str) -> hop.Operator:
    _, file, words, problem = (RUNS | ON_THE_LINE)[name]
    config = config_files.read(file, [f"--config.{word}" for word in words])
    if problem is not None:
        config = dataclasses.replace(config, problem={})
    return hop.train(config, ROOT / "runs" / "burgers_2d" / name, problem)


def cost(name: str, op: hop.Operator) -> list[str]:
    """Parameters, steps and seconds."""
    (stage,) = Store.find(ROOT / "runs" / "burgers_2d" / name).stages()
    return [f"{size(op.params):,}", f"{stage.record['step']:,}", f"{stage.record['seconds']:,.0f}"]


def errors(op: hop.Operator, functions: int = 100) -> np.ndarray:
    """Relative L2 errors on 64 × 64 points: (unknowns, functions, times)."""
    judge = Judge.of(as_shipped(op), "test", functions)
    line = np.arange(64) / 64
    x = tensor([line, line, np.array(TIMES)])
    key = (op.lam, functions)
    if key not in EXACT:
        EXACT[key] = reference(Burgers2D(), judge.fields, x, op.lam)
    exact = EXACT[key].reshape(2, functions, len(TIMES), -1)
    found = np.stack(list(op(*judge.given, x).values())).reshape(exact.shape)
    return np.linalg.norm(found - exact, axis=-1) / np.linalg.norm(exact, axis=-1)


def as_shipped(op: hop.Operator) -> config_lib.Experiment:
    """The experiment of an operator with the problem of the package, whose law it shares."""
    return config_lib.build(dataclasses.replace(op.config, problem={"name": "burgers_2d"}))


def in_the_plane(name: str) -> list[str]:
    op = trained(name)
    off = errors(op)
    by_time = [f"{100 * value:.2f}" for value in off.mean(axis=(0, 1))[1:]]
    later = off[..., 1:]
    means = [off.mean(), later.mean(), later.mean(axis=(0, 2)).max()]
    return [RUNS[name][0], *(f"{100 * value:.2f}" for value in means), *by_time, *cost(name, op)]


def on_the_line(name: str) -> list[str]:
    op = trained(name)
    off = Judge.of(config_lib.build(op.config), "test", 100).errors(op)
    means = [f"{100 * value:.2f}" for value in (off.mean(), off.max())]
    return [ON_THE_LINE[name][0], *means, *cost(name, op)]


def picture(op: hop.Operator, target: Path) -> None:
    """The speed of an unseen flow at some times, beside the reference's."""
    from matplotlib import pyplot as plt

    judge = Judge.of(as_shipped(op), "test", 1)
    line, times = np.linspace(0, 1, 97), (0.0, 0.5, 1.0)
    x = tensor([line, line, np.array(times)])
    exact = reference(op.ansatz.problem, judge.fields, x, op.lam)
    found = np.stack(list(op(*judge.given, x).values()))
    figure, axes = plt.subplots(2, 3, figsize=(8.4, 5.4), layout="constrained")
    for row, title, values in zip(axes, ("reference", "network"), (exact, found), strict=True):
        speed = np.linalg.norm(values[:, 0], axis=0).reshape(3, 97, 97)
        for ax, shown, time in zip(row, speed, times, strict=True):
            mesh = ax.pcolormesh(line, line, shown, vmin=0, vmax=0.7, rasterized=True)
            ax.set(title=f"{title}, t = {time:g}", aspect="equal", xticks=(0, 1), yticks=(0, 1))
    figure.colorbar(mesh, ax=axes, label="speed", shrink=0.8)
    figure.savefig(target, dpi=90)


HEAD = """\
# Burgers in the plane

`python examples/burgers_2d.py` trains what it does not find and writes this page. The velocity
(u, v) on a torus, u_t + (u·∇)u = νΔu, v likewise, ν = 0.01, t ≤ 1, from random fields of standard
deviation 0.2 each (`hop/problems/burgers_2d.py`). The network is `fno`, whose output moves with its
inputs. It learns from the equation alone what u = w − t (w·∇)w leaves, w the heat semigroup's part,
on an eighth of the time, and is applied [window after window](../concepts.md#windows-of-time).
Below it is the same after about ten minutes, and what ten minutes give without one of these parts.
The seconds are those of training on one CPU core; other jobs ran beside it.

![The speed of an unseen flow](burgers_2d.png)

Relative L2 errors in % on 100 unseen flows, 64 × 64 points, against a spectral reference: the mean
over functions, components and t = 0, 0.2, 0.5, 0.8, 1; the same without t = 0, where it is
exact; of this the worst flow; and the mean at each time."""
LINE = """\
## On the line

Burgers in time with one unknown (`hop/problems/burgers_time.py`), ν = 0.01, 100 unseen functions on
101 × 101 points, after about five minutes each. Here u = u₀ + t N for all;
"DeepONet" is the one with a nonlinear decoder that the package ships."""


if __name__ == "__main__":
    columns = ["", "mean", "t > 0", "worst", *(f"t = {t:g}" for t in TIMES[1:])]
    columns += ["parameters", "steps", "seconds"]
    table = files.table(columns, [in_the_plane(name) for name in RUNS])
    columns = ["", "L2RE", "worst", "parameters", "steps", "seconds"]
    line = files.table(columns, [on_the_line(name) for name in ON_THE_LINE])
    print(table, line, sep="\n\n")
    results = ROOT / "docs" / "results"
    picture(trained("fourier"), results / "burgers_2d.png")
    credit = provenance.credit("python examples/burgers_2d.py")
    page = "\n\n".join([HEAD, table, LINE, line, credit]) + "\n"
    (results / "burgers_2d.md").write_text(page, encoding="utf-8")
