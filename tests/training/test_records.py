"""What is known of a run: bookmarks, when a stage ends, and what is divergence."""

import dataclasses
import json
import math

from hop import config as config_lib
from hop.homotopy.path import Position
from hop.training import Bookmark
from hop.training.records import Criterion, Front, StageProgress


def test_divergence_is_a_loss_far_above_that_of_the_start():
    criterion = Criterion(100, 10, 5, 0.02)

    def first(*windows):
        progress = StageProgress(0, criterion.latest)
        for mean, start in windows:
            progress = progress.after(criterion, 10, mean, start)
        return progress.first

    assert first((5.0, 4.0), (1e-3, 1.0)) == 5.0
    assert first((1e20, 4.0)) == 4000.0  # it blew up within the first window
    assert first((5.0, 4.0), (1e9, 6.0)) == 5.0
    assert first((0.1, 1e-12)) == 0.1  # a start that happened to be a solution


def test_no_stall_is_looked_for_while_the_tangent_fades(tiny_mlp):
    def hold(**strategy):
        options = {f"strategy__{name}": value for name, value in strategy.items()}
        experiment = config_lib.build(tiny_mlp(train__steps=90, **options))
        return Criterion.of(experiment).hold

    assert hold(tangent=0.1, tangent_share=0.5) == 45
    assert hold(tangent=0.1, tangent_share=math.inf) == hold(tangent=0.0) == 0


def test_a_bookmark_is_read_as_it_was_written_and_as_older_versions_wrote_it():
    progress = StageProgress(20, 40, 0.1, 1, 0.3)
    front = Front(pinned=True, corrected=1e-3, velocity=-0.2, uncertain=1e-5)
    mark = Bookmark(2, Position(1.5, 0.5), progress, 120, 3.5, front, 0.4)
    written = json.loads(json.dumps(dataclasses.asdict(mark)))
    assert Bookmark.from_json(written) == mark
    flat = written | written.pop("front")  # the front's fields among the others
    assert Bookmark.from_json(flat) == mark
    early = {"stage": 1, "position": {"t": 0.0, "step": 1.0}, "progress": None}
    assert Bookmark.from_json(early) == Bookmark(1, Position(0.0, 1.0))
