"""The pages on when training pays and on a GPU: that their figures are those of their files."""

import importlib
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hop

RESULTS = Path(hop.__file__).parents[1] / "docs" / "results"
ROW = {"training": 300.0, "query": 1e-3}


@pytest.fixture(scope="module")
def pays():
    sys.path.insert(0, str(RESULTS.parents[1] / "benchmarks"))
    yield importlib.import_module("when_it_pays")
    sys.path.pop(0)


@pytest.mark.parametrize(
    ("seconds", "before", "star"),
    [(0.101, 0.0, 3000), (0.101, 100.0, 2000), (1e-3, 0.0, math.inf), (0.101, 400.0, 0)],
)
def test_training_is_repaid_by_what_each_function_saves(pays, seconds, before, star):
    assert pays.repaid(ROW, {"seconds": seconds, "before": before}) == pytest.approx(star)


def test_the_page_holds_what_was_measured(pays):
    found = json.loads((RESULTS / "when_it_pays.json").read_text())
    assert (RESULTS / "when_it_pays.md").read_text() == pays.page(found)
    good = [r for title in pays.ROWS for r in found[title]["rivals"]]
    assert all(math.isfinite(r["error"]) for r in good)


@pytest.fixture(scope="module")
def gpu(pays):
    return importlib.import_module("gpu")


def test_the_page_of_a_gpu_holds_what_was_measured(gpu):
    path = RESULTS / "gpu.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    assert (RESULTS / "gpu.md").read_text() == gpu.page(found)


@pytest.mark.slow
def test_every_part_is_measured_on_a_cpu_too(gpu, tmp_path):
    words = [sys.executable, gpu.__file__, "--quick", f"--output={tmp_path}"]
    env = os.environ | {"PYTHONPATH": str(gpu.ROOT)}
    subprocess.run(words, env=env, check=True, stdout=subprocess.DEVNULL)
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert (tmp_path / "gpu.md").read_text() == gpu.page(found)
    assert not [section["failed"] for section in found.values() if "failed" in section]
    race, precision, million, devices, accuracy = (found[title] for title in gpu.TITLES)
    assert len(race["5 × 50"]["hop"]["ms"]) == gpu.QUICK.rounds
    assert 0 < precision["steps"]["5 × 50"]["ms"]["float32"] < 1e3
    assert 0 < million["loop_seconds"] < million["seconds"]
    assert devices["float32"]["parameters"] <= gpu.AGREE["float32"]
    assert 0 < accuracy["float32"][0]["l2re"] < 1


def test_a_part_that_fails_or_takes_too_long_says_so(gpu, capsys):
    def fails(found, sizes):
        found["half"] = 1
        raise ValueError("no such device\nand more")

    def hangs(found, sizes):
        found["half"] = 1
        with gpu.attempt(found, "all"):
            time.sleep(60)

    def measured(measure, limit):
        return gpu.guarded(measure, limit, time.monotonic() + limit, gpu.QUICK)

    found = measured(fails, 10.0)
    assert found["half"] == 1
    assert found["failed"] == ["the whole part: ValueError: no such device"]
    found = measured(hangs, 0.2)
    assert (found["half"], found["failed"]) == (1, ["stopped after 0.2 s"])
    assert measured(hangs, -1.0)["failed"] == ["not begun: the time was up"]
