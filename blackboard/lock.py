"""One writer process per board: a lock beside the file that names its holder.

The lock is `flock` on `<board>.lock`, never on the board itself: closing a handle of the board's own file
would drop SQLite's locks. The kernel releases it with the process, so a kill -9 leaves nothing to clean up.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path


def lock_path(board: Path) -> Path:
    """Where the lock of a board is."""
    return board.with_name(board.name + ".lock")


class BoardLock:
    """The right to write the board. Use `try_take`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def try_take(cls, board: Path) -> BoardLock | None:
        """Take the lock, or None when another process holds it."""
        fd = os.open(lock_path(board), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _flock(fd):
            os.close(fd)
            return None
        lock = cls(fd)
        lock.tell(url=None)
        return lock

    def tell(self, *, url: str | None) -> None:
        """Write who holds the lock and where it answers (None: a short command that answers nowhere)."""
        text = json.dumps({"pid": os.getpid(), "url": url}).encode().ljust(256)
        os.pwrite(self._fd, text, 0)

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two processes hold two different ones."""
        os.close(self._fd)


def _flock(fd: int) -> bool:
    """Lock for writing. Tries for a tenth of a second: `holder` may be looking just now."""
    for _ in range(6):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def holder(board: Path) -> dict[str, object] | None:
    """Who holds the lock of a board: `{"pid": …, "url": …}`, or None when nobody does."""
    try:
        fd = os.open(lock_path(board), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        try:
            found: dict[str, object] = json.loads(os.pread(fd, 256, 0))
        except ValueError:
            found = {"pid": None, "url": None}
        return found
    finally:
        os.close(fd)
