"""Notice that a job must end: SIGTERM, which clusters send ahead of a limit or a preemption.

The processes of a job tell each other after every window of steps, so all stop after the same one.
"""

import signal
import threading
from types import TracebackType
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


class Notice:
    """Listens for SIGTERM within its `with` block; a second one ends the process as ever."""

    def __init__(self) -> None:
        self._heard = False
        self._before: Any = None

    def __enter__(self) -> "Notice":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _hear(self, number: int, frame: Any) -> None:
        self._heard = True
        self._restore()

    def _restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def due(self) -> bool:
        """Whether to stop here; every process asks after every window, and hears the same."""
        if jax.process_count() == 1:
            return self._heard
        return bool(multihost_utils.process_allgather(np.asarray(self._heard)).any())
