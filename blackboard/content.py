"""Files that agents name as outputs: confined to the attempt's workspace, measured, hashed.

Opened component by component without following links, so that no race of a symbolic link leads outside.
Blocking: call it in a thread.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from blackboard.errors import Invalid

MOST_BYTES = 1 << 30


class Held(NamedTuple):
    """A file as it was when it was handed in. `path` is relative to the workspace."""

    path: str
    size: int
    sha256: str


def resolve(workspace: str | os.PathLike[str], named: str, limit: int = MOST_BYTES) -> Held:
    """Measure the file `named` (absolute, or relative to the workspace); Invalid with a sentence when it may not be."""
    relative = _inside(Path(workspace), named)
    fd = _open(Path(workspace), relative, named)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise Invalid(f"content_path {named!r} is not a regular file: name one, or send the content itself")
        if found.st_size > limit:
            raise Invalid(f"content_path {named!r} holds {found.st_size} bytes, more than the {limit} that are taken")
        digest = _digest(fd, found.st_size)
        if digest is None or os.fstat(fd).st_mtime_ns != found.st_mtime_ns:
            raise Invalid(f"content_path {named!r} changed while it was read: finish writing it, then name it again")
        return Held(relative.as_posix(), found.st_size, digest)
    finally:
        os.close(fd)


def reopened(workspace: str | os.PathLike[str], path: str, size: int) -> tuple[int, Held]:
    """A file that was handed in, open at its first byte, and what it holds now; Invalid when it cannot be read.

    Of a file that has another size than `size` not all is read: its hash is then empty.
    """
    relative = _inside(Path(workspace), path)
    fd = _open(Path(workspace), relative, path)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise Invalid(f"content_path {path!r} is not a regular file any more")
    digest = _digest(fd, size) if found.st_size == size else None
    os.lseek(fd, 0, os.SEEK_SET)
    return fd, Held(path, found.st_size, digest or "")


def _digest(fd: int, size: int) -> str | None:
    """The SHA-256 of a file of this size; None when it holds more or less. Never reads on after a file that grows."""
    digest, left = hashlib.sha256(), size + 1
    while left and (chunk := os.read(fd, min(left, 1 << 20))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest() if left == 1 else None


def _inside(workspace: Path, named: str) -> PurePosixPath:
    """The named path relative to the workspace, by its text alone."""
    if "\0" in named or not named.strip():
        raise Invalid("content_path is empty or holds a NUL: name a file of your workspace")
    if not _is_text(named):
        raise Invalid(f"content_path {named!r} is no text: name a file whose name is UTF-8")
    path = PurePosixPath(named)
    if path.is_absolute():
        if not path.is_relative_to(workspace):
            raise Invalid(
                f"content_path {named!r} is outside your workspace {workspace}: copy the file there and name it again"
            )
        path = path.relative_to(workspace)
    if ".." in path.parts or not path.parts:
        raise Invalid(
            f"content_path {named!r} leads outside your workspace {workspace}: name a file in it, without '..'"
        )
    return path


def _is_text(named: str) -> bool:
    try:
        named.encode()
    except UnicodeEncodeError:
        return False
    return True


def _open(workspace: Path, relative: PurePosixPath, named: str) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        at = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in relative.parts[:-1]:
            at = _step(at, part, flags | os.O_DIRECTORY)
        return _step(at, relative.parts[-1], flags)
    except OSError as error:
        raise Invalid(f"content_path {named!r} cannot be read in your workspace {workspace}: {error.strerror} "
                      "(symbolic links are not followed)") from error  # fmt: skip


def _step(at: int, part: str, flags: int) -> int:
    try:
        return os.open(part, flags, dir_fd=at)
    finally:
        os.close(at)
