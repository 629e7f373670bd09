"""Files are written whole, by one owner, and paths are what the user typed."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from hop import files, metrics
from hop.errors import UserError


def test_writers_of_one_file_do_not_meet(tmp_path):
    """Neither those of the same content nor those of another: one of them is there, whole."""
    path = tmp_path / "u[1].json"
    texts = [letter * 100_000 for letter in "aabb"]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            list(pool.map(lambda text: files.write(path, text), texts))
            assert path.read_text() in texts
    assert [p.name for p in tmp_path.iterdir()] == ["u[1].json"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    files.write(tmp_path / "f", "old")
    monkeypatch.setattr(files, "settle", lambda path: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        files.write(tmp_path / "f", "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("f", "old")]


def test_one_owner_at_a_time_and_nothing_is_left(tmp_path):
    lock = tmp_path / "lock"
    with (
        files.owned(lock, "taken"),
        pytest.raises(UserError, match="taken"),
        files.owned(lock, "taken"),
    ):
        raise AssertionError
    assert not lock.exists()
    held = []

    def hold(k):
        with files.owned(lock):  # waits, and makes the file anew that its owner removed
            held.append(k)
            assert held[-1] == k
            held.append(k)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, range(64)))
    assert held[::2] == held[1::2]


def test_paths_are_what_was_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert str(files.path("~/w")) == "/home/me/w"
    assert files.path("a~b[1]*.npy") == tmp_path / "a~b[1]*.npy"
    assert files.path("./~no.such.user") == tmp_path / "~no.such.user"
    with pytest.raises(UserError, match=r"~no.such.user/w: there is no such home folder"):
        files.path("~no.such.user/w")


def test_metrics_are_read_but_for_what_is_broken(tmp_path):
    path = tmp_path / "metrics.jsonl"
    good = [{"total_steps": 1, "total": 0.5}, {"total_steps": 2, "total": float("nan")}]
    lines = [json.dumps(record).encode() for record in good]
    broken = [b"", b"3", b"[1]", b'{"total": 1}', b"\xff\xfe", b'{"total_steps": 3, "to']
    path.write_bytes(b"\n".join([lines[0], *broken[:5], lines[1], broken[5]]))
    assert [record["total_steps"] for record in metrics.read(path)] == [1, 2]
