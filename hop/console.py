"""What people see on the terminal: progress while training, tables after."""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

_QUIET_SECONDS = 10  # between lines where there is no terminal to redraw


def _plain(soft_wrap: bool = True, file: Any = None) -> RichConsole:
    """A console to which paths and names are plain text, whatever brackets and colons they hold."""
    return RichConsole(
        file=file or sys.stdout, markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap
    )


class Console:
    """Draws a run: a live line on a terminal, a plain line now and then elsewhere.

    It is the `Reporter` of `hop.training`. With `speaks` false it says nothing; `file` is where it
    speaks, by default standard output.
    """

    def __init__(self, speaks: bool = True, file: Any = None):
        self._speaks, self._lost = speaks, False
        self._console = _plain(soft_wrap=False, file=file)  # which keeps the live line to one
        self._live = self._console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            disable=not (speaks and self._live),
            transient=True,
        )
        self._task: Any = None
        self._error = ""

    def __enter__(self) -> "Console":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def message(self, text: str) -> None:
        if self._speaks:
            self._console.print(text, soft_wrap=True)

    def building(self, name: str) -> Callable[[int, int], None]:
        """A callback (done, total) that draws the building of a dataset."""
        task = self._progress.add_task(f"building {name}", total=None, note="")

        def advance(done: int, total: int) -> None:
            self._progress.update(task, completed=done, total=total)
            if done == total:
                self._progress.remove_task(task)

        return advance

    def counting(self, what: str, lines: bool = False) -> Callable[[int, int], None]:
        """A callback (done, total) that says how many are done, at what rate, and how long yet.

        With `lines`, it does so where there is no terminal too, in a line now and then.
        """
        began = said = time.monotonic()
        base: int | None = None  # the rate counts from the first call, which compiles
        task = self._progress.add_task(what, total=None, note="")

        def advance(done: int, total: int) -> None:
            nonlocal began, said, base
            now = time.monotonic()
            if base is None:
                began, base = now, done
            rate = (done - base) / (now - began) if done > base else math.nan
            note = "" if math.isnan(rate) else _rate(rate)
            if done < total and not math.isnan(rate):
                note += f", {_duration((total - done) / rate)} left"
            self._progress.update(task, completed=done, total=total, note=note)
            if lines and self._speaks and not self._live and now - said > _QUIET_SECONDS:
                said = now
                self.message(f"{what} {done:,} of {total:,}  {note}")
            if done >= total:
                self._progress.remove_task(task)

        return advance

    def start(self, experiment: Any, layout: Any, stage: int, done: bool) -> None:
        import jax

        names = [type(part).__name__ for part in (experiment.problem, experiment.ansatz.network)]
        axes = {k: size for k, size in layout.mesh.shape.items() if k != "model" or size > 1}
        shape = " x ".join(f"{count} {axis}" for axis, count in axes.items())
        self._stages = len(experiment.path.places)
        self._limit, self._up_to = experiment.config.train.steps, experiment.ansatz.eps[1:]
        self.message(
            f"{names[0]}, {names[1]} with {experiment.ansatz.size:,} parameters, "
            f"{self._stages} place{'s' * (self._stages > 1)} on the path, mesh {shape} "
            f"({jax.default_backend()})"
        )
        if done:
            self.message("every stage is done; nothing to train")

    def stage(self, index: int, lam: Any) -> None:
        up_to = "".join(f" to {eps:g} " for eps in self._up_to)  # where ε is an input
        self._where = f"stage {index}  s={lam.s:<5.3g} eps={lam.eps:<6.3g}{up_to}"
        self._said = time.monotonic()
        self._first: tuple[float, int] | None = None
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(self._where, total=self._limit, note="compiling")

    def window(self, record: Mapping[str, Any], remaining: int) -> None:
        now, step = time.monotonic(), record["step"]
        if self._first is None:  # the rate counts from here: the first window compiles
            self._first = (now, step)
        since, base = self._first
        pace = (now - since) / (step - base) if step > base else math.nan
        later = max(0, self._stages - 1 - record["stage"]) * self._limit
        left = "" if math.isnan(pace) else f"  at most {_duration(pace * (remaining + later))} left"
        note = f"loss {record['total']:.1e}{self._error}{left}"
        if remaining == 0:
            note = f"loss {record['total']:.1e}  measuring the error"
        self._progress.update(self._task, completed=step, total=step + remaining, note=note)
        if remaining == 0:  # before a program is compiled, which lets nothing be drawn
            self._progress.refresh()
        if self._speaks and not self._live and now - self._said > _QUIET_SECONDS:
            self._said = now
            self.message(f"{self._where} step {step}  {note}")

    def stage_end(self, record: Mapping[str, Any]) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        error = "L2RE unknown"
        if record["l2re"] is not None:
            at = f" at eps={record['l2re_at']:g}" if "l2re_at" in record else ""
            whose = "worst function" if at else "worst"
            error = f"L2RE {record['l2re']:.1e}{at} ({whose} {record['l2re_worst']:.1e})"
            self._error = f"  L2RE was {record['l2re']:.1e}"
        self.message(
            f"{self._where} loss {record['loss']:.1e}  {error}  "
            f"{record['step']} steps in {_duration(record['seconds'])}"
        )
        if (record["l2re"] or 0) > _LOST and not self._lost:
            self._lost = True
            self.message(
                "         that is no solution: take more places on the way, config.path.eps, or "
                "more steps, config.train.steps, or build what is sharp into the problem's lift"
            )


_LOST = 0.5  # an L2RE from which on an answer is none


def table(report: Mapping[str, Any]) -> None:
    """The table of `hop evaluate`."""
    stages, functions, title = report["stages"], report["functions"], report["problem"]
    title += f": relative L2 error on {functions} test functions" if functions else ""
    gauged, placed = (any(row.get(key) for row in stages) for key in ("gauge", "place"))
    scores = {"l2re": "mean", "l2re_median": "median", "l2re_worst": "worst"}
    scores = {"loss": "loss", **(scores if functions else {"l2re": "L2RE"})}
    names = ["stage", "s", "eps", *scores.values()]
    names += ["slow σ", "place ±"] * gauged + ["place is"] * placed
    rows = []
    for row in stages:
        cells = [str(row["stage"]), f"{row['s']:g}", f"{row['eps']:g}"]
        cells += [_error(row[key]) for key in scores]
        cells += _gauge(row["gauge"]) if gauged else ()
        rows.append([*cells, *[row.get("place") or "-"] * placed])
    console = _plain(soft_wrap=False)
    console.print(title)
    _print_table(console, names, rows)
    if gauged:
        console.print(
            "slow σ: the least residual that an error of size 1 leaves, so an error can be as "
            "large as the residual / σ."
        )
        console.print(
            "place ±: how far an interface or shock can be from its place with this residual; "
            "open: the residual does not tell."
        )
    if placed:
        console.print("assumed: the path carried the place on, its slow mode pinned.")


def _gauge(gauge: Mapping[str, Any] | None) -> tuple[str, str]:
    """σ and the shift, "open" where the residual does not place the solution."""
    if gauge is None:
        return "-", "-"
    sigma = "-"
    if gauge["sigma"] is not None:
        sigma = f"{gauge['sigma']:.1e}" if gauge["resolved"] else f"<{gauge['sigma']:.0e}"
    return sigma, "open" if gauge["shift"] is None else f"{gauge['shift']:.1e}"


def describe(info: Mapping[str, Any]) -> None:
    """The text of `hop info`."""
    console = _plain()
    heads = ("source", "problem", "network", "strategy", "samples", "labels", "parameters")
    for name in (*heads, "made with"):
        if info[name]:
            console.print(f"{name:<11} {_printable(info[name])}")
    rows = []
    for row in info["stages"]:
        eps = " – ".join(f"{e:g}" for e in row["span"] or [row["eps"]])
        cells = [str(row["stage"]), f"{row['s']:g}", eps, f"{row['step']:,}"]
        at = f" at {row['l2re_at']:g}" if row.get("l2re_at") and row.get("l2re") else ""
        rows.append([*cells, f"{row['loss']:.2e}", _error(row.get("l2re")) + at])
    _print_table(console, ["stage", "s", "eps", "steps", "loss", "L2RE"], rows)


def _print_table(console: RichConsole, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns where they fit the terminal whole; else a few lines for each row."""
    out = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in names:
        out.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        out.add_row(*row)
    unbounded = console.options.update(max_width=1000)
    if console.measure(out, options=unbounded).maximum <= console.width:
        console.print(out)
        return
    for row in rows:
        console.print()
        for name, cell in zip(names, row, strict=True):
            console.print(f"{name:<9}{cell}")


def _error(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}"


def _printable(text: str) -> str:
    """Without what steers a terminal: the text may come from a stranger's checkpoint."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _rate(rate: float) -> str:
    return f"{rate:,.0f} a second" if rate >= 1 else f"{_duration(1 / rate)} each"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
