"""Newton's method started from an operator, beside the other ways to start it.

python examples/warm_starts.py    # trains what runs/warm_starts lacks (an hour on two cores),
                                  # writes docs/results/warm_starts.md
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hop
from hop import ambient, datasets, files, provenance
from hop import config as config_lib
from hop.checkpoints import Store
from hop.config import files as config_files
from hop.evaluation import Judge
from hop.operators import Operator
from hop.polishing import TOLERANCE
from hop.problem import Lam
from hop.problems.biased_drift_diffusion import Device
from hop.references import numerov
from hop.references.newton import Found

ROOT = Path(__file__).parents[1]
LENGTHS = tuple(10 ** (-k / 2) for k in range(7))
REYNOLDS = (3200.0, 5000.0)
LIDS, FEW = 100, 5  # of the ways that fail, after 50 steps each, only a few are tried
DEVICES = 200
HEAD = """\
# Warm starts

`python examples/warm_starts.py` trains what it does not find and writes this page. An operator's
answer is where Newton's method starts (`hop.polish`): what comes out is the solver's own solution,
to a last step of 1e-8. That pays where simpler starts fail, as for the cavity. Where one works, as
for the semiconductor, it saves a step or two."""
CAVITY = """\
## Flow in a cavity

Steady Navier–Stokes in the unit square under {lids} lids that training never saw
(`hop/problems/cavity.py`). One operator, shipped as `cavity-high`, serves every Re from 500 to
5,000. It was trained for {trained:.0f} s, first on the equation with Re/5 in place of Re, then with
Re. Its velocities have a mean L2RE of {errors}.

Every Newton step costs the same: a dense matrix for {size}² unknowns is assembled and factored. A
step is halved, and halved again, until the next one is shorter. Continuation solves for Re/2^k,
then doubles Re, with a last step of 1e-2 on the way; all its steps are counted. Its solutions are
the ones that are meant, and the table says how many others end there. From Stokes' flow, and from
the lid's term of the ansatz alone, only {few} lids are tried, with at most 50 steps each."""
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
trained for {trained:.0f} s. L2RE over {devices} devices, {errors}.

Newton's method is for φ and both quasi-Fermi potentials at once. From the operator, and from
Gummel's sweeps, it starts after a sweep more: φ_n and φ_p by quadrature, then Poisson's equation
with these, whose own steps are not counted. Sweeps start from neutrality with the voltage laid
evenly over the device. A ramp raises the voltage by equal steps, and all its Newton steps count.
*As meant* are those that end at the solution of the ramp of 20 steps.

{steps}

A few of Gummel's sweeps do what the operator does: **it does not pay** here either. Without
recombination the sweeps are at their best."""


def start(a: Any, count: int) -> Any:
    """The first of some functions."""
    return jax.tree.map(lambda c: c[:count], a)


def cavity() -> str:
    workdir, rows, errors = trained("cavity:high"), [], []
    op = hop.load(workdir)
    problem, lam, grid = op.ansatz.problem, Lam(0.0, op.eps), op.ansatz.problem.domain.grid(41, 41)
    U = datasets.examples(op.laws["U"], "test", 0, LIDS)["values"]
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
                "Stokes' flow": (some, stokes),
                "ψ = U(x) y²(y − 1)": (some, flat),
            }
            for name, (fields, guess) in ways.items():
                began = time.perf_counter()
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
    C = datasets.examples(judge.problem.inputs["C"], "test", 0, DEVICES)["values"]
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
    C = datasets.examples(op.laws["C"], "test", 0, DEVICES)["values"]
    for voltage in (0.0, 1.0, 10.0, 20.0):
        given = {"C": C, "V": np.full(DEVICES, voltage)}
        exact, u = problem.newton(op.fields(given), lam).checked(lam)(grid), op(given, grid)
        off = np.linalg.norm(u - exact, axis=1) / np.linalg.norm(exact, axis=1)
        errors.append(f"{off.mean():.1e} (worst {off.max():.1e}) at V = {voltage:g}")
    a = op.fields(given)  # the last, the highest
    with ambient.on_cpu():
        x = problem.domain.grid(1001)
        doping, V = (np.asarray(a[name](jnp.asarray(x)), float) for name in ("C", "V"))
    device = Device(doping, V[:, 0], op.eps)

    def still(x: np.ndarray) -> np.ndarray:
        same = {"C": a["C"], "V": op.laws["V"].field(np.zeros((DEVICES, 1)))}
        return problem.newton(same, lam).solution(x)

    def after(sweeps: int) -> numerov.Solution:
        phi = device.start()
        for _ in range(sweeps - 1):
            phi = device.swept(phi)[:, :, 0]
        return numerov.Solution(x[:, 0], phi)

    def ramp(steps: int) -> Found:
        w, count = device.ramped(steps)
        w, step, taken, left = device.solve(w, TOLERANCE * np.abs(w[:, :, 0]).max(axis=1))
        size = np.abs(w[:, :, 0]).max(axis=1)
        return Found(numerov.Solution(x[:, 0], w[:, :, 0]), count + taken, step / size, left, 1000)

    def newton(guess: Any) -> Found:
        return problem.newton(a, lam, guess, TOLERANCE)

    ways: dict[str, Callable[[], Found]] = {
        "a ramp of 20 steps": lambda: ramp(20),
        "a ramp of 10 steps": lambda: ramp(10),
        "equilibrium": lambda: newton(still),
        "one of Gummel's sweeps": lambda: newton(after(1)),
        "two": lambda: newton(after(2)),
        "three": lambda: newton(after(3)),
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


if __name__ == "__main__":
    page = [HEAD, cavity(), drift_diffusion(), provenance.credit("python examples/warm_starts.py")]
    target = ROOT / "docs" / "results" / "warm_starts.md"
    target.write_text("\n\n".join(page) + "\n", encoding="utf-8")
    print(target)
