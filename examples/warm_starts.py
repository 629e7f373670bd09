"""Newton's method started from an operator, beside the other ways to start it.

python examples/warm_starts.py             # trains what runs/warm_starts lacks (an hour on two
                                           # cores), writes docs/results/warm_starts.md
python examples/warm_starts.py branches    # the same for one section, the others stay; any of
                                           # cavity, drift_diffusion, under_voltage,
                                           # branches
"""

import math
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_banded

import hop
from hop import ambient, files, provenance, splits
from hop import config as config_lib
from hop.checkpoints import Store
from hop.config import files as config_files
from hop.evaluation import Judge
from hop.operators import Operator
from hop.polishing import TOLERANCE
from hop.problem import Lam
from hop.references.newton import Found

ROOT = Path(__file__).parents[1]
LENGTHS = tuple(10 ** (-k / 2) for k in range(7))
REYNOLDS = (3200.0, 5000.0)
LIDS, FEW = 100, 5  # of the ways that fail, after 50 steps each, only a few are tried
COARSE = 16  # polynomials along an axis
DEVICES = FORCES = 200
SHOWN = (0.35, 0.21, 0.11, 0.057, 0.03)
FLOW, LONGER = 60, 1.3  # steps of pseudo-time, and how each is longer than the last
HEAD = """\
# Warm starts

`python examples/warm_starts.py` trains what it does not find and writes this page. An operator's
answer is where Newton's method starts (`hop.polish`): what comes out is the solver's own solution,
to a last step of 1e-8. It saves much against the usual continuation. Against the best start that
we know of, another one for each problem, it saves half of the time in a cavity, and little or
nothing elsewhere. [When does it pay](when_it_pays.md) counts the training in."""
CAVITY = """\
## Flow in a cavity

Steady Navier–Stokes in the unit square under {lids} lids that training never saw
(`hop/problems/cavity.py`). One operator, shipped as `cavity-high`, serves every Re from 500 to
5,000. It was trained for {trained:.0f} s, first on the equation with Re/5 in place of Re, then with
Re. Its velocities have a mean L2RE of {errors}.

Every Newton step costs the same: a dense matrix for {size}² unknowns is assembled and factored. A
step is halved, and halved again, until the next one is shorter. Continuation solves for Re/2^k,
then doubles Re, with a last step of 1e-2 on the way; all its steps are counted. Its solutions are
the ones that are meant, and the table says how many others end there. *Nested grids* do the same
with few polynomials, to a last step of 1e-3, and start Newton's method there; the table counts the
steps on the last grid. From Stokes' flow, and from the lid's term of the ansatz alone, only {few}
lids are tried, with at most 50 steps each."""
DRIFT = """\
## A semiconductor at equilibrium

λ²φ″ = 2δ² sinh φ − C for a random doping C (`hop/problems/drift_diffusion.py`, λ is its ε). One
operator serves every λ from 1 to 10⁻³, trained for {whole:.0f} s; a ladder has a network for each
of the λ here, trained for {ladder:.0f} s in all. L2RE over 100 devices:

{errors}

The one network is better than the ladder at most λ: it was trained longer on all of them than the
ladder on any. Newton steps, medians over {devices} devices, which all converge:

{steps}

Neutrality is φ = asinh(C / 2δ²), the field's own start. Nested grids start from it on a grid
sixteen times coarser and go on to one four times coarser; only the last grid's steps are counted.
The operator saves {saved} against neutrality and needs more than nested grids: **it does not pay**.

The reference is by Numerov's differences. `benchmarks/devsim_equilibrium.py` sets it beside DEVSIM,
an independent simulator by finite volumes: their difference falls by four with each halving of
DEVSIM's grid."""
BIASED = """\
## The same under voltage

20 thermal volts between the contacts (`hop/problems/biased_drift_diffusion.py`), λ = 0.01. The
operator knows C and every V up to 20; its φ alone decides on the densities of the carriers. It was
trained for {trained:.0f} s. L2RE over {devices} devices: {errors}.

Newton's method is for φ and both quasi-Fermi potentials at once. From the operator, and from
Gummel's sweeps, it starts after a sweep more: φ_n and φ_p by quadrature, then Poisson's equation
with these, whose own steps are not counted. Sweeps start from neutrality with the voltage laid
evenly over the device. A ramp raises the voltage by equal steps, and all its Newton steps count.
*As meant* are those that end at the solution of the ramp of 20 steps.

{steps}

The operator leads more devices to their solutions than three of Gummel's sweeps, in less time than
they or a ramp take. But a device takes some hundredths of a second by a ramp, so that training is
repaid only by [tens of thousands](when_it_pays.md#to-start-a-solver), and a ramp misses none."""
BRANCHES = """\
## A front that can stand at several places

ε²u″ + u − u³ = f, u(0) = −1, u(1) = 1, for a random f, at ε = {eps:g}
(`hop/problems/allen_cahn_forced.py`). A front stands where f, smoothed at its width, is zero, or
before a wall. From fronts at 21 places Newton's method finds two or more stable solutions for
{several} of {forces} functions that training never saw. Meant is the one on the branch that comes
from the only solution at large ε.

One operator was trained for {trained:.0f} s along {stages} values of ε, another for {direct:.0f} s,
with as many steps, at the last of them alone. L2RE, and how many functions are off by more than
10 %:

{errors}

Newton's method, by where it starts. Steps are those of the functions that end at the solution
meant, milliseconds those of all, with making the guess and without compiling:

{ways}

Continuation takes strides in ε, halved where the solution moves far or is no longer stable, with a
last step of 1e-4 on the way; all its steps are counted. The tracked zero takes the front for a
point, pushed by f smoothed at its width and by the walls, and follows where it comes to rest as ε
falls from ½: one unknown a function, and no equation solved. With "wells", u is the root of
u − u³ = f near −1 before the front, and near 1 behind it. Pseudo-time takes {flow} implicit steps
from the line, which are not counted.

{verdict}"""
VERDICT = """\
The operator finds the branch more often than any start that is made at this ε alone by hand, and
Newton's method from it takes a twenty-fifth of the time of continuation, whose strides are short to
be safe. But the tracked zero misses one function in 200, takes as many steps, and needs no
training: where the front is one number, and the field knows what moves it, **an operator does not
pay**. Nor does the path: trained at this ε alone the operator is as good. Both have the energy of
the solution in their loss, and go downhill from a front at the middle. Without it
(`problem.downhill=0`, 7,000 steps, one run) the one trained at this ε alone is off by more than
10 % for 148 of 200. One seed each."""


def start(a: Any, count: int) -> Any:
    """The first of some functions."""
    return jax.tree.map(lambda c: c[:count], a)


def cavity() -> str:
    workdir, rows, errors = trained("cavity:high"), [], []
    op = hop.load(workdir)
    problem, lam, grid = op.ansatz.problem, Lam(0.0, op.eps), op.ansatz.problem.domain.grid(41, 41)
    U = splits.examples(op.laws["U"], "test", 0, LIDS)["values"]
    for number in REYNOLDS:
        given = {"U": U, "Re": np.full(LIDS, number)}
        a = op.fields(given)

        def guessed(x: np.ndarray, given: Any = given) -> np.ndarray:
            return np.asarray(op(given, x), float)

        def flat(x: np.ndarray, a: Any = a) -> np.ndarray:
            lid = np.asarray(a["U"](jnp.asarray(x)))[:FEW]
            return lid * (x[:, 1] ** 2 * (x[:, 1] - 1))[None]

        with ambient.on_cpu():
            some = start(a, FEW)
            stokes = problem.newton(some, Lam(1.0, op.eps), flat, TOLERANCE).solution
            ways = {
                "continuation in Re": (a, None),
                "the operator": (a, guessed),
                f"nested grids, {COARSE}² first": (a, None),
                "Stokes' flow": (some, stokes),
                "ψ = U(x) y²(y − 1)": (some, flat),
            }
            for name, (fields, guess) in ways.items():
                began = time.perf_counter()
                if name.startswith("nested"):
                    guess = problem.newton(fields, lam, None, 1e-3, COARSE).solution
                found = problem.newton(fields, lam, guess, TOLERANCE)
                seconds = time.perf_counter() - began
                if guess is None:
                    speeds = [found.solution(grid, label) for label in "xy"]
                rows.append([f"{number:,.0f}", name, *counted(found, speeds, grid, seconds)])
        off = sum(np.sum((np.asarray(op.derivative(given, grid, k)) - r) ** 2, axis=1)
                  for k, r in zip("xy", speeds, strict=True))  # fmt: skip
        mean = np.mean(np.sqrt(off / sum(np.sum(r**2, axis=1) for r in speeds)))
        errors.append(f"{mean:.1e} at {number:,.0f}")
    columns = ["Re", "start", "converged", "as meant", "median steps", "most", "seconds a lid"]
    said = CAVITY.format(
        lids=LIDS,
        few=FEW,
        size=found.size,
        errors=" and ".join(errors),
        trained=seconds_of(workdir),
    )
    return f"{said}\n\n{files.table(columns, rows)}"


def counted(found: Found, speeds: Any, grid: np.ndarray, seconds: float) -> list[str]:
    """How many converged, to continuation's solution; the steps of these; the time of each."""
    count, done = len(found.step), found.step <= TOLERANCE
    off = np.abs(found.solution(grid, "x") - speeds[0][:count]).max(axis=1)
    same, steps = done & (off < 1e-6), found.iterations[done]
    told = [f"{np.median(steps):g}", str(steps.max())] if len(steps) else ["–", "–"]
    return [f"{done.sum()} of {count}", str(same.sum()), *told, f"{seconds / count:.1f}"]


def drift_diffusion() -> str:
    whole, ladder = (trained(name) for name in ("drift_diffusion", "drift_diffusion:ladder"))
    config = config_lib.build(config_files.read("configs/drift_diffusion.py", ()))
    judge, rows, saved = Judge.of(config, "test", 100), [], []
    C = splits.examples(judge.problem.inputs["C"], "test", 0, DEVICES)["values"]
    steps = []
    for length in LENGTHS:
        op, own = hop.load(whole, eps=length), hop.load(ladder, eps=length)
        errors = [judge.errors(each) for each in (op, own)]
        rows.append(
            [f"{length**2:.0e}", *(f"{of(e):.1e}" for e in errors for of in (np.mean, np.max))]
        )
        ours = hop.polish(op, C)
        with ambient.on_cpu():
            a, lam = op.fields(C), Lam(0.0, length)
            neutral = judge.problem.newton(a, lam, None, TOLERANCE)
            nested = on_nested_grids(op, a, lam, neutral.size)
        assert max(neutral.step.max(), nested.step.max(), ours.step.max()) <= TOLERANCE
        medians = [np.median(found.iterations) for found in (neutral, nested, ours)]
        saved.append(medians[0] - medians[2])
        steps.append([rows[-1][0], *(f"{median:g}" for median in medians)])
    return DRIFT.format(
        devices=DEVICES,
        whole=seconds_of(whole),
        ladder=seconds_of(ladder),
        errors=files.table(["λ²", "one network", "worst", "ladder", "worst"], rows),
        steps=files.table(["λ²", "neutrality", "nested grids", "operator"], steps),
        saved=f"{min(saved):g} to {max(saved):g} steps",
    )


def under_voltage() -> str:
    workdir, errors = trained("biased_drift_diffusion"), []
    op, grid = hop.load(workdir), np.linspace(0, 1, 1001)[:, None]
    problem, lam = op.ansatz.problem, op.lam
    C = splits.examples(op.laws["C"], "test", 0, DEVICES)["values"]
    for voltage in (0.0, 1.0, 10.0, 20.0):
        given = {"C": C, "V": np.full(DEVICES, voltage)}
        exact, u = problem.newton(op.fields(given), lam).checked(lam)(grid), op(given, grid)
        off = np.linalg.norm(u - exact, axis=1) / np.linalg.norm(exact, axis=1)
        errors.append(f"{off.mean():.1e} (worst {off.max():.1e}) at V = {voltage:g}")
    a = op.fields(given)  # the last, the highest
    device = problem.device(a, lam)

    def still(x: np.ndarray) -> np.ndarray:
        same = {"C": a["C"], "V": op.laws["V"].field(np.zeros((DEVICES, 1)))}
        return problem.newton(same, lam).solution(x)

    def ramp(steps: int) -> Found:
        w, count = device.ramped(steps)
        w, step, taken, left = device.solve(w, TOLERANCE * np.abs(w[:, :, 0]).max(axis=1))
        size = np.abs(w[:, :, 0]).max(axis=1)
        return Found(device.read(w), count + taken, step / size, left, len(device.x) - 1)

    def newton(guess: Any) -> Found:
        return problem.newton(a, lam, guess, TOLERANCE)

    ways: dict[str, Callable[[], Found]] = {
        "a ramp of 20 steps": lambda: ramp(20),
        "a ramp of 10 steps": lambda: ramp(10),
        "equilibrium": lambda: newton(still),
        "one of Gummel's sweeps": lambda: newton(device.after(0)),
        "two": lambda: newton(device.after(1)),
        "three": lambda: newton(device.after(2)),
        "the operator": lambda: newton(lambda x: np.asarray(op(given, x), float)),
    }
    rows = []
    for name, way in ways.items():
        way()  # compiles
        began = time.perf_counter()
        found = way()
        seconds = time.perf_counter() - began
        if not rows:
            meant = found.solution(grid)
        done = (found.step <= TOLERANCE) & (np.abs(found.solution(grid) - meant).max(1) < 1e-4)
        steps, few = found.iterations[done], found.iterations[done] <= 4
        rows.append([name, f"{done.sum()} of {DEVICES}", str(few.sum()), f"{np.median(steps):g}",
                     str(steps.max()), f"{1e3 * seconds / DEVICES:.1f}"])  # fmt: skip
    columns = ["start", "as meant", "in 4 steps or less", "median steps", "most", "ms a device"]
    return BIASED.format(
        trained=seconds_of(workdir),
        devices=DEVICES,
        errors=", ".join(errors),
        steps=files.table(columns, rows),
    )


def on_nested_grids(op: Operator, a: Any, lam: Lam, nodes: int) -> Found:
    """From neutrality on a coarse grid to a finer, and then to the reference's."""
    found, guess = None, None
    for coarser in (16, 4, 1):
        found = op.ansatz.problem.newton(a, lam, guess, TOLERANCE, nodes // coarser)
        guess = found.solution
    return found


def branches() -> str:
    workdir, direct = trained("allen_cahn_forced"), trained("allen_cahn_forced:direct")
    op, alone = hop.load(workdir), hop.load(direct)
    problem, lam, grid = op.ansatz.problem, Lam(0.0, op.eps), op.ansatz.problem.domain.grid(401)
    f = splits.examples(op.laws["f"], "test", 0, FORCES)["values"]
    a = op.fields(f)
    ways: dict[str, Callable[[], Any]] = {
        "continuation in ε": lambda: None,
        "the operator": lambda: lambda x: np.asarray(op(f, x), float),
        "the one trained at this ε alone": lambda: lambda x: np.asarray(alone(f, x), float),
        "a zero of f, tracked; wells": lambda: with_wells(a, lam, tracked(a, lam.eps)),
        "the zero of f nearest the middle; wells": lambda: with_wells(a, lam, nearest(a)),
        "a front at that zero": lambda: front(nearest(a), lam.eps),
        "a front at the middle": lambda: front(np.full(FORCES, 0.5), lam.eps),
        "pseudo-time": lambda: flowing(a, lam.eps),
        "the line": lambda: lambda x: np.tile(2 * x[:, 0] - 1, (FORCES, 1)),
    }
    with ambient.on_cpu():
        meant = problem.newton(a, lam, None).checked(lam)(grid)
        rows = [[name, *started(problem, a, lam, way, meant)] for name, way in ways.items()]
        several = several_stable(problem, a, lam, grid)
    stages = Store.find(workdir).stages()
    some = [each.eps for each in stages if each.eps in SHOWN]
    judged = [("path", hop.load(workdir, eps=eps)) for eps in some] + [("alone", alone)]
    columns = ["start", "converged", "as meant", "median steps", "most", "ms a function"]
    return BRANCHES.format(
        eps=op.eps,
        forces=FORCES,
        several=several,
        stages=len(stages),
        trained=seconds_of(workdir),
        direct=seconds_of(direct),
        flow=FLOW,
        errors=files.table(
            ["ε", "trained", "mean", "median", "worst", "over 10 %"],
            [[f"{each.eps:g}", how, *missed(each, f, a, grid)] for how, each in judged],
        ),
        ways=files.table(columns, rows),
        verdict=VERDICT,
    )


def missed(op: Operator, f: np.ndarray, a: Any, grid: np.ndarray) -> list[str]:
    """The relative errors of an operator: mean, median, worst, and how many are large."""
    lam = Lam(0.0, op.eps)
    with ambient.on_cpu():
        u = op.ansatz.problem.newton(a, lam).checked(lam)(grid)
    off = np.linalg.norm(np.asarray(op(f, grid)) - u, axis=1) / np.linalg.norm(u, axis=1)
    told = [f"{of(off):.1e}" for of in (np.mean, np.median, np.max)]
    return [*told, f"{np.sum(off > 0.1)} of {len(off)}"]


def started(problem: Any, a: Any, lam: Lam, way: Callable, meant: np.ndarray) -> list[str]:
    """How many converge, how many to what is meant; the steps of these, and milliseconds."""
    grid = problem.domain.grid(meant.shape[1])
    for _ in range(2):  # the first compiles
        began = time.perf_counter()
        found = problem.newton(a, lam, way(), TOLERANCE)
        seconds = time.perf_counter() - began
    done = found.step <= TOLERANCE
    same = done & (np.abs(found.solution(grid) - meant).max(axis=1) < 1e-5)
    steps = found.iterations[same]
    told = [f"{np.median(steps):g}", str(steps.max())] if len(steps) else ["–", "–"]
    return [str(done.sum()), str(same.sum()), *told, f"{1e3 * seconds / len(meant):.2f}"]


def front(places: np.ndarray, eps: float) -> Callable[[np.ndarray], np.ndarray]:
    """tanh((x − ξ) / √2ε)."""
    return lambda x: np.tanh((x[:, 0] - places[:, None]) / (math.sqrt(2) * eps))


def with_wells(a: Any, lam: Lam, places: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A front, and on both of its sides the roots of u − u³ = f."""

    def guess(x: np.ndarray) -> np.ndarray:
        force, step = np.asarray(a["f"](jnp.asarray(x))), front(places, lam.eps)(x)
        return (1 - step) / 2 * well(force, -1.0) + (1 + step) / 2 * well(force, 1.0)

    return guess


def well(force: np.ndarray, sign: float) -> np.ndarray:
    """The root of u − u³ = f near ±1, and of the largest |f| with two such where |f| is larger."""
    angle = np.arccos(np.clip(-sign * force * math.sqrt(27) / 2, -1, 1))
    return sign * 2 / math.sqrt(3) * np.cos(angle / 3)


def nearest(a: Any) -> np.ndarray:
    """Where f falls through zero nearest to the middle; the middle where it nowhere does."""
    x = np.linspace(0.01, 0.99, 981)
    force = np.asarray(a["f"](jnp.asarray(x)))
    falls = (force[:, :-1] > 0) & (force[:, 1:] <= 0)
    far = np.where(falls, np.abs(x[:-1] - 0.5), 1.0)
    return np.where(falls.any(axis=1), x[np.argmin(far, axis=1)], 0.5)


def tracked(a: Any, eps: float) -> np.ndarray:
    """Where a front stands if it is a point: followed from the middle as ε falls from ½.

    Moved by ξ the front of an energy E gains dE/dξ = −2 f(ξ), f smoothed by the front's own shape,
    and 16 (e^(−2√2(1−ξ)/ε) − e^(−2√2ξ/ε)) from the walls.
    """
    x, c = np.linspace(0, 1, 401), np.asarray(a["f"].coefficients)
    kappa = np.pi * np.arange(1, c.shape[1] + 1)
    waves, rows = np.sin(np.outer(kappa, x)), np.arange(len(c))
    at = np.full(len(c), 200)
    for width in np.geomspace(0.5, eps, 60):
        far = np.pi * kappa * width / math.sqrt(2)
        reach = 2 * math.sqrt(2) / width
        walls = 16 * (np.exp(-reach * (1 - x)) - np.exp(-reach * x))
        push = 2 * (math.sqrt(2) * c * far / np.sinh(far)) @ waves - walls  # to the right, if > 0
        right = push[rows, at] > 0
        stop_right = np.argmax((push <= 0) & (np.arange(401) >= at[:, None]), axis=1)
        stop_left = 400 - np.argmax(((push > 0) & (np.arange(401) <= at[:, None]))[:, ::-1], axis=1)
        at = np.where(right, stop_right, stop_left)
    return x[at]


def flowing(a: Any, eps: float) -> Callable[[np.ndarray], np.ndarray]:
    """u_t = ε² u″ + u − u³ − f from the line, by implicit steps that grow from 0.3 on."""
    x = np.linspace(0, 1, 1 + math.ceil(10 / eps))
    force, h = np.asarray(a["f"](jnp.asarray(x))), x[1]
    u = np.tile(2 * x - 1, (len(force), 1))
    for k in range(FLOW):
        change = eps**2 * np.diff(u, 2, axis=1) / h**2 + (u - u**3 - force)[:, 1:-1]
        for row, moved in zip(u, change, strict=True):
            row[1:-1] += solve_banded((1, 1), linearised(row, eps, h, 0.3 * LONGER**k), moved)
    return lambda places: np.stack([np.interp(places[:, 0], x, row) for row in u])


def linearised(u: np.ndarray, eps: float, h: float, step: float = math.inf) -> np.ndarray:
    """The three diagonals of 1/step − ε² ∂² + 3u² − 1 inside."""
    beside = np.full(len(u) - 2, -((eps / h) ** 2))
    return np.stack([beside, 1 / step - 2 * beside + 3 * u[1:-1] ** 2 - 1, beside])


def several_stable(problem: Any, a: Any, lam: Lam, grid: np.ndarray) -> int:
    """For how many functions fronts at 21 places lead Newton's method to two or more stable
    solutions.

    One is stable where (−ε² ∂² + 3u² − 1) v = 1 has a positive solution.
    """
    known: list[list[np.ndarray]] = [[] for _ in range(FORCES)]
    for place in np.linspace(0, 1, 21):
        guess = front(np.full(FORCES, place), lam.eps)
        found = problem.newton(a, lam, guess, TOLERANCE)
        for mine, u, step in zip(known, found.solution(grid), found.step, strict=True):
            if step > TOLERANCE or any(np.abs(u - v).max() < 0.1 for v in mine):
                continue
            diagonals = linearised(u, lam.eps, grid[1, 0])
            if solve_banded((1, 1), diagonals, np.ones(len(u) - 2)).min() > 0:
                mine.append(u)
    return sum(len(mine) > 1 for mine in known)


def seconds_of(workdir: Path) -> float:
    """Of all its training."""
    return sum(info.record["seconds"] for info in Store.find(workdir).stages())


def trained(name: str) -> Path:
    """The workdir of a config, trained unless it is there."""
    workdir = ROOT / "runs" / "warm_starts" / name.replace(":", "_")
    if not (workdir / "stages").exists():
        file, _, variant = name.partition(":")
        path = f"configs/{file}.py" + (f":{variant}" if variant else "")
        hop.train(config_files.read(path, ()), workdir)
    return workdir


SECTIONS = {
    "cavity": cavity,
    "drift_diffusion": drift_diffusion,
    "under_voltage": under_voltage,
    "branches": branches,
}


def page(text: str, names: list[str]) -> str:
    """The page with some sections made anew, the others as they are in its text."""
    old = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    made = {part.partition("\n")[0]: part.strip() for part in old}
    for name in names:
        credit = provenance.credit(f"python examples/warm_starts.py {name}")
        section = f"{SECTIONS[name]()}\n\n{credit}"
        made[section.partition("\n")[0]] = section
    return "\n\n".join([HEAD, *made.values()]) + "\n"


if __name__ == "__main__":
    target = ROOT / "docs" / "results" / "warm_starts.md"
    said = target.read_text(encoding="utf-8") if target.exists() else ""
    target.write_text(page(said, sys.argv[1:] or list(SECTIONS)), encoding="utf-8")
    print(target)
