"""Small files that a configuration names, such as a token's, a secret's or a checklist's: read at each use.

Only a regular file is: a pipe that nobody writes to would hold who reads it for ever, and a device may have no end.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read(file: Path, most: int, *, follow: bool = True) -> tuple[bytes, int]:
    """Its bytes, at most so many, and its mode; OSError, also for what is no regular file. Blocking.

    `follow`: a symbolic link in its place is followed, which it must not be where somebody else may put one there.
    """
    fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        with open(fd, "rb", closefd=False) as opened:
            return opened.read(most), mode
    finally:
        os.close(fd)
