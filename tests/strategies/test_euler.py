"""Euler steps alone."""

import dataclasses

import numpy as np
import pytest
from helpers import continuation

import hop
from hop.training import train

pytestmark = pytest.mark.usefixtures("float64")


def test_euler_steps_follow_a_solved_stage_without_a_solver(tiny_mlp, tmp_path, listener):
    eps = tuple(float(e) for e in np.linspace(0.5, 0.4, 9))
    config = continuation(tiny_mlp, path__eps=eps, train__steps=40)
    config = dataclasses.replace(config, strategy={"name": "euler"})
    records = train(config, tmp_path / "w", listener())
    assert [r["step"] for r in records[1:]] == [0] * 8
    moved = hop.load(tmp_path / "w", stage=-1)
    assert records[-1]["l2re"] < 5e-3
    # Without the steps, the first stage's network is far from the last stage's solution.
    stayed = dataclasses.replace(hop.load(tmp_path / "w", stage=0), lam=moved.lam)
    reference = moved.ansatz.problem.reference({}, moved.grid, moved.lam)[0]
    gaps = [np.linalg.norm(op(moved.grid) - reference) for op in (moved, stayed)]
    assert gaps[1] > 5 * gaps[0]
