"""Taking a folder away below one root: never outside of it, never over a symbolic link or a mount point.

A folder is first renamed, in one step, to a name nobody works under, and only then emptied: what a crash leaves is
either whole or of no use to anybody. Blocking: a thread's work.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NotOurs(Exception):
    """The folder is not to be touched; str() says why."""


def put_aside(root: Path, path: Path, aside: str) -> None:
    """Rename the folder `path` below `root` to `root/aside`; nothing when it is not there. NotOurs, OSError."""
    parts = _parts(root, path)
    _no_mount(path)
    with _opened(root, parts[:-1]) as (top, above):
        if above is None:
            return
        try:
            found = os.lstat(parts[-1], dir_fd=above)
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(found.st_mode):
            raise NotOurs(f"{path} is a symbolic link or a file, and no folder")
        os.rename(parts[-1], aside, src_dir_fd=above, dst_dir_fd=top)


def empty_aside(root: Path, aside: str) -> None:
    """Remove what was put aside; nothing when it is not there. Never follows a link. OSError."""
    _no_mount(root / aside)
    with _opened(root, ()) as (top, _):
        try:
            if not stat.S_ISDIR(os.lstat(aside, dir_fd=top).st_mode):
                raise NotOurs(f"{root / aside} is no folder")
        except FileNotFoundError:
            return
        with _inside(aside, top) as folder:
            _empty(folder)
        os.rmdir(aside, dir_fd=top)


def _empty(folder: int) -> None:
    """Remove all there is in a folder, however deep: the folders of each are moved up, and looked at in the next round."""
    once, moved = secrets.token_hex(8), 0  # a name that nothing in it has
    while entries := _entries(folder):
        for name, is_folder in entries:
            if not is_folder:
                os.unlink(name, dir_fd=folder)
                continue
            with _inside(name, folder) as below:
                for each, is_one in _entries(below):
                    if is_one:
                        with _inside(each, below):  # so that it may be moved
                            os.rename(each, f"{once}-{moved}", src_dir_fd=below, dst_dir_fd=folder)
                            moved += 1
                    else:
                        os.unlink(each, dir_fd=below)
            os.rmdir(name, dir_fd=folder)


def _entries(folder: int) -> list[tuple[str, bool]]:
    """The names in a folder, and which are folders themselves; a link is none."""
    with os.scandir(folder) as found:
        return [(each.name, each.is_dir(follow_symlinks=False)) for each in found]


@contextmanager
def _inside(name: str, above: int) -> Iterator[int]:
    """A folder as a handle; it is ours to look into and to change, which some tools leave otherwise."""
    place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        os.chmod(f"/proc/self/fd/{place}", 0o700)
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)
    try:
        yield folder
    finally:
        os.close(folder)


def _parts(root: Path, path: Path) -> tuple[str, ...]:
    if not path.is_relative_to(root) or path == root or ".." in path.parts:
        raise NotOurs(f"{path} is not below {root}")
    return path.relative_to(root).parts


@contextmanager
def _opened(root: Path, parts: tuple[str, ...]) -> Iterator[tuple[int, int | None]]:
    """The root and the folder below it, both as handles; None for a folder that is not there."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    handles = [os.open(root, flags)]
    try:
        for part in parts:
            try:
                handles.append(os.open(part, flags | os.O_NOFOLLOW, dir_fd=handles[-1]))
            except FileNotFoundError:
                yield handles[0], None
                return
            except NotADirectoryError:
                raise NotOurs(f"{root.joinpath(*parts)} is reached over a symbolic link") from None
        yield handles[0], handles[-1]
    finally:
        for handle in handles:
            os.close(handle)


def _no_mount(path: Path) -> None:
    """NotOurs when the folder is a mount point, or something is mounted in it."""
    real = Path(os.path.realpath(path.parent)) / path.name
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [line.split()[4].encode("latin-1", "backslashreplace").decode("unicode_escape") for line in file]
    if any(Path(point) == real or Path(point).is_relative_to(real) for point in points):
        raise NotOurs(f"something is mounted at or in {path}")
