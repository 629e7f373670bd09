"""What each ingredient of the steady Burgers operator is worth."""

from typing import Any

from hop.files import table
from reproduce import Results, Table, declared, parts

PLACES = (0.5, 0.1, 0.05)
RUNS = declared("ablation")


def places(results: Results, _: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for group, runs in results.items():
        rows = []
        for name, run in runs.items():
            steps = sum(row["step"] for row in run["stages"])
            cells = [parts.cell([run], eps) for eps in PLACES]
            rows.append([name, *cells, f"{parts.seconds(run):.0f} s", f"{steps:,}"])
        head = ["", *(f"ε = {eps:g}" for eps in PLACES), "training", "steps"]
        found |= {group: table(head, rows), f"{group}_made": parts.made(runs)}
    return found


TABLE = Table(RUNS, places)
