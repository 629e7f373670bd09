"""The page on when training pays: its arithmetic, and that its figures are those of its file."""

import importlib
import json
import math
import sys
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
