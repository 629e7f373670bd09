"""Pictures show what they say."""

import json

import numpy as np
from matplotlib.figure import Figure

from hop import plotting


def test_a_picture_of_losses_is_that_of_the_residual_stage_by_stage(tmp_path):
    windows = [(0, 10, 1e-1), (0, 20, 1e-2), (1, 30, 1e-1), (1, 40, 1e-3)]
    records = [
        {"kind": "window", "stage": k, "total_steps": n, "residual": h, "total": 9 * h}
        for k, n, h in windows
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    axes = Figure().subplots()
    plotting.losses(axes, path, np.zeros((2, 4)))
    drawn = [line.get_xydata().tolist() for line in axes.get_lines()]
    assert drawn == [[[n, h] for k, n, h in windows if k == stage] for stage in (0, 1)]
    assert axes.get_yscale() == "log"
