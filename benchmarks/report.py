"""Writes reports: here the table of an evaluated workdir into a Markdown file, between markers.

    hop evaluate --checkpoint=W --json | python benchmarks/report.py README.md NAME "COMMAND"

replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` by the table with its
command, machine and date.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hop import files
from hop.files import table
from hop.provenance import credit, made

# Processes find hop's bytecode, as they do where it is installed and not a checkout.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

Figures = dict[str, Any]


def evaluation(report: Figures) -> str:
    """The table of `hop evaluate --json`."""
    keys = ("loss", "l2re", "l2re_median", "l2re_worst")
    rows = [
        [f"{row['s']:g}", f"{row['eps']:g}"]
        + ["–" if row[key] is None else f"{row[key]:.1e}" for key in keys]
        for row in report["stages"]
    ]
    return table(["s", "ε", "loss", "mean L2RE", "median", "worst"], rows)


def insert(path: Path, marker: str, text: str) -> None:
    """Replaces what stands between the markers in a file."""
    begin, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    whole = path.read_text()
    if begin not in whole or end not in whole:
        raise SystemExit(f"{path} has no markers {begin} and {end}")
    head, _, rest = whole.partition(begin)
    path.write_text(f"{head}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def sections(
    folder: Path | None,
    name: str,
    measures: dict[str, Callable[[], Figures]],
    only: str,
    command: str,
    then: Callable[[Figures], None] = lambda found: None,
) -> dict[str, Figures]:
    """Title → a section's figures, with command, machine and date, and load and cores before it.

    Args:
      folder: where NAME.json has those measured before.
      measures: title → what measures it.
      only: numbers of the sections to measure, from 1, as "3,7"; "" for all. Others are as they
        were, or measured where they are missing.
      then: hears of all that is known after each of them.
    """
    numbers = [str(k) for k in range(1, len(measures) + 1)]
    asked = only.split(",") if only else numbers
    if not set(asked) <= set(numbers):
        raise SystemExit(f"--only={only}: the sections are {', '.join(numbers)}")
    path = folder / f"{name}.json" if folder else None
    before = json.loads(path.read_text()) if path and path.exists() else {}
    found = {}
    for number, (title, measure) in zip(numbers, measures.items(), strict=True):
        if number in asked or title not in before:
            print(f"{number}. {title}", flush=True)
            state = {"cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
            found[title] = before[title] = measure() | state | made(command)
            if path:  # so that one that is stopped can go on with --only
                files.write(path, json.dumps(before, indent=1) + "\n")
            then(before)
        else:
            found[title] = before[title]
    return found


def caption(found: Figures) -> str:
    """Command, machine and date of a section."""
    return f"{credit(found['command'], found)}; load {found['load']:.1f} before it."


def keep(folder: Path | None, name: str, text: str, found: Figures) -> None:
    """Prints a benchmark's page; with a folder, writes it as NAME.md, its figures as NAME.json."""
    print(text)
    if folder:
        files.write(folder / f"{name}.md", text)
        files.write(folder / f"{name}.json", json.dumps(found, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("marker")
    parser.add_argument("command", help="the command that made the workdir")
    args = parser.parse_args()
    report = json.load(sys.stdin)
    text = evaluation(report)
    by = f"{report['functions']:,} test functions; {credit(args.command)}."
    insert(args.file, args.marker, f"{text}\n\n{by}")


if __name__ == "__main__":
    main()
