"""Burgers in the plane: a network that moves with its inputs, and a DeepONet on the line.

python examples/burgers_2d.py  # trains what runs/ lacks, writes docs/results/burgers_2d.md
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib import animation
from matplotlib import pyplot as plt

import hop
from hop import config as config_lib
from hop import files, provenance
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
    "fourier": ("the config as it is", "configs/burgers_2d.py", ("train.validation=2",), None),
    "short": ("ten minutes of it", "configs/burgers_2d.py", ("train.steps=1500",), None),
    "one-window": (
        "… in one window",
        "configs/burgers_2d.py",
        ("ansatz.windows=1", "train.steps=2200"),
        None,
    ),
    "bare": ("… with u = u₀ + t N", "configs/burgers_2d.py", ("train.steps=1700",), Bare()),
    "deeponet": ("… a DeepONet", "configs/burgers_2d.py:deeponet", ("train.steps=750",), None),
}
ON_THE_LINE: dict[str, tuple[str, str, tuple[str, ...], Any]] = {
    "line-fourier": (
        "Fourier, four windows",
        "configs/burgers_time.py:fourier",
        ("train.steps=1000", *_SHORT),
        None,
    ),
    "line-deeponet": (
        "DeepONet",
        "configs/burgers_time.py:direct",
        ("train.steps=2000", *_SHORT),
        None,
    ),
}
TIMES = (0.0, 0.2, 0.5, 0.8, 1.0)
AXIS = np.linspace(0, 1, 97)
EXACT: dict = {}  # the reference, computed once


def trained(name: str) -> hop.Operator:
    _, file, words, problem = (RUNS | ON_THE_LINE)[name]
    config = config_files.read(file, [f"--config.{word}" for word in words])
    if problem is not None:
        config = dataclasses.replace(config, problem={})
    return hop.train(config, ROOT / "runs" / "burgers_2d" / name, problem)


def record(name: str) -> dict:
    """What training noted of a run."""
    (stage,) = Store.find(ROOT / "runs" / "burgers_2d" / name).stages()
    return stage.record


def cost(name: str, op: hop.Operator) -> list[str]:
    """Parameters and steps."""
    return [f"{op.ansatz.size:,}", f"{record(name)['step']:,}"]


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


def speeds(op: hop.Operator, times: np.ndarray) -> list[np.ndarray]:
    """The speed of an unseen flow by the reference and by the network, (times, y, x) each."""
    judge = Judge.of(as_shipped(op), "test", 1)
    x = tensor([AXIS, AXIS, times])
    exact = reference(Burgers2D(), judge.fields, x, op.lam)
    found = np.stack(list(op(*judge.given, x).values()))
    shape = (len(times), len(AXIS), len(AXIS))
    return [np.linalg.norm(u[:, 0], axis=0).reshape(shape) for u in (exact, found)]


def draw(ax: Any, name: str, time: float, speed: np.ndarray, top: float) -> None:
    """The speed from 0 to the fastest of the reference at that time."""
    ax.set(aspect="equal", xticks=(0, 1), yticks=(0, 1))
    ax.set_title(f"{name}, t = {time:.2f}, up to {top:.2f}", fontsize=9)
    ax.pcolormesh(AXIS, AXIS, speed, vmin=0, vmax=top, rasterized=True)


def picture(op: hop.Operator, target: Path) -> None:
    """The speed at some times, beside the reference's."""
    times = np.array([0.0, 0.5, 1.0])
    made = speeds(op, times)
    figure, axes = plt.subplots(2, 3, figsize=(7.6, 5.3), layout="constrained")
    for row, name, each in zip(axes, ("reference", "network"), made, strict=True):
        for i, ax in enumerate(row):
            draw(ax, name, times[i], each[i], made[0][i].max())
    figure.savefig(target, dpi=90)


def moving(op: hop.Operator, target: Path) -> None:
    """The same in motion."""
    times = np.linspace(0, 1, 31)
    made = speeds(op, times)
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.7), layout="constrained")

    def frame(i: int) -> None:
        for ax, name, each in zip(axes, ("reference", "network"), made, strict=True):
            ax.clear()
            draw(ax, name, times[i], each[i], made[0][i].max())

    order = [*[0] * 4, *range(31), *[30] * 8]
    animation.FuncAnimation(figure, frame, order).save(target, animation.PillowWriter(10), dpi=60)


HEAD = """\
# Burgers in the plane

`python examples/burgers_2d.py` trains what it does not find and writes this page. The velocity
(u, v) on a torus, u_t + (u·∇)u = νΔu, v likewise, ν = 0.01, t ≤ 1, from random fields of standard
deviation 0.2 each (`hop/problems/burgers_2d.py`). The network is `fno`, whose output moves with its
inputs. It learns from the equation alone what u = w − t (w·∇)w leaves, w the heat semigroup's part,
on an eighth of the time, and is applied [window after window](../concepts.md#windows-of-time).
Training took {minutes:.0f} minutes on one CPU core. Below it is the same after ten minutes, and
what ten minutes give without one of these parts: the steps are so many that each takes as long.

![The speed of an unseen flow in motion](burgers_2d.gif)
![The speed of an unseen flow at three times](burgers_2d.png)

Relative L2 errors in % on 100 unseen flows, 64 × 64 points, against a spectral reference: the mean
over functions, components and t = 0, 0.2, 0.5, 0.8, 1; the same without t = 0, where it is
exact; of this the worst flow; and the mean at each time. The windows and the network are what
counts. What the lift knows, against u₀ + t N, makes no difference here."""
PUBLISHED = """\
Published for this law, as a mean over these times, read off a figure: PI-CViT about 0.75 %, a
physics-informed FNO 9 %, a DeepONet 34 %, after 20,000 steps of 32 functions × 2,048 points on
several GPUs (arXiv 2606.06164). The functions there are others of the same law."""
LINE = """\
## On the line

Burgers in time with one unknown (`hop/problems/burgers_time.py`), ν = 0.01, 100 unseen functions on
101 × 101 points, after about five minutes each. Here u = u₀ + t N for all;
"DeepONet" is the one with a nonlinear decoder that the package ships."""


if __name__ == "__main__":
    columns = ["", "mean", "t > 0", "worst", *(f"t = {t:g}" for t in TIMES[1:])]
    columns += ["parameters", "steps"]
    table = files.table(columns, [in_the_plane(name) for name in RUNS])
    columns = ["", "L2RE, %", "worst, %", "parameters", "steps"]
    line = files.table(columns, [on_the_line(name) for name in ON_THE_LINE])
    print(table, line, sep="\n\n")
    results = ROOT / "docs" / "results"
    picture(trained("fourier"), results / "burgers_2d.png")
    moving(trained("fourier"), results / "burgers_2d.gif")
    credit = provenance.credit("python examples/burgers_2d.py")
    head = HEAD.format(minutes=record("fourier")["seconds"] / 60)
    page = "\n\n".join([head, table, PUBLISHED, LINE, line, credit]) + "\n"
    (results / "burgers_2d.md").write_text(page, encoding="utf-8")
