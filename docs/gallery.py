"""Writes docs/gallery.md, a card for every problem, and the README's table of models.

    python docs/gallery.py [--draw]

Errors, training times, machines and commands are read from `pretrained/`, break-even numbers from
docs/results/when_it_pays.json; what is said beside them is here. --draw makes the pictures that no
page of the results has, docs/images/gallery/.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import hop
from hop import files, plotting
from hop.checkpoints import StageInfo, Store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "benchmarks"))
PICTURES = HERE / "images" / "gallery"


class Card(NamedTuple):
    """What is told of a problem beside its records.

    Attributes:
      title: its heading.
      equation: with the inputs and the unknown.
      picture: in docs/.
      model: its name in `pretrained/`; empty if none ships.
      row: its name in when_it_pays.json; empty if it is not there.
      page: in docs/results/, without its ending.
      config: what trains it, where no model ships.
      reached: the error, where no model ships.
      fails: what it does not do.
    """

    title: str
    equation: str
    picture: str
    model: str = ""
    row: str = ""
    page: str = ""
    config: str = ""
    reached: str = ""
    fails: str = ""


CARDS = (
    Card(
        "Burgers in time",
        "u_t + u u_x = ν u_xx on a circle; u₀ ↦ u(x, t)",
        "results/burgers_time.gif",
        "burgers-time",
        "Burgers in time, ν = 0.01",
        "burgers_time",
        fails="A spectral solver is quicker at every ν (beside the cheapest network, too: "
        "`configs/burgers_time.py:fourier`). Below ν = 0.001 more training makes the error larger.",
    ),
    Card(
        "Burgers with shocks",
        "the same at small ν; u₀, ν ↦ u(x, t)",
        "images/gallery/burgers-shocks.png",
        "burgers-shocks",
        "",
        "small_viscosity",
        fails="The ansatz uses that Burgers' equation has a potential: it serves no other one. "
        "At ν = 0.001 `burgers-time` is more accurate.",
    ),
    Card(
        "Burgers in the plane",
        "w_t + (w·∇)w = ν Δw on a torus; (u₀, v₀) ↦ (u, v)(x, y, t)",
        "results/burgers_2d.png",
        "burgers-2d",
        "Burgers in the plane, ν = 0.01",
        "burgers_2d",
        fails="One viscosity. A spectral solver is eighty times as quick.",
    ),
    Card(
        "Steady Burgers",
        "(1 − s)(u u_x − ε u_xx − f) + s(u − u₀) = 0; u₀ ↦ u, s > 0",
        "results/unit.png",
        "burgers-steady-unit",
        "Burgers, steady, s = ε = 0.05",
        "unit",
        fails="At s = 0, the paper's benchmark (`burgers-steady`), u does not depend on u₀.",
    ),
    Card(
        "A boundary layer",
        "−ε u″ + u′ = f, u = 0 at both ends; f, ε ↦ u",
        "images/gallery/convection-diffusion.png",
        "convection-diffusion",
        "Convection–diffusion, ε = 10⁻³",
        "layers",
        fails="The layer is built into the ansatz, so its place and shape must be known. The "
        "problem is linear: eleven solutions and superposition do better.",
    ),
    Card(
        "Flow in a cavity",
        "ψ_y Δψ_x − ψ_x Δψ_y = Δ²ψ / Re; the lid's velocity, Re ↦ ψ",
        "results/cavity.gif",
        "cavity",
        "Flow in a cavity, Re from 100 to 1,000",
        "cavity",
        fails="The lid's velocity vanishes with its slope at the corners.",
    ),
    Card(
        "Flow in a cavity, high Re",
        "the same to Re = 5,000",
        "results/cavity_bound.png",
        "cavity-high",
        "Flow in a cavity, Re from 500 to 5,000",
        "warm_starts",
        fails="It is made to start Newton's method; by itself its error is large.",
    ),
    Card(
        "A semiconductor at equilibrium",
        "λ² φ″ = 2δ² sinh φ − C; doping C, λ ↦ potential φ",
        "images/gallery/drift-diffusion.png",
        "drift-diffusion",
        "A semiconductor at equilibrium, λ = 10⁻³",
        "warm_starts",
        fails="A solver is ten times as quick.",
    ),
    Card(
        "A semiconductor under voltage",
        "λ² φ″ = n − p − C with the currents of n and p; C, voltage ↦ φ",
        "images/gallery/biased-drift-diffusion.png",
        "biased-drift-diffusion",
        "A semiconductor under voltage, λ = 0.01",
        "warm_starts",
        fails="A solver is quicker. As a start of Newton's method it serves 198 of 200 devices.",
    ),
    Card(
        "Exit time in 8 dimensions",
        "−ε Δu + b·∇u = 1 in [0, 1]⁸, u = 0 on its walls; drift b ↦ u",
        "",
        "exit-time-8d",
        "Exit time in 8 dimensions, ε = 0.1",
        "exit_time",
        fails="In 16 and 32 dimensions another network does better, which ships as a script.",
    ),
    Card(
        "Hamilton–Jacobi in 20 dimensions",
        "u_t + ½|∇u|² = ε Δu, u(x, 0) = g(x); a cost g of 48 numbers ↦ u(x, t), ∇u",
        "results/steering.png",
        "hamilton-jacobi-20d",
        "Hamilton–Jacobi in 20 dimensions, ε = 10⁻³",
        "hamilton_jacobi",
        fails="The costs split into integrals on a line, and the solver knows it.",
    ),
    Card(
        "Allen–Cahn on an interval",
        "ε² u″ + u − u³ = 0; one function",
        "results/front.png",
        row="",
        page="front",
        config="configs/allen_cahn_1d.py",
        reached="10⁻⁵ and less, down to where the place of the front is lost in rounding",
        fails="Below that ε the place is assumed, and said to be.",
    ),
    Card(
        "Allen–Cahn in the plane",
        "ε² Δu + u − u³ = 0 on the square; one function, a saddle",
        "results/plane.png",
        page="plane",
        config="configs/allen_cahn_2d.py",
        reached="2·10⁻⁶ with its symmetry built in",
        fails="Without the symmetry 12 %. One function: one solve replaces the training.",
    ),
    Card(
        "Allen–Cahn and Korteweg–de Vries in time",
        "u_t = ε u_xx + 5(u − u³); u_t + u u_x + ε u_xxx = 0; u₀ ↦ u(x, t)",
        "results/evolution.png",
        row="Korteweg–de Vries",
        page="evolution",
        config="configs/kdv.py",
        reached="Allen–Cahn 0.22 %, Korteweg–de Vries as an operator 40 %",
        fails="The solitons of Korteweg–de Vries are not resolved.",
    ),
)


def percent(error: float) -> str:
    return f"{100 * error:.2g} %"


def tested(stages: list[StageInfo]) -> dict[str, dict[str, float]]:
    """The errors by the place of a stage; of a range, at each ε that was tested."""
    found = {}
    for stage in stages:
        s = f"s = {stage.s:g}, " if stage.s else ""
        for row in stage.metadata["test"].get("at", [stage.metadata["test"]]):
            found[f"{s}ε = {row.get('eps', stage.eps):g}"] = row
    return {place: row for place, row in found.items() if row.get("l2re") is not None}


def errors(stages: list[StageInfo]) -> str:
    """Mean L2RE by place, and of the worst function of all."""
    known = tested(stages)
    told = ", ".join(f"{percent(row['l2re'])} ({place})" for place, row in known.items())
    if len(known) == 1:
        told = told.partition(" (")[0]
    return f"{told}; the worst function {percent(max(r['l2re_worst'] for r in known.values()))}"


def seconds(stages: list[StageInfo]) -> float:
    """Of training, all stages together."""
    return sum(stage.record["seconds"] for stage in stages)


def trained(name: str, stages: list[StageInfo]) -> list[list[str]]:
    """Training time with machine and date, and the command."""
    took = seconds(stages)
    by, commands = stages[-1].made, {stage.made["command"] for stage in stages}
    time = f"{took / 60:.0f} min" if took >= 120 else f"{took:.0f} s"
    command = commands.pop() if len(commands) == 1 else ""
    told = f"`{command}`" if command else f"on its card, `pretrained/{name}/README.md`"
    return [["training", f"{time}, {by['machine']}, {by['date']}"], ["command", told]]


def pays(card: Card) -> str:
    """N* against the best solver, by the training of the model that ships, if one does."""
    from when_it_pays import number, repaid

    rows = json.loads((HERE / "results" / "when_it_pays.json").read_text(encoding="utf-8"))
    found = rows[card.row]
    if card.model:
        found["training"] = seconds(Store.find(card.model).stages())
    rivals = [r for r in found["rivals"] if r["error"] <= found["error"]]
    return number(max(repaid(found, rival) for rival in rivals))


def card(card: Card) -> str:
    rows = [["problem", card.equation]]
    if card.model:
        stages = Store.find(card.model).stages()
        rows += [["load", f'`hop.load("{card.model}")`'], ["mean error", errors(stages)]]
        rows += trained(card.model, stages)
    else:
        command = f"hop train --config={card.config} --workdir=W"
        rows += [["train", f"`{command}`"], ["error", card.reached]]
    if card.row:
        rows.append(["pays after", f"[{pays(card)}](results/when_it_pays.md)"])
    rows += [["but", card.fails], ["more", f"[{card.page}](results/{card.page}.md)"]]
    picture = f"![{card.title}]({card.picture})" if card.picture else ""
    return "\n\n".join(filter(None, [f"## {card.title}", picture, files.table(["", ""], rows)]))


def line(card: Card) -> list[str]:
    """A row of the README's table."""
    means = [row["l2re"] for row in tested(Store.find(card.model).stages()).values()]
    error = f"{percent(max(means))}{' and less' * (len(means) > 1)}"
    described = f"{card.title}: {card.equation.rsplit('; ')[-1]}"
    return [described, f"`{card.model}`", error, pays(card) if card.row else "not measured"]


def table() -> str:
    """What can be solved by the models that ship."""
    head = ["operator", "model", "mean error", "pays after"]
    return files.table(head, [line(card) for card in CARDS if card.model])


HEAD = """\
# Gallery

Most problems that ship: pictures, what training reaches and costs, and what it does not.
Errors are relative L2 errors on functions that training never saw; of a range of ε, at the ε in
brackets. *Pays after* is the number of functions after which an operator is quicker than the best
classical solver that we could build, its training counted. s weighs an easy problem (s = 1) against
the equation (s = 0, where nothing is said). Written by `python docs/gallery.py`."""


def draw() -> None:
    """Some functions of the law and their solutions, of the models that no page draws."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in ("convection-diffusion", "drift-diffusion", "biased-drift-diffusion"):
        op = hop.load(name)
        keys = jax.random.split(jax.random.key(3), len(op.laws))
        given = {
            name: np.asarray(law.values(law.sample(key, 5))).reshape(5, *law.shape)
            for key, (name, law) in zip(keys, op.laws.items(), strict=True)
        }
        x = op.ansatz.problem.domain.grid(1001)
        plotting.inference(str(PICTURES / f"{name}.png"), op, given, x, np.asarray(op(given, x)))
    op = hop.load("burgers-shocks", eps=3e-4)
    law = op.laws["u0"]
    u0 = np.asarray(law.values(law.sample(jax.random.key(4), 3)))
    plotting.evolution(str(PICTURES / "burgers-shocks.png"), op, u0)


def page() -> str:
    return "\n\n".join([HEAD, *map(card, CARDS)]) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draw", action="store_true")
    if parser.parse_args().draw:
        draw()
    (HERE / "gallery.md").write_text(page(), encoding="utf-8")
    readme = HERE.parent / "README.md"
    text = readme.read_text(encoding="utf-8")
    files.write(readme, files.between(text, "problems", table()))
