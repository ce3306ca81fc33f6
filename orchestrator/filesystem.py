"""On what kind of file system a path is: SQLite's locks and shared memory do not hold over a network.

Reads the kernel's list of mounts only; where there is none, the kind is unknown and nothing is refused.
"""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afs", "ceph", "lustre", "ncpfs", "beegfs", "pvfs2", "davfs",
     "fuse.sshfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.davfs2", "fuse.ceph", "fuse.moosefs")
)  # fmt: skip


def kind_of(path: Path, mounts: Path | None = None) -> str | None:
    """The file system's kind at a path, or where it would be made: `ext4`, `nfs4`, …; None when unknown."""
    try:
        lines = (mounts or MOUNTS).read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    place = path.resolve()
    best: tuple[int, str] | None = None
    for line in lines:
        left, _, right = line.partition(" - ")
        point = Path(_plain(left.split()[4]))
        if place.is_relative_to(point) and (best is None or len(point.parts) >= best[0]):
            best = (len(point.parts), right.split()[0])  # a later mount on the same place lies on top
    return best[1] if best else None


def _plain(text: str) -> str:
    r"""mountinfo writes a space as \040."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), text)
