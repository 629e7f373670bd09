"""Notice that a job must end: SIGTERM, which clusters send ahead of a limit or a preemption.

The processes of a job tell each other after every window of steps, so all stop after the same one;
in the same exchange they agree on when to save.
"""

import signal
import threading
from types import TracebackType
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from hop.errors import PreemptedError


class Notice:
    """Listens for SIGTERM within its `with` block; a second one ends the process as ever.

    One that came too late to stop anything inside stops what would follow: the block then ends
    with PreemptedError.
    """

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
        if self._heard and error is None:
            raise PreemptedError("after the last step")

    def _hear(self, number: int, frame: Any) -> None:
        self._heard = True
        self._restore()

    def _restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def agree(self, save: bool) -> tuple[bool, bool]:
        """Whether to stop here, and whether to save; every process asks after every window.

        All get the same answers: SIGTERM to any of them is heard by all, and of their wishes to
        save that of the first counts.
        """
        if jax.process_count() == 1:
            return self._heard, save
        asked = multihost_utils.process_allgather(np.array([self._heard, save]))
        return bool(asked[:, 0].any()), bool(asked[0, 1])
