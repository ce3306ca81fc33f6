"""The board's own folder of uploads: a file arrives under a passing name and is kept under its SHA-256, once whole.

Blocking: call it in a thread. Never takes a kept file away while the board runs: another output may name the same
bytes. What a crash leaves is removed by `sweep`, before anything is taken in.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from blackboard.board import Rows
from blackboard.content import Held
from blackboard.errors import Invalid, Unavailable

ARRIVING = "arriving-"
FRESH_SECONDS = 3600.0  # a file younger than this is never swept
_KEPT = re.compile(r"[0-9a-f]{64}")


class Arriving:
    """One file on its way in. `limit` in bytes. End it with `keep` or `discard`."""

    def __init__(self, folder: Path, limit: int) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd, name = tempfile.mkstemp(prefix=ARRIVING, dir=folder)  # mode 0600
        except OSError as error:
            raise _not_kept(error) from error
        self._folder, self._limit = folder, limit
        self._fd, self._path = fd, Path(name)
        self._hash, self.size = hashlib.sha256(), 0

    def write(self, chunk: bytes) -> None:
        """Add the next bytes; Invalid beyond the limit."""
        self.size += len(chunk)
        if self.size > self._limit:
            raise Invalid(f"a file may have {self._limit} bytes: leave it in your workspace and hand in its path")
        self._hash.update(chunk)
        try:
            left = memoryview(chunk)
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            raise _not_kept(error) from error

    def keep(self) -> Held:
        """Have it on disk under the name of its content. It stays when the report that names it is refused."""
        digest = self._hash.hexdigest()
        try:
            os.fsync(self._fd)
            self._path.rename(self._folder / digest)
            _sync(self._folder)
        except OSError as error:
            raise _not_kept(error) from error
        return Held(digest, self.size, digest)

    def discard(self) -> None:
        """Close it, and remove it unless it was kept."""
        with suppress(OSError):
            os.close(self._fd)
        self._path.unlink(missing_ok=True)


def _not_kept(error: OSError) -> Unavailable:
    return Unavailable(f"the file cannot be kept just now ({error.strerror}); try again", cause=str(error))


def _sync(folder: Path) -> None:
    """Have a new name in this folder on disk too."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(at)
    finally:
        os.close(at)


KEPT = "SELECT DISTINCT content_path FROM outputs WHERE kept = 1"


def named(rows: Rows) -> set[str]:
    """The kept files that outputs name."""
    return {row["content_path"] for row in rows.all(KEPT)}


def sweep(folder: Path, names: set[str], now: float) -> list[str]:
    """Remove what no output names and nobody has touched for an hour; the names. `now` in seconds since 1970."""
    gone = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            ours = entry.name.startswith(ARRIVING) or _KEPT.fullmatch(entry.name)
            if not ours or entry.name in names or not entry.is_file(follow_symlinks=False):
                continue
            if now - entry.stat(follow_symlinks=False).st_mtime > FRESH_SECONDS:
                with suppress(OSError):
                    os.unlink(entry.path)
                    gone.append(entry.name)
    return gone
