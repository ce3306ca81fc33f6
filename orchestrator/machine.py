"""What there is room for now: the bounds that the gates look at.

Reads /proc and the memory limit of our own control group, if there is one; changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from blackboard.days import day_of
from blackboard.gates import Memory, Room
from orchestrator.config import Settings

RESERVE = 0.05  # of the memory, left alone by every start
ROOT = Path("/")
KIB = 1024


def room(settings: Settings, now: str, root: Path = ROOT) -> Room:
    """What bounds all agents together at `now`. `root`: where `proc` and `sys` are."""
    day = day_of(now, settings.budget.time_zone)
    return Room(settings.tick.max_live, day, memory(settings.tick.memory_share, root))


def memory(share: float, root: Path = ROOT) -> Memory | None:
    """The memory there is for agents; None where nobody wants to know, or the machine does not tell."""
    if not share:
        return None
    try:
        told = dict(line.split(":", 1) for line in (root / "proc/meminfo").read_text().splitlines())
        total, available = (int(told[name].split()[0]) * KIB for name in ("MemTotal", "MemAvailable"))
    except (OSError, ValueError, KeyError, IndexError):
        return None
    for most, free in _groups(root):
        total, available = min(total, most), min(available, free)
    return Memory(most=int(total * share), available=available, reserve=int(total * RESERVE))


def _groups(root: Path) -> Iterator[tuple[int, int]]:
    """(limit, free) in bytes of each control group we are in that limits memory, the outer ones included."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield from _limits(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes")
        elif number == "0":
            yield from _limits(root / "sys/fs/cgroup", path, "memory.max", "memory.current")


def _limits(top: Path, path: str, limit: str, usage: str) -> Iterator[tuple[int, int]]:
    """From our group up to the top; in a container the path may be one of outside, and only the top is there."""
    group = top / path.lstrip("/")
    for folder in (group, *group.parents):
        try:
            most = int((folder / limit).read_text())
            yield most, max(0, most - int((folder / usage).read_text()) + _given_back(folder))
        except (OSError, ValueError):  # no such group, or "max"
            pass
        if folder == top:
            return


def _given_back(folder: Path) -> int:
    """Bytes of files kept in memory that the kernel gives back when somebody needs them."""
    for line in (folder / "memory.stat").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name in ("total_inactive_file", "inactive_file"):
            return int(value)
    return 0
