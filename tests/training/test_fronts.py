"""Runs through fronts that the residual does not place."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest
from helpers import continuation

import hop
from hop.training import fronts, train

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("place", ["computed", pytest.param("assumed", marks=pytest.mark.slow)])
def test_a_front_is_placed_by_the_gauge_or_carried_on(
    place, tiny_mlp, tmp_path, listener, monkeypatch
):
    def blind(op):
        found = hop.gauge(op)
        return dataclasses.replace(found, shift=np.array([math.inf])) if op.eps < 0.2 else found

    if place == "assumed":
        monkeypatch.setattr(fronts, "gauge", blind)
    config = continuation(
        tiny_mlp, path__eps=(0.3, 0.15), strategy__pin=1e-5, train__save_seconds=0.0
    )
    heard = listener()
    whole = train(config, tmp_path / "whole", heard)
    assert whole[1]["place"] == place
    assert [("does not tell" in text) for text in heard.messages] == [True] * (place == "assumed")
    # Unpinned, the front ends 9e-4 off; the network is too small for the residual to tell more.
    assert float(hop.gauge(hop.load(tmp_path / "whole")).shift[0]) < 5e-5
    assert whole[1]["l2re"] < 3e-4
    if place == "computed":
        return
    # Begun anew from its last rolling checkpoint, within the pinned last stage.
    shutil.rmtree(tmp_path / "whole/stages/1")
    again = train(config, tmp_path / "whole", listener())
    assert again[-1]["l2re"] == whole[-1]["l2re"]
    lines = [json.loads(line) for line in (tmp_path / "whole/metrics.jsonl").open()]
    assert "pin" in lines[-2]


@pytest.mark.parametrize(("shift", "offset"), [(0.05, 1e-3), (101.0, math.nan)])
def test_a_placed_stage_is_done_when_it_is_saved(
    shift, offset, tiny_mlp, tmp_path, listener, monkeypatch
):
    """Tries to place an interface that came to nothing are not gone on with.

    An estimate outside the domain, which σ near its floor gives, is no place to try at all.
    """

    def astray(op):
        found = hop.gauge(op)
        return dataclasses.replace(found, shift=np.array([shift]), offset=np.array([offset]))

    monkeypatch.setattr(fronts, "gauge", astray)
    config = continuation(
        tiny_mlp, path__eps=(0.3, 0.15), strategy__pin=1e-5, train__save_seconds=0.0
    )
    train(config, tmp_path / "w", listener())
    again = listener()
    train(config, tmp_path / "w", again)
    assert again.stages == []
