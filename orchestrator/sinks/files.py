"""The sink `file`: each message is a file of its own in a private folder, whole or not there at all.

Names sort by time and are the same at every try, so that a second one replaces the first. Never removes what it wrote:
whoever reads the folder does that.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.asking import NoAnswer
from orchestrator.sinks.message import Message


class FileWay:
    """One folder. A disk that hangs holds one thread, not one for each try; and no two write the same file at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing: asyncio.Task[None] | None = None  # also one that nobody waits for any more

    async def send(self, message: Message) -> None:
        if self._writing is not None:
            await asyncio.wait({self._writing})
        content = message.json + b"\n"
        self._writing = asyncio.create_task(asyncio.to_thread(write, self._folder, name_of(message), content))
        try:
            await asyncio.shield(self._writing)
        except OSError as error:
            raise NoAnswer(f"{self._folder} cannot be written to: {error.strerror or error}") from None

    async def stop(self) -> None:
        """Nothing runs that could be ended: a write that hangs is the kernel's."""


def name_of(message: Message) -> str:
    """`20260131T090000.000Z-0000000012.json`: when its first notice was posted, and the number of its message."""
    when = message.first["created_at"].replace("-", "").replace(":", "")
    return f"{when}-{message.number:010}.json"


def write(folder: Path, name: str, content: bytes) -> None:
    """Have a file in a private folder: under its name only when all of it is on the disk. OSError, NoAnswer."""
    with opened(folder) as place:
        fresh = f".{name}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with suppress(FileNotFoundError):  # of a try that was killed
            os.unlink(fresh, dir_fd=place)
        with os.fdopen(os.open(fresh, flags, 0o600, dir_fd=place), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(fresh, name, src_dir_fd=place, dst_dir_fd=place)
        os.fsync(place)


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """The folder, made if it is not there; NoAnswer unless it is ours and nobody else's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if problem := problem_of(os.fstat(place), folder):
            raise NoAnswer(problem)
        yield place
    finally:
        os.close(place)


def problem_of(found: os.stat_result, folder: Path) -> str | None:
    """Why a folder is not private; None when it is."""
    if found.st_uid != os.geteuid():
        return f"{folder} belongs to another user: name a folder of your own"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return f"others can look into {folder}: chmod 700 {folder}"
    return None
