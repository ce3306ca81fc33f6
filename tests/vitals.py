"""What the kernel says of a process that is not ours: memory, files, threads, children that nobody reaped.

Reads /proc and signals nobody. Sizes in bytes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from orchestrator.identity import row


class Vitals(NamedTuple):
    """One look at one process."""

    rss: int
    files: int
    threads: int
    zombies: int
    cpu_seconds: float


def vitals(pid: int) -> Vitals:
    """The process as it is now; FileNotFoundError when it is gone."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    facts = dict(line.split(":", 1) for line in lines)
    files = len(os.listdir(f"/proc/{pid}/fd"))
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return Vitals(int(facts["VmRSS"].split()[0]) * 1024, files, int(facts["Threads"]), len(zombies({pid})), cpu)


def pss(pid: int) -> int:
    """The process's share of the memory: what it uses with others is divided by their number."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))


def zombies(parents: set[int]) -> set[int]:
    """Children of these processes that have ended and were not reaped."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return {pid for pid in pids if (found := row(pid)) and found.dead and found.parent in parents}
