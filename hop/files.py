"""Files that survive a crash and have one owner; paths as users type them; tables in Markdown."""

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hop.errors import UserError


def path(name: str | os.PathLike) -> Path:
    """The absolute path that a user's words name: a leading ~ is the home folder, no more.

    Raises:
      UserError: there is no such home folder.
    """
    text = os.fsdecode(name)
    home = os.path.expanduser(text)
    if text.startswith("~") and home == text:
        raise UserError(f"{text}: there is no such home folder; give the whole path, or ./{text}")
    return Path(home).absolute()


def write(path: Path, content: str | bytes) -> None:
    """Replaces a file by new content at once: a reader sees the old file or the new one.

    It is on disk when this returns. Each writer has a partial file of its own.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        settle(partial)
        move(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def move(source: Path, target: Path) -> None:
    """Renames a file or folder, replacing a file that is there, and has the disk note it."""
    source.replace(target)
    _sync(target.parent)


def settle(path: Path) -> None:
    """Returns once a file, or a folder and all below it, is on disk."""
    for part in [*path.rglob("*"), path] if path.is_dir() else [path]:
        _sync(part)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def owned(lock: Path, busy: str = "") -> Iterator[None]:
    """Keeps other jobs of this machine away from what a lock file stands for, within the block.

    `busy` is what to say if another job holds it; empty to wait for that job.

    Raises:
      UserError: another job holds it.
    """
    handle = _locked(lock, busy)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # while it is held: who waited for it then makes a new one
        os.close(handle)


def _locked(lock: Path, busy: str) -> int:
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
            if os.path.samestat(os.fstat(handle), os.stat(lock)):
                return handle
            os.close(handle)  # its owner removed it while this waited
        except BlockingIOError as error:
            os.close(handle)
            raise UserError(busy) from error
        except FileNotFoundError:
            os.close(handle)
        except OSError:  # a file system without locks
            os.close(handle)
            raise


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def between(text: str, name: str, content: str) -> str:
    """A page with other content between <!-- name --> and <!-- /name -->.

    Raises:
      ValueError: the page has no such place.
    """
    head, tail = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = text.partition(head)
    _, _, after = rest.partition(tail)
    if text.count(head) != 1 or tail not in rest:
        raise ValueError(f"the page has no place {head.strip()}")
    return f"{before}{head}{content}\n{tail}{after}"
