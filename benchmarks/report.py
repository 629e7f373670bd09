"""Writes reports: here the table of an evaluated workdir into a Markdown file, between markers.

    hop evaluate --checkpoint=W --json | python benchmarks/report.py README.md NAME "COMMAND"

replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` by the table with its
command, machine and date.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from hop import files
from hop.tables.pages import provenance, table


def evaluation(report: dict[str, Any]) -> str:
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


def keep(folder: Path | None, name: str, text: str, found: dict[str, Any]) -> None:
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
    caption = f"{report['functions']:,} test functions; {provenance(args.command)}."
    insert(args.file, args.marker, f"{text}\n\n{caption}")


if __name__ == "__main__":
    main()
