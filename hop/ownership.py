"""Which job has a workdir, where a lock does not reach: machines that share a bucket or a disk.

`flock` holds between the processes of one machine, and through most network file systems; on
Cloud Storage FUSE it holds within one mount. So a job that trains in a workdir says so in W/owner,
and says it again every few seconds. One that finds another's word there watches the file: where
nothing is said for a minute, that job is gone, however it ended, and the workdir is free. No clocks
of two machines are compared.
"""

import contextlib
import datetime
import json
import socket
import sys
import threading
import time
import uuid
from pathlib import Path

from hop import files
from hop.errors import RunError, UserError

EVERY = 10.0  # seconds between words of an owner
SILENCE = 60.0  # seconds without one, after which it is gone
LONGEST = 180.0  # seconds to wait for that: a job that lost a peer ends within 100 (JAX)


class Owner:
    """This job's hold on a workdir, from `claim` to `release`."""

    def __init__(self, root: Path):
        self._root, self._path = root, root / "owner"
        self.here = (socket.gethostname(), _boot())
        self._id, self._lost = uuid.uuid4().hex, ""
        self._over = threading.Event()
        self._voice = threading.Thread(target=self._go_on, name="hop-owner", daemon=True)

    def claim(self) -> None:
        """Takes the workdir, at once or when its owner has been silent for long enough.

        Whoever calls this has the workdir's lock: an owner on this machine is then gone.

        Raises:
          UserError: the owner lives.
        """
        said = self._read()
        if said is not None and _machine(said) != self.here:
            self._watch(said)
        self.keep()

    def keep(self) -> None:
        """Says that the workdir is this job's, now and every few seconds."""
        self.say()
        self._voice.start()

    def check(self) -> None:
        """Returns where the workdir is still this job's.

        Raises:
          RunError: another job took it.
        """
        if self._lost:
            raise RunError(
                f"another job, on {self._lost}, trains in workdir {self._root} too; nothing more "
                "was written from here. End one of them, then run the same command"
            )

    def release(self) -> None:
        """Leaves the workdir to whoever comes next."""
        self.fall_silent()
        with contextlib.suppress(OSError):  # the next has to wait a minute then
            if self._id in (self._read() or ""):
                self._path.unlink(missing_ok=True)

    def fall_silent(self) -> None:
        """Says no more. The last word stays, as that of a job that was killed."""
        self._over.set()
        if self._voice.ident is not None:
            self._voice.join()

    def _watch(self, first: str) -> None:
        said: str | None = first
        host, began = _machine(first)[0], time.monotonic()
        heard = began
        print(
            f"hop: workdir {self._root} was last used on {host}; waiting until nothing was heard "
            f"from there for {SILENCE:g} s",
            file=sys.stderr,
        )
        while said is not None and (now := time.monotonic()) - heard < SILENCE:
            if now - began > LONGEST:
                raise UserError(
                    f"workdir {self._root} is in use by another job, on {host}; wait for it, or "
                    "choose another --workdir"
                )
            time.sleep(EVERY / 2)
            if (new := self._read()) != said:
                said, heard = new, time.monotonic()

    def _go_on(self) -> None:
        while not self._over.wait(EVERY):
            try:
                said = self._read()
                if said is not None and self._id not in said:
                    self._lost = _machine(said)[0]
                    return
                self.say()
            except OSError:
                pass  # a bucket out of reach for a moment: the next word will do

    def say(self) -> None:
        """Says once that the workdir is this job's."""
        now = datetime.datetime.now(datetime.UTC).isoformat()
        words = {"host": self.here[0], "boot": self.here[1], "id": self._id, "seen": now}
        files.write(self._path, json.dumps(words) + "\n")

    def _read(self) -> str | None:
        """What the file says, be it in part; None without one, as after an end in order."""
        try:
            return self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None


def _machine(said: str) -> tuple[str, str]:
    """The host of an owner and its start of the kernel, which its containers share."""
    try:
        words = json.loads(said)
        return str(words["host"]), str(words["boot"])
    except (ValueError, KeyError, TypeError):  # cut short: by a power cut, or while it is written
        return "another machine", ""


def _boot() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""
