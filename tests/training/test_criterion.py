"""When a stage ends."""

import dataclasses

from hop.training.records import Criterion, StageProgress

CRITERION = Criterion(limit=1000, tail=300, patience=3, min_fall=0.02)


def walk(losses):
    """The progress through windows of 50 steps with the given losses, until it finishes."""
    progress = StageProgress(0, CRITERION.latest)
    for loss in losses:
        progress = progress.after(CRITERION, min(50, progress.remaining(CRITERION)), loss)
        if progress.finished(CRITERION):
            break
    return progress


def test_a_falling_loss_runs_to_the_limit():
    progress = walk(0.9**k for k in range(100))
    assert progress.step == 1000
    assert progress.tail_from == 700


def test_a_stalled_loss_is_brought_to_its_end_at_once():
    progress = walk([1.0] * 100)
    # The first window sets the level, three more make it stale.
    assert progress.tail_from == 200
    assert progress.step == 200 + CRITERION.tail


def test_a_loss_that_is_low_enough_ends_a_stage():
    asked = dataclasses.replace(CRITERION, goal=1e-3)
    progress = StageProgress(0, asked.latest).after(asked, 50, 2e-3)
    assert progress.tail_from == 700
    assert progress.after(asked, 50, 1e-3).tail_from == 100


def test_no_stall_is_looked_for_while_the_loss_itself_changes():
    held = dataclasses.replace(CRITERION, hold=400)
    progress, seen = StageProgress(0, held.latest), []
    while not progress.finished(held):
        progress = progress.after(held, 50, 1.0)
        seen.append(progress.tail_from)
    assert seen[7:9] == [700, 450]


def test_a_solver_without_a_tail_ends_with_the_stall_or_at_the_limit():
    bare = dataclasses.replace(CRITERION, tail=0)
    progress = StageProgress(0, bare.latest)
    assert progress.remaining(bare) == 1000
    for _ in range(4):
        assert not progress.finished(bare)
        progress = progress.after(bare, 50, 1.0)
    assert progress.finished(bare)


def test_a_limit_shorter_than_its_tail_still_ends():
    short = dataclasses.replace(CRITERION, limit=1, tail=1)
    assert StageProgress(0, short.latest).after(short, 1, 1.0).finished(short)
