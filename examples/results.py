"""Writes docs/results/examples.md: what the problems of these examples reach, trained in full.

python examples/results.py      # trains what runs/examples lacks: 5 minutes on two cores
"""

import ast
import subprocess
import sys
from pathlib import Path

from hop import files
from hop.checkpoints import Store

HERE = Path(__file__).parent
NAMES = ("reaction_diffusion", "robin", "convection_diffusion", "darcy", "fitzhugh_nagumo")
HEAD = """\
# Problems of one's own

`python examples/results.py` trains what it does not find and writes this page. Each example is one
file of at most 60 lines: the equation, the laws of its inputs, a reference, a config. Errors are
relative L2 (L2RE) against that reference: means over 100 functions that training never saw, the
worst beside; of several unknowns the mean of theirs."""


def section(name: str) -> str:
    """An example's equation and the table of its stages."""
    title, *about, command = (ast.get_docstring(ast.parse(source(name))) or "").split("\n\n")
    stages = Store.find(HERE.parent / "runs" / "examples" / name).stages()
    rows = [
        [
            f"{info.eps:g}",
            f"{info.record['l2re']:.1e}",
            f"{info.record['l2re_worst']:.1e}",
            f"{info.record['step']:,}",
            f"{info.record['seconds']:.0f}",
        ]
        for info in stages
    ]
    made = stages[-1].made
    where = f"`{command.splitlines()[0].split('  ')[0]}`, {made['machine']}, {made['date']}"
    table = files.table(["ε", "L2RE", "worst", "steps", "seconds"], rows)
    return "\n\n".join([f"## {title.rstrip('.')}", *about, table, where])


def source(name: str) -> str:
    return (HERE / f"{name}.py").read_text(encoding="utf-8")


if __name__ == "__main__":
    for name in NAMES:
        workdir = HERE.parent / "runs" / "examples" / name
        subprocess.run([sys.executable, str(HERE / f"{name}.py"), str(workdir)], check=True)
    page = "\n\n".join([HEAD, *map(section, NAMES)]) + "\n"
    target = HERE.parent / "docs" / "results" / "examples.md"
    target.write_text(page, encoding="utf-8")
    print(target)
