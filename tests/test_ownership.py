"""In a bucket, where neither locks nor flushes reach: one job a workdir, and metrics are kept."""

import contextlib
import fcntl
import io
import json
import time

import numpy as np
import pytest

import hop
from hop import metrics, ownership, sharding
from hop.checkpoints import Workdir
from hop.ownership import Owner


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    for name, seconds in {"EVERY": 0.02, "SILENCE": 0.3, "LONGEST": 0.6}.items():
        monkeypatch.setattr(ownership, name, seconds)


def elsewhere(root, host="pod-b"):
    other = Owner(root)
    other.here = (host, "another boot")
    return other


def test_another_machine_is_kept_away_while_the_owner_lives(tmp_path, capfd):
    def waits(owner):
        owner.claim()
        return "last used on" in capfd.readouterr().err

    ours, theirs = Owner(tmp_path), elsewhere(tmp_path)
    assert not waits(theirs)
    with pytest.raises(hop.UserError, match="in use by another job, on pod-b; wait for it"):
        ours.claim()
    assert "was last used on pod-b; waiting" in capfd.readouterr().err
    ours.release()
    theirs.check()
    # It ends in order: the next has the workdir at once.
    theirs.release()
    assert not (tmp_path / "owner").exists()
    one = Owner(tmp_path)
    assert not waits(one)
    one.fall_silent()  # as SIGKILL or a lost node ends its job
    # On its own machine the lock tells that it was killed; elsewhere its silence does.
    two = Owner(tmp_path)
    assert not waits(two)
    two.fall_silent()
    three = elsewhere(tmp_path)
    assert waits(three)
    three.fall_silent()
    # A word cut short, as by a power cut, is waited for too, and no more.
    (tmp_path / "owner").write_text('{"host": "po')
    last = Owner(tmp_path)
    assert waits(last)
    last.release()


def test_of_two_that_start_together_one_stops_before_its_next_save(tmp_path, monkeypatch):
    """Neither sees the other in time, and the lock is not shared, as between two pods."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    with Workdir.open(tmp_path) as ours:
        theirs = elsewhere(tmp_path)
        theirs.say()
        deadline = time.monotonic() + 10
        with contextlib.suppress(hop.RunError):
            while time.monotonic() < deadline:
                ours.owner.check()
                time.sleep(0.01)
        for save in (ours.save_rolling, ours.save_stage):
            words = (1, {}, {}) if save == ours.save_rolling else (1, {}, {}, {})
            with pytest.raises(hop.RunError, match=r"another job, on pod-b, trains in .* too"):
                save(*words)
        theirs.keep()
        with pytest.raises(hop.UserError, match="in use by"), Workdir.open(tmp_path):
            pass
    theirs.check()
    theirs.release()


def test_a_save_puts_the_metrics_into_the_bucket(tmp_path, monkeypatch):
    """There a file arrives when it is closed, and not before."""

    class Uploaded(io.StringIO):
        def close(self):
            if not self.closed:
                with (tmp_path / "metrics.jsonl").open("a") as bucket:
                    bucket.write(self.getvalue())
            super().close()

    monkeypatch.setattr(metrics, "appending", lambda path: Uploaded())
    with Workdir.open(tmp_path) as folder, folder.metrics() as lines:
        lines.write({"kind": "window", "total_steps": 1})
        assert not (tmp_path / "metrics.jsonl").exists()
        folder.save_rolling(1, {"a": np.zeros(2)}, {})
        (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
        assert json.loads(line)["total_steps"] == 1
        lines.write({"kind": "window", "total_steps": 2})
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HOP_DISTRIBUTED", "true", "HOP_DISTRIBUTED='true' is not known; set 1"),
        ("HOP_PROCESSES", "2", "HOP_PROCESSES without HOP_COORDINATOR; set all three"),
    ],
)
def test_a_job_half_described_is_refused(name, value, message, monkeypatch):
    """Else each of its hosts would train alone, and all of them in one workdir."""
    monkeypatch.setenv(name, value)
    with pytest.raises(hop.UserError, match=message):
        sharding.start_processes()
