"""Metrics of a run: one JSON object a line, and the same scalars for TensorBoard and a tracker."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from hop.tracking import Tracked


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics file; a line that a crash cut short or garbled is left out."""
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and isinstance(record.get("total_steps"), int):
            records.append(record)
    return records


def appending(path: Path) -> TextIO:
    """A metrics file, open for more lines."""

    def here(name: str, flags: int) -> int:  # not where a stranger's link leads
        return os.open(name, flags | os.O_NOFOLLOW, 0o644)

    return open(path, "a", encoding="utf-8", opener=here)


class Metrics:
    """Writes W/metrics.jsonl and W/tensorboard/; a context manager. Does nothing if not `write`.

    `track` names a tracker that hears the same (`hop.tracking`), and is shown `config`.
    """

    def __init__(
        self,
        root: Path,
        write: bool = True,
        track: str = "",
        config: Mapping[str, Any] | None = None,
    ):
        self._root, self._write = root, write
        self._track, self._config = track, config or {}
        self._tracked: Tracked | None = None

    def __enter__(self) -> "Metrics":
        if self._write:
            from tensorboardX import SummaryWriter

            self._lines = appending(self._root / "metrics.jsonl")
            self._board = SummaryWriter(str(self._root / "tensorboard"))
            if self._track:
                self._tracked = Tracked(self._track, self._root, self._config)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._write:
            self._lines.close()
            self._board.close()
            if self._tracked is not None:
                self._tracked.close()

    def settle(self) -> None:
        """Closes the lines and opens them again: only so does gcsfuse put them in a bucket.

        A flush or even fsync does not. TensorBoard's file is closed at the end alone: none can be
        appended to.
        """
        if self._write and not self._lines.closed:
            self._lines.close()
            self._lines = appending(self._root / "metrics.jsonl")

    def write(self, record: dict[str, Any]) -> None:
        """One record; its numbers are plotted against `total_steps`."""
        if not self._write:
            return
        self._lines.write(json.dumps(record) + "\n")
        self._lines.flush()
        step = record["total_steps"]
        scalars = {f"{record['kind']}/{k}": v for k, v in record.items() if isinstance(v, float)}
        for name, value in scalars.items():
            self._board.add_scalar(name, value, step)
        if self._tracked is not None:
            self._tracked.log(scalars, step)
