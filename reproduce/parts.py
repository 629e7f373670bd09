"""The parts that pages are made of."""

import math
from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any

import numpy as np

from hop.files import table
from reproduce import Results, published

Rows = list[dict[str, Any]]


def fill(template: str, places: Mapping[str, str]) -> str:
    """A page with its {places} filled.

    A paragraph with an empty place is left out, and so is the section below such a heading.
    """
    kept, gone = [], False
    for paragraph in template.strip().split("\n\n"):
        empty = any(name and not places[name] for _, name, *_ in Formatter().parse(paragraph))
        gone = empty if paragraph.startswith("#") else gone
        if not (empty or gone):
            kept.append(paragraph.format(**places))
    return "\n\n".join(kept)


def spread(values: Sequence[float]) -> str:
    """Median (worst); one value alone."""
    if len(values) < 2:
        return "".join(f"{value:.1e}" for value in values) or "–"
    return f"{np.median(values):.1e} ({max(values):.1e})"


def place(eps: float) -> str:
    return f"ε = {eps:g}" if eps > 0.07 or round(1 / eps) % 5 else f"ε = 1/{1 / eps:g}"


def method(name: str) -> str:
    """What runs of several seeds, or of several ε, have in common in their names."""
    return name.split(", seed")[0].split(", ε =")[0]


def by_method(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """method → its runs, in order."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for name, run in runs.items():
        found.setdefault(method(name), []).append(run)
    return found


def at(run: Mapping[str, Any], eps: float, s: float = 0.0) -> dict[str, Any] | None:
    """A run's last stage at a place, if it came there."""
    found = [r for r in run["stages"] if r["s"] == s and math.isclose(r["eps"], eps, rel_tol=1e-6)]
    return found[-1] if found else None


def cell(runs: Sequence[Mapping[str, Any]], eps: float, s: float = 0.0, key: str = "l2re") -> str:
    """Median and worst of a figure over runs at a place; "failed" where one failed before it."""
    found = [row for run in runs if (row := at(run, eps, s)) is not None]
    if any(
        s == lost[0] and math.isclose(eps, lost[1], rel_tol=1e-6)
        for run in runs
        for lost in run.get("missing", ())
    ):
        rest = f", else {spread([row[key] for row in found])}" if found else ""
        return f"failed{rest}"
    return spread([row[key] for row in found if row[key] is not None])


def worst_stages(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """The largest L2RE of every method that has more than one stage, and its ε: a sentence."""
    found = []
    for name, mine in by_method(runs).items():
        rows = [row for run in mine for row in run["stages"] if row["l2re"] is not None]
        if any(len(run["stages"]) > 1 for run in mine) and rows:
            worst = max(rows, key=lambda row: row["l2re"])
            found.append(f"{name}: {worst['l2re']:.1e} at ε = {worst['eps']:.3g}")
    text = f"The worst L2RE of all stages and seeds, shown or not: {'; '.join(found)}."
    return text if found else ""


def loss_and_error(runs: Sequence[Mapping[str, Any]], eps: float, worst_of: str = "l2re") -> str:
    """The losses and L2REs of runs at a place; of `worst_of` the worst too, in brackets."""
    cells = {key: cell(runs, eps, key=key) for key in ("loss", "l2re")}
    if cells[worst_of].startswith(("failed", "–")):
        return cells[worst_of]
    return ", ".join(c if key == worst_of else c.split(" ")[0] for key, c in cells.items())


def seconds(run: Mapping[str, Any]) -> float:
    return sum(row["seconds"] for row in run["stages"])


def duration(seconds: float) -> str:
    """Two digits, in ms below a second."""
    unit, value = ("s", seconds) if seconds >= 0.995 else ("ms", 1e3 * seconds)
    return f"{float(f'{value:.2g}'):g} {unit}"


def training(runs: Sequence[Mapping[str, Any]]) -> str:
    """The median of the seconds that whole paths took."""
    return f"{np.median([seconds(run) for run in runs]):.0f} s"


def made(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """The provenance of a group: each line once, failures, and the commands out of the way."""
    where: dict[str, list[str]] = {}
    for name, run in runs.items():
        where.setdefault(run["made"], []).append(name)
    lines = list(where)
    if len(lines) > 1:
        lines = [f"{'; '.join(_short(names, runs))}: {line}" for line, names in where.items()]
    failed = [f"* {name} failed: {run['failed']}" for name, run in runs.items() if "failed" in run]
    commands = [f"* {name}: `{run['command']}`" for name, run in runs.items()]
    if not commands:
        return ""
    folded = ["<details><summary>Commands</summary>\n", *commands, "\n</details>"]
    return "\n\n".join(filter(None, [*lines, "\n".join(failed), "\n".join(folded)]))


def _short(names: Sequence[str], runs: Mapping[str, Any]) -> list[str]:
    """Names of runs; a method alone where all of its runs are among them."""
    split = {method(name) for name in runs if name not in names}
    return list(dict.fromkeys(n if (m := method(n)) in split else m for n in names))


def by_paper(
    published: Mapping[str, Mapping[float, str]],
    places: Sequence[float],
    runs: Mapping[str, Mapping[str, Any]],
    show: Callable[[Sequence[Mapping[str, Any]], float], str] = cell,
) -> str:
    """A table of methods × ε: the published rows, row → ε → figure, then ours by name.

    `show` makes a cell of the runs of a method and an ε.
    """
    rows = [
        [name, *(figures.get(eps, "–") for eps in places), ""]
        for name, figures in published.items()
    ]
    rows += [
        [f"hop: {name}", *(show(mine, eps) for eps in places), training(mine)]
        for name, mine in by_method(runs).items()
    ]
    return table(["", *map(place, places), "training"], rows)


def beside_the_paper(
    page: str,
    places: Sequence[float],
    show: Callable[[Sequence[Mapping[str, Any]], float], str] = cell,
) -> Callable[[Results, Any], dict[str, str]]:
    """What fills the page of a table of the paper's: `by_paper`, worst stages and provenance."""

    def fills(results: Results, _: Any) -> dict[str, str]:
        mine = results["runs"]
        errors = by_paper(published(page), places, mine, show)
        return {"errors": errors, "worst": worst_stages(mine), "made": made(mine)}

    return fills
