"""Burgers in time at viscosity 1e-4: ways to train a network without data, at about equal time.

python examples/small_viscosity.py  # trains what runs/small_viscosity lacks: an hour on one core
"""

import dataclasses
import itertools
import json
import math
import time
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import NullFormatter

import hop
from hop import config as config_lib
from hop import files, provenance
from hop.checkpoints import Store
from hop.config import experiment
from hop.config import files as config_files
from hop.derivatives import Jet, push
from hop.domain import tensor
from hop.evaluation import Judge
from hop.networks.nonlinear_deeponet import NonlinearDeepONet
from hop.problem import Condition, Lam, reference
from hop.problems.burgers_time import BurgersTime

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "small_viscosity"
MODEL = "burgers-shocks"
T = 80  # seconds of training on one core
NU, PATH = 1e-4, (1e-2, 1e-3, 1e-4)
BOXES, NODES = 300, 4  # control volumes, and Gauss nodes on each of their edges
BINS = 16  # of time, for the causal weights


@dataclasses.dataclass(frozen=True)
class Volumes(BurgersTime):
    """The balance ∮ (u dx − F dt) = 0, F = ½u² − εu_x, over boxes of space-time."""

    def conditions(self, lam: Lam) -> tuple[Condition, ...]:
        points, weights, normal = edges(BOXES, NODES)

        def rows(u: tuple[Jet, ...], a: Any, lam: Lam) -> jax.Array:
            values, slopes = u[0][""], u[0]["x"]
            flux = jnp.where(normal[None] == 0, values, values**2 / 2 - lam.eps * slopes)
            return (flux * weights[None].astype(flux.dtype)).reshape(-1, BOXES, 4 * NODES).sum(-1)

        return (Condition((points,), ("", "x"), rows),)


def edges(boxes: int, nodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes (b, 2) of boxes on the circle × [0, 1], weights over the perimeter, across which axis.

    A box is as wide and as long as 0.02 to 0.3, each even in the logarithm; b = boxes · 4 · nodes.
    """
    random = np.random.default_rng(0)
    sizes = np.exp(random.uniform(math.log(0.02), math.log(0.3), (boxes, 2)))
    low = random.uniform(size=(boxes, 2)) * (1 - sizes * np.array([0, 1]))
    at, weight = np.polynomial.legendre.leggauss(nodes)
    at, weight = (at + 1) / 2, weight / 2
    points = np.empty((boxes, 4, nodes, 2))
    weights = np.empty((boxes, 4, nodes))
    for i, (axis, end) in enumerate(((1, 0), (1, 1), (0, 0), (0, 1))):
        along = 1 - axis
        points[:, i, :, along] = low[:, along, None] + sizes[:, along, None] * at
        points[:, i, :, axis] = (low[:, axis] + end * sizes[:, axis])[:, None]
        weights[:, i] = (2 * end - 1) * sizes[:, along, None] * weight
    weights /= 2 * sizes.sum(axis=1)[:, None, None]
    points[..., 0] %= 1.0
    normal = np.broadcast_to(np.array([0, 0, 1, 1])[None, :, None], weights.shape)
    return points.reshape(-1, 2), weights.ravel(), normal.ravel()


@dataclasses.dataclass(frozen=True)
class Causal(BurgersTime):
    """The residual at a time counts once that of earlier times is small.

    Source: Wang, Sankaran, Perdikaris, arXiv 2203.07404.

    Attributes beside those of BurgersTime:
      kappa: κ, how strict that is.
    """

    kappa: float = 1.0

    pointwise: ClassVar[bool] = False

    def residual(self, u: Jet, x: jax.Array, a: Any, lam: Lam) -> jax.Array:
        h = super().residual(u, x, a, lam)
        weights = jax.lax.stop_gradient(causal(h, x[1, 0], self.kappa))
        return h * jnp.sqrt(weights)[None]


def causal(h: jax.Array, t: jax.Array, kappa: float) -> jax.Array:
    """e^(−κ Σ mean h² of the earlier bins of time), for each point (q,), from h (n, q)."""
    bins = jnp.clip((t * BINS).astype(int), 0, BINS - 1)
    inside = (bins[None, :] == jnp.arange(BINS)[:, None]).astype(h.dtype)  # (BINS, q)
    means = inside @ jnp.mean(h**2, axis=0) / jnp.maximum(inside.sum(axis=1), 1)
    before = jnp.cumsum(means) - means
    return jnp.exp(-kappa * before)[bins]


@dataclasses.dataclass(frozen=True)
class Shown(BurgersTime):
    """Shows a decoder cos 2πx and sin 2πx beside u₀."""

    def shown(self, x: jax.Array, a: Any, lam: Lam) -> tuple[jax.Array, ...]:
        u0 = self.inputs["u0"].normalise(a["u0"])
        waves = (jnp.cos(2 * jnp.pi * x[0]), jnp.sin(2 * jnp.pi * x[0]))
        return (*(jnp.broadcast_to(wave, u0.shape) for wave in waves), u0)


@dataclasses.dataclass(frozen=True)
class Moved(NonlinearDeepONet):
    """A decoder that also sees cos and sin of 2πk(x − t V), k = 1 … `waves`; V its first feature.

    The problem shows it cos 2πx and sin 2πx first. t is the last plain coordinate, of [−1, 1].
    """

    waves: int = 4

    def init(
        self,
        key: jax.Array,
        dim: int,
        sensors: Any,
        outputs: int = 1,
        plain: int | None = None,
        shown: int | None = None,
    ) -> Any:
        assert shown is not None
        assert shown >= 2
        return super().init(key, dim, sensors, outputs, plain, shown - 2 + 2 * self.waves)

    def decode_jet(self, params: Any, features: Jet, y: Jet, a: Any, x: jax.Array) -> Jet:
        cos, sin, *others = sorted(a)
        time = {label: jnp.swapaxes(v[..., -1:], -1, -2) for label, v in y.items()}

        def moved(F: jax.Array, c: jax.Array, s: jax.Array, t: jax.Array, _: Any) -> jax.Array:
            turn = jnp.pi * (t + 1) * F[0]
            first = jnp.cos(turn) * c + jnp.sin(turn) * s, jnp.cos(turn) * s - jnp.sin(turn) * c
            found = [first]
            for _k in range(self.waves - 1):
                (c1, s1), (ck, sk) = first, found[-1]
                found.append((ck * c1 - sk * s1, sk * c1 + ck * s1))
            return jnp.stack([wave for pair in found for wave in pair])

        jets = (features, a[cos], a[sin], time)
        made = push(moved, jets, x, tuple(features))
        more = {k: jnp.concatenate([v, made[k]], axis=-3) for k, v in features.items()}
        return super().decode_jet(params, more, y, {name: a[name] for name in others}, x)


@dataclasses.dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
      title: its name there.
      steps: as many as take the time T on one core.
      words: what its config has in other ways than the first one, by group and field.
      problem, network: names, or objects of this file.
    """

    title: str
    steps: int
    words: tuple[tuple[str, Any], ...] = ()
    problem: Any = "burgers_time"
    network: Any = "nonlinear_deeponet"


WIDE: dict[str, Any] = {
    "branch": (128, 128, 128), "trunk": (128, 128, 128), "activation": "swish", "rank": 32
}  # fmt: skip
_OFF = (("strategy.residual", 1e-12), ("train.points", 8))  # only the soft conditions count
METHODS = {
    "points": Method("residual at random points", 610),
    "weak": Method("weak residual, 96 × 16 tests", 165, (("train.tests", (96, 16)),)),
    "volumes": Method("control volumes, 300 boxes", 290, _OFF, Volumes()),
    "by-residual": Method(
        "points where the residual is large", 530, (("train.sampler", "by_residual"),)
    ),
    "causal": Method("residual, causal in time", 580, (), Causal(kappa=10.0)),
    "moved": Method("decoder in a moved coordinate", 530, (), Shown(), Moved(**WIDE)),
    "fno": Method(
        "shift-equivariant FNO, 4 windows",
        450,
        (("ansatz.harmonics", 16), ("ansatz.windows", 4)),
        network="fno",
    ),
    "branches": Method("smooth branches, same DeepONet", 480, (), "burgers_shocks"),
    "branches-fno": Method(
        "smooth branches, FNO",
        410,
        (("ansatz.harmonics", 16), ("network.layers", 2)),
        "burgers_shocks",
        "fno",
    ),
}
WAYS = {  # ε, and how much of T
    "direct": ((NU,), 1.0),
    "path": (PATH, 1.0),
    "quarter": ((NU,), 0.25),
    "long": ((NU,), 5.0),
}
LONG = ("fno", "causal", "branches", "branches-fno")  # that are trained for 5 T


def config(method: Method, eps: tuple[float, ...], steps: int) -> config_lib.Config:
    """Of a training with so many steps in all, as many at each ε."""
    own = {"problem": method.problem, "network": method.network}
    names = {group: one if isinstance(one, str) else "" for group, one in own.items()}
    made = experiment(**names)
    if method.network == "nonlinear_deeponet":
        made.network.update(WIDE)
    made.ansatz.harmonics = 4
    made.path.eps = eps
    made.strategy.tangent = 0.0
    made.train.steps = max(1, steps // len(eps))
    made.solver.learning_rate, made.solver.anneal = 1e-2, 1.0
    made.solver.warmup = min(100, made.train.steps // 3)
    made.train.update(functions=50, points=1000, patience=1_000_000, validation=1)
    made.data.fresh = True
    for name, value in method.words:
        group, field = name.split(".")
        made[group][field] = value
    return config_lib.parse(made.to_dict())


def own(method: Method) -> dict[str, Any]:
    """The parts of this file that a training is given."""
    parts = {"problem": method.problem, "network": method.network}
    return {group: one for group, one in parts.items() if not isinstance(one, str)}


def workdir(name: str, way: str) -> Path:
    return RUNS / f"{name}-{way}"


def train(name: str, way: str) -> None:
    """Trains a network, unless it is there, and scores every stage on what it has not seen."""
    method, (eps, share) = METHODS[name], WAYS[way]
    folder = workdir(name, way)
    if (folder / "errors.npy").exists():
        return
    parts = own(method)
    hop.train(config(method, eps, round(share * method.steps)), folder, **parts)
    off = np.stack([errors(hop.load(folder, stage=k, **parts)) for k in range(len(eps))])
    np.save(folder / "errors.npy", off)
    print(f"{name} {way}: {off[-1].mean():.2e}, worst {off[-1].max():.2e}", flush=True)


def held() -> tuple[Judge, np.ndarray]:
    """What is scored: 100 functions of the test split, on 2,048 × 21 points."""
    judge = Judge.of(config_lib.build(config(METHODS["points"], (NU,), 1)), "test", 100)
    return judge, tensor([np.arange(2048) / 2048, np.linspace(0, 1, 21)])


def errors(op: hop.Operator) -> np.ndarray:
    """Relative L2 errors (100,) on what is held out."""
    judge, x = held()
    kept = RUNS / f"reference-{op.eps:g}.npy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        exact = reference(BurgersTime(), judge.fields, x, Lam(0.0, float(op.eps)))
        np.save(kept, exact.astype(np.float32))
    exact = np.load(kept)
    off = np.asarray(op(*judge.given, x)) - exact
    return np.linalg.norm(off, axis=1) / np.linalg.norm(exact, axis=1)


def found(name: str, way: str) -> tuple[np.ndarray, np.ndarray, list[dict]] | None:
    """Of every stage its loss, its errors (stages, 100) and its record; None if it was not run."""
    kept = workdir(name, way) / "errors.npy"
    if not kept.exists():
        return None
    records = [stage.record for stage in Store.find(kept.parent).stages()]
    return np.array([record["total"] for record in records]), np.load(kept), records


def scores(name: str, way: str) -> str:
    """The mean error at the last viscosity, and the worst."""
    run = found(name, way)
    if run is None:
        return "not run"
    off = run[1][-1]
    return f"{100 * off.mean():.1f} ({100 * off.max():.1f})"


def together(name: str) -> str:
    """Whether loss and error fall together with four times the steps."""
    few, many = found(name, "quarter"), found(name, "direct")
    if few is None or many is None:
        return "not run"
    loss, error = few[0][-1] / many[0][-1], few[1][-1].mean() / many[1][-1].mean()
    said = f"loss {told(loss)}, error {told(error)}"
    if loss > SAME:
        return f"{'yes' if error > SAME else 'no'}: {said}"
    return f"{'no' if error > SAME else 'neither falls'}: {said}"


SAME = 1.1  # a factor below it is none


def told(factor: float) -> str:
    if 1 / SAME < factor < SAME:
        return "as before"
    return f"÷ {factor:.2g}" if factor > 1 else f"× {1 / factor:.2g}"


def row(name: str) -> list[str]:
    run = found(name, "direct")
    took = "not run" if run is None else f"{run[2][-1]['step']:,}"
    both = [scores(name, way) for way in ("direct", "path")]
    long = scores(name, "long") if name in LONG else "–"
    return [METHODS[name].title, *both, took, seconds(name), long, together(name)]


def seconds(name: str) -> str:
    """What so many steps take, by the quickest window of steps of all its runs."""
    each = []
    for way in WAYS:
        if not (workdir(name, way) / "errors.npy").exists():
            continue
        lines = (workdir(name, way) / "metrics.jsonl").read_text().splitlines()
        windows = [line for line in map(json.loads, lines) if line["kind"] == "window"]
        for one, two in itertools.pairwise(windows):
            if one["stage"] == two["stage"]:
                steps = two["step"] - one["step"]
                each.append((two["seconds"] - one["seconds"]) / steps)
    return f"{min(each) * METHODS[name].steps:.0f}" if each else "not run"


def picture(target: Path) -> None:
    """Loss against error, a panel for each method."""
    figure, axes = plt.subplots(3, 3, figsize=(8.4, 7.6), sharey=True, layout="constrained")
    for ax, name in zip(axes.flat, METHODS, strict=True):
        ax.set(xscale="log", yscale="log", ylim=(1, 60))
        ax.set_yticks([1, 2, 5, 10, 20, 40], ["1", "2", "5", "10", "20", "40"])
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_title(METHODS[name].title, fontsize=8)
        seen: list[float] = []
        direct = [found(name, way) for way in ("quarter", "direct", "long")]
        line = [(run[0][-1], 100 * run[1][-1].mean()) for run in direct if run is not None]
        if line:
            seen += [loss for loss, _ in line]
            ax.plot(*zip(*line, strict=True), "o-", label="direct, with more and more steps")
        if (walk := found(name, "path")) is not None:
            losses, off = walk[0], 100 * walk[1].mean(axis=1)
            seen += list(losses)
            ax.plot(losses, off, "s--", label="path, each ν by its reference")
            for loss, error, eps in zip(losses, off, PATH, strict=True):
                below = {"textcoords": "offset points", "xytext": (5, -9), "fontsize": 7}
                above = below | {"xytext": (5, 4)}
                ax.annotate(f"{eps:g}", (loss, error), **(above if eps == NU else below))
        if seen:  # the same scale everywhere: two decades or more
            middle, half = math.sqrt(min(seen) * max(seen)), math.sqrt(max(seen) / min(seen))
            ax.set_xlim(middle / max(10, 2 * half), middle * max(10, 2 * half))
        ax.grid(visible=True, which="major", alpha=0.3)
        ax.tick_params(which="both", labelsize=7)
    for ax in axes[-1]:
        ax.set_xlabel("loss")
    for ax in axes[:, 0]:
        ax.set_ylabel("mean L2RE, %")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    figure.savefig(target, dpi=90)


HEAD = """\
# Burgers at small viscosity: what does not help, and what does

`python examples/small_viscosity.py` trains what it does not find and writes this page. Burgers in
time on a circle, the operator u₀ ↦ u(x, t) of `hop/problems/burgers_time.py`, at viscosity
ν = 0.0001, where shocks are about 0.001 wide. It is learned from the equation alone, in nine ways,
each for about {T} seconds on one core, without compilation. Each way is trained directly at
ν = 0.0001, and on the path ν = 0.01, 0.001, 0.0001 with a third of the steps at each.

All of it is one seed, on one core of a machine of two that was shared with other jobs, so
differences of ten or twenty percent may be chance."""

TABLE = """\
Errors are relative L2 errors in % at ν = 0.0001: the mean over 100 unseen functions, and in
brackets the worst, on 2,048 points of x and 21 times. The last column compares the direct training
with one of a quarter of the steps, whose learning rate falls to zero as well. The loss is what is
minimised, the mean of the last steps (50 at most), all on new functions. The seconds are the steps
times those of a step in the quickest window of 50."""

METHOD = """\
## The ways

All but the FNO rows have the same network, up to what the moved coordinate adds: a DeepONet with a
nonlinear decoder (branch and trunk of three layers of 128, rank 32), with u = u₀ + t N. In every
stage the rate of Muon rises to 0.01 over 100 steps, or a third of the stage if that is less, and
falls to zero. A step has 50 new functions.

* Residual at random points: 1,000 new points at each step.
* Weak residual: the residual in a dual norm, `config.train.tests`.
* Control volumes: the balance ∮ (u dx − F dt) over the edges of 300 fixed boxes of space-time, with
  F = u²/2 − ν u_x, divided by the perimeter. Sizes are 0.02 to 0.3, with 4 Gauss nodes on an edge.
* Points where the residual is large: `config.train.sampler = "by_residual"`.
* Causal in time: the squared residual is weighted by e^(−κS), S the sum of its means over the
  earlier of 16 bins of time, κ = {kappa:g}, better than 1 in a short look (Wang, Sankaran,
  Perdikaris, arXiv 2203.07404).
* Decoder in a moved coordinate: the decoder also sees cos and sin of 2πk(x − tV), k = 1 to 4, where
  V is a learned feature.
* Shift-equivariant network: `fno`, 16 harmonics, four
  [windows of time](../concepts.md#windows-of-time), as `configs/burgers_time.py:fourier`.
* Smooth branches: `hop/problems/burgers_shocks.py`. The network gives eight smooth potentials and u
  comes from their soft minimum. On the same DeepONet, and on the FNO of
  `configs/burgers_shocks.py:fourier`.

![Loss against error](small_viscosity.png)

Loss against error, logarithmic, a panel for each way. Circles: direct, from a quarter of the steps
to all, and to five times as many where those were run. Squares: the stages of the path, labelled by
ν, each against the reference at its own ν. Losses of different ways are not comparable with each
other, nor are those of different ν."""

SHOWS = """\
## What follows

In the time of the first column no way gives an accurate operator, and the best two are 11 to 12 %
off. With five times the steps they part: of the four that had them, smooth branches alone go on to
smaller errors, to half and less, on either network.

* On this DeepONet, how the residual is asked for makes little difference. Random points, points
  where the residual is large, control volumes and the moved coordinate end at 19 to 21 %, which one
  seed does not tell apart. The weak residual is worse. A step of it takes nearly four times as long
  as one at random points, so it has had a quarter of the steps, and at as many it is no worse.
* Causal weights help at first, 14.5 % against 19.3 %, with the same network and time. With five
  times the steps they end at 17 %, no better. Their loss does not show progress: it stays as it
  was, as the weights grow where the residual falls.
* The FNO in windows, on the plain residual, is the quickest, at 14 % after a quarter of the steps.
  There it stays: its error is the same after five times the steps, and its loss grows. The later
  windows start from states that have shocks, of which its 16 waves know nothing.
* Smooth branches have the loss that falls by far the most, and their error follows: it is about
  halved by every four or five times as many steps. The loss is a residual of the potential, and u
  is its slope, so the error falls like a fourth root of it: a shock that is off by δ costs √δ.
* The path in ν does not pay here. With a third of the steps at each ν, the mean error is larger
  than directly in seven of nine ways, by little in most and by some 30 % for smooth branches. The
  FNO in windows has the same. The weak residual gains 6 %, which may be chance. For smooth branches
  on the DeepONet the worst function is better by the path, 29 % against 44 %. An evolution has no
  slow mode that a path must carry, and smooth branches have nothing stiff either.

Smooth branches are no general remedy. They use knowledge of this equation: it is the derivative of
a Hamilton–Jacobi equation, and the soft minimum of solutions of that is a solution. The windows use
less, that the equation does not name t, and the FNO that it does not name x."""


STEADY = {  # of configs/burgers_steady.py:one, what is said on the command line beside it
    "at points, with gauge and pin": (),
    "at points": ("strategy.pin=0.0",),
    "weak, 128 tests": ("strategy.pin=0.0", "train.sampler=stratified", "train.tests=(128,)"),
}


def steady() -> list[list[str]]:
    """Errors of the steady solution by ε, of each residual; and whether its place is computed."""
    errors: dict[float, list[str]] = {}
    for name, words in STEADY.items():
        config = config_files.read(
            "configs/burgers_steady.py:one", [f"--config.{word}" for word in words]
        )
        folder = RUNS / f"steady-{name.replace(' ', '-').replace(',', '')}"
        hop.train(config, folder)
        for stage in Store.find(folder).stages():
            place = f", {stage.record['place']}" if "place" in stage.record else ""
            errors.setdefault(stage.eps, []).append(f"{stage.record['l2re']:.1e}{place}")
    return [[f"{eps:g}", *cells] for eps, cells in errors.items() if eps <= 0.05]


def shipped() -> list[list[str]]:
    """Errors and seconds of the pretrained network, by viscosity, and the formula's seconds."""
    judge, x = held()
    rows = []
    for nu in (1e-3, 3e-4, 1e-4):
        op = hop.load(MODEL, eps=nu)
        off = errors(op)  # compiles it, too
        took = []
        for answer in (
            lambda: op(*judge.given, x),  # noqa: B023
            lambda: reference(BurgersTime(), judge.fields, x, Lam(0.0, nu)),  # noqa: B023
        ):
            began = time.perf_counter()
            answer()
            took.append(f"{time.perf_counter() - began:.0f} s")
        rows.append(
            [f"{nu:g}", *(f"{100 * of(off):.2g}" for of in (np.mean, np.median, np.max)), *took]
        )
    return rows


SHIPPED = """\
## The pretrained network

`{model}` is the DeepONet with smooth branches, with the viscosity an input: one network for every ν
from 0.001 to 0.0001, trained as its card, `pretrained/{model}/README.md`, says. Errors in %,
and the seconds of the network and of the formula of Cole and Hopf (`hop/references/cole_hopf.py`,
exact to rounding) for the same 100 functions on 2,048 × 21 points."""

PAYS = """\
Published figures at ν = 0.0001 are 7 to 8 % (Wang et al. 2022, 200,000 steps on a GPU), and 3.49 %
at 0.001, where the network `burgers-time` of this package has 1.2 %. What is left of the error is
mostly the place of shocks. As a solver the network does not pay: Cole and Hopf's formula is exact,
and would be quicker with fewer nodes.
Other Hamilton–Jacobi equations, where the least of solutions is a solution as well and no formula
is known, are untried."""

STEADY_HEAD = """\
## Steady Burgers, without its symmetry

`configs/burgers_steady.py:one`, the one solution at s = 0 by least squares in float64. Its shock
stands at ½ since the solution is odd, which no part of this knows: the residual must find the
place, and as ε falls it feels an error there only as e^(−1/ε). Relative L2 errors. With the pin the
run says of each stage whether the place is *computed*, by the gauge, or *assumed*, as the path has
it."""

STEADY_SHOWS = """\
With the pin the error stays below 10⁻⁵ down to ε = 0.005. The place is computed down to 0.013, and
assumed below. Without it both residuals lose the place near 0.016, where float64 no longer tells
e^(−1/ε) from nothing, although their losses are at 10⁻¹⁵: there loss and error part. Where the
place is told, the weak residual is as good as that at points, and its steps are quicker."""


def write(target: Path) -> None:
    """The page of what is there, and its figure."""
    picture(target.with_suffix(".png"))
    columns = ["way", "direct", "by the path", "steps", "seconds", "direct, five times the steps",
               "fall loss and error together?"]  # fmt: skip
    table = files.table(columns, [row(name) for name in METHODS])
    method = METHOD.format(kappa=METHODS["causal"].problem.kappa)
    credit = provenance.credit("python examples/small_viscosity.py")
    head = ["ν", "mean", "median", "worst", "network", "formula"]
    page = [HEAD.format(T=T), TABLE, table, method, SHOWS]
    page += [SHIPPED.format(model=MODEL), files.table(head, shipped()), PAYS]
    page += [STEADY_HEAD, files.table(["ε", *STEADY], steady()), STEADY_SHOWS, credit]
    target.write_text("\n\n".join(page) + "\n", encoding="utf-8")
    print(target)


if __name__ == "__main__":
    for way in WAYS:
        for name in LONG if way == "long" else METHODS:
            train(name, way)
    write(ROOT / "docs" / "results" / "small_viscosity.md")
