"""Notice that a job must end: SIGTERM, which clusters send ahead of a limit or a preemption.

The processes of a job tell each other after every window of steps, so all stop after the same one;
in the same exchange they agree on when to save.
"""

import contextlib
import os
import signal
import threading
from typing import Any, ClassVar

from hop.errors import PreemptedError


def end_at_once() -> None:
    """From here on SIGTERM ends this process with exit code 75 at once, where no Notice listens.

    It is for a command that has nothing to lose yet, or any more: while JAX is imported, joins the
    other processes of a job or draws a picture. A thread hears the signal, as the main one may be
    deep in code that is not Python's.
    """
    heard, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)

    def listen() -> None:
        told = None  # the Notice that has heard of the first one
        while number := os.read(heard, 1):
            if number[0] != signal.SIGTERM:
                continue
            if Notice.listening not in (None, told):
                told = Notice.listening
                told.hear()
                continue
            with contextlib.suppress(OSError):
                os.write(2, b"hop: ended by SIGTERM; run the same command to resume\n")
            os._exit(PreemptedError.code)

    threading.Thread(target=listen, daemon=True).start()


class Notice:
    """Listens for SIGTERM within its `with` block; a second one ends the process as ever.

    One that came too late to stop anything inside stops what would follow: the block then ends
    with PreemptedError.
    """

    listening: ClassVar["Notice | None"] = None

    def __init__(self) -> None:
        self._heard = False
        self._before: Any = None
        self._outer: Notice | None = None

    def __enter__(self) -> "Notice":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._signalled)
        self._outer, Notice.listening = Notice.listening, self
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        Notice.listening = self._outer
        self._restore()
        if self._heard and error is None:
            raise PreemptedError("after the last step")

    def hear(self) -> None:
        """What a SIGTERM comes to."""
        self._heard = True

    def _signalled(self, number: int, frame: Any) -> None:
        self.hear()
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
        import jax
        import numpy as np
        from jax.experimental import multihost_utils

        if jax.process_count() == 1:
            return self._heard, save
        asked = multihost_utils.process_allgather(np.array([self._heard, save]))
        return bool(asked[:, 0].any()), bool(asked[0, 1])
