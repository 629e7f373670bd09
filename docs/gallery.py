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
from typing import Any, NamedTuple

import jax
import matplotlib.pyplot as plt
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
      picture: in docs/; "" for none.
      model: its name in `pretrained/`; empty if none ships.
      row: its name in when_it_pays.json; empty if it is not there.
      page: in docs/results/, without its ending.
      config: what trains it, where no model ships.
      reached: the error, where no model ships; by default that of its row.
      fails: what it does not do.
      small: what the equation calls ε; empty where no error depends on it.
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
    small: str = "ε"


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
        small="ν",
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
        small="ν",
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
        "(1 − s)(u u_x − ε u_xx − f) + s(u − u₀) = 0; u₀ ↦ u",
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
        "problem is linear: superposing eleven solutions, made once, is better.",
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
        fails="Meant as a start of Newton's method: the worst function is 7 % off.",
        small="",
    ),
    Card(
        "A semiconductor at equilibrium",
        "λ² φ″ = 2δ² sinh φ − C; doping C, λ ↦ potential φ",
        "images/gallery/drift-diffusion.png",
        "drift-diffusion",
        "A semiconductor at equilibrium, λ = 10⁻³",
        "warm_starts",
        fails="A solver is ten times as quick.",
        small="λ",
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
        "images/gallery/exit-time-8d.png",
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
        fails="These costs split into integrals on a line, which the solver exploits.",
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
    Card(
        "Allen–Cahn with a random force",
        "ε² u″ + u − u³ = f, u(0) = −1, u(1) = 1; f ↦ u, ε = 0.03",
        "",
        row="Allen–Cahn with a random force, ε = 0.03",
        page="warm_starts",
        config="configs/allen_cahn_forced.py",
        fails="A front may stand at several places. The operator starts Newton's method well (192 "
        "of 200); by itself it misplaces some fronts.",
    ),
    Card(
        "Reaction–diffusion",
        "−ε² u″ + u = f, u = 0 at both ends; f, ε ↦ u, ε = 10⁻³",
        "",
        row="Reaction–diffusion, ε = 10⁻³",
        page="layers",
        config="configs/reaction_diffusion.py",
        fails="Its layers are built into the ansatz. It is linear: superposition is better.",
    ),
    Card(
        "Variable convection",
        "−ε u″ + b u′ = f, b > 0; b, f, ε ↦ u, ε = 10⁻³",
        "",
        row="Variable convection, ε = 10⁻³",
        page="layers",
        config="configs/variable_convection.py",
        fails="The wind b must not change its sign.",
    ),
    Card(
        "A random wind in the square and in the cube",
        "−ε Δu + b·∇u = 1, u = 0 on the walls; b of 16 numbers ↦ u, ε = 0.01",
        "",
        row="A random wind in the square, ε = 0.01",
        page="layers",
        config="configs/random_wind.py",
        fails="The error is in the layers. A reduced basis does better.",
    ),
    Card(
        "Helmholtz in 20 dimensions",
        "−ε² Δu − u/d = 0; one function",
        "results/table_4.png",
        page="table_4",
        config="configs/helmholtz_20d.py",
        reached="10⁻¹⁵ with sines in the network, 3·10⁻⁴ with tanh, at ε = 1/50",
        fails="A closed form is known; by gradient descent on the plain residual the error is 1.",
    ),
    Card(
        "High frequencies",
        "u = sin(πx/ε), learnt from its values; one function",
        "results/table_7.png",
        page="table_7",
        config="configs/high_frequency.py",
        reached="2·10⁻⁶ with sines in the network, 2·10⁻³ with tanh, at ε = 1/50",
        fails="A fit of a known function, and no differential equation: the paper's example.",
    ),
)


def percent(error: float) -> str:
    return f"{100 * error:.2g} %" if error >= 1e-5 else "< 0.001 %"


def tested(stages: list[StageInfo], small: str) -> dict[str, dict[str, float]]:
    """The errors by the place of a stage; of a range, at each ε that was tested."""
    found = {}
    for stage in stages:
        s = [f"s = {stage.s:g}"] if stage.s or not small else []
        for row in stage.metadata["test"].get("at", [stage.metadata["test"]]):
            eps = [f"{small} = {row.get('eps', stage.eps):g}"] if small else []
            found[", ".join(s + eps)] = row
    return {place: row for place, row in found.items() if row.get("l2re") is not None}


def errors(stages: list[StageInfo], small: str) -> str:
    """Mean L2RE by place, and of the worst function of all."""
    known = tested(stages, small)
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


def row(card: Card) -> dict[str, Any]:
    """What was measured for when_it_pays."""
    rows = json.loads((HERE / "results" / "when_it_pays.json").read_text(encoding="utf-8"))
    return rows[card.row]


def pays(card: Card) -> str:
    """N* against the best solver, by the training of the model that ships, if one does."""
    from when_it_pays import number, repaid

    found = row(card)
    if card.model:
        found["training"] = seconds(Store.find(card.model).stages())
    rivals = [r for r in found["rivals"] if r["error"] <= found["error"]]
    return number(max(repaid(found, rival) for rival in rivals))


def card(card: Card) -> str:
    rows = [["problem", card.equation]]
    if card.model:
        stages = Store.find(card.model).stages()
        rows += [
            ["load", f'`hop.load("{card.model}")`'],
            ["mean error", errors(stages, card.small)],
        ]
        rows += trained(card.model, stages)
    else:
        command = f"hop train --config={card.config} --workdir=W"
        rows += [["train", f"`{command}`"], ["error", card.reached or percent(row(card)["error"])]]
    if card.row:
        rows.append(["pays after", f"[{pays(card)}](results/when_it_pays.md)"])
    rows += [["limits", card.fails], ["read on", f"[{card.page}](results/{card.page}.md)"]]
    picture = f"![{card.title}]({card.picture})" if card.picture else ""
    return "\n\n".join(filter(None, [f"## {card.title}", picture, files.table(["", ""], rows)]))


def line(card: Card) -> list[str]:
    """A row of the README's table."""
    means = [row["l2re"] for row in tested(Store.find(card.model).stages(), "ε").values()]
    error = f"{percent(max(means))}{' and less' * (len(means) > 1)}"
    described = f"{card.title}: {card.equation.rsplit('; ')[-1]}"
    return [described, f"`{card.model}`", error, pays(card) if card.row else "not measured"]


def table() -> str:
    """What can be solved by the models that ship."""
    head = ["operator", "model", "mean error", "pays after"]
    return files.table(head, [line(card) for card in CARDS if card.model])


HEAD = """\
# Gallery

The problems that ship: pictures, what training reaches and costs, and what it does not.
Errors are relative L2 errors on functions that training never saw, at the ε in brackets; some
equations call it ν, λ or 1/Re. *Pays after* is the number of functions after which an operator,
its training counted, is quicker than the best classical solver that we could build. The number s
weighs an easy problem (s = 1) against the equation itself (s = 0; where no s is named, it is 0).
Problems without an input function have one solution, and one solve replaces their training: they
are there to study the method. Written by `python docs/gallery.py`."""


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
    exit_times()


def exit_times() -> None:
    """Along an axis of the cube, of some drifts."""
    op = hop.load("exit-time-8d")
    ((name, law),) = op.laws.items()
    drifts = np.asarray(law.values(law.sample(jax.random.key(3), 5)))
    along = np.linspace(0, 1, 401)
    x = np.full((len(along), op.ansatz.problem.domain.dim), 0.5)
    x[:, 0] = along
    with plt.rc_context(plotting.STYLE):
        figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
        axes.plot(along, np.asarray(op({name: drifts}, x)).T)
        axes.set(xlabel="x₁, all other coordinates ½", ylabel="mean exit time u")
        axes.set_title(f"Five random drifts, ε = {op.eps:g}")
        figure.savefig(PICTURES / "exit-time-8d.png")
        plt.close(figure)


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
