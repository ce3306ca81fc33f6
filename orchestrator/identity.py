"""Who one process is: pid and start time, its signal, and its end.

It must never signal or name a process by a bare pid.

An `Identity` means something only in the boot it was read in: who recorded another `boot_id` must not ask here,
everything of that boot is gone.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Identity:
    """One process of this boot. `start` (clock ticks since boot) tells it from a later one with the same pid."""

    pid: int
    start: int


class Row(NamedTuple):
    """What /proc/PID/stat says. `dead`: it only waits to be reaped (all its threads have ended). `environed`: it has
    an environment, or is in the middle of an exec and may have one as soon as that stands in its new memory."""

    start: int
    parent: int
    session: int
    dead: bool
    environed: bool = True


def boot_id() -> str:
    """The kernel's name for the time since this machine was started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def row(pid: int) -> Row | None:
    """What the kernel says of whoever has this pid now; None when nobody has."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read().rpartition(b")")[2].split()  # the name before may hold spaces and brackets
    except OSError:
        return None
    # A leader whose main thread has ended looks like a zombie while its other threads still run.
    dead = fields[0] in (b"Z", b"X") and int(fields[17]) <= 1
    memory, env_start, env_end = fields[20], fields[47], fields[48]  # a thread of the kernel has no memory
    environed = memory != b"0" and (env_end == b"0" or env_end != env_start)
    return Row(start=int(fields[19]), parent=int(fields[1]), session=int(fields[3]), dead=dead, environed=environed)


def identity(pid: int) -> Identity | None:
    """Who has this pid now; None when nobody or a zombie has."""
    now = row(pid)
    return None if now is None or now.dead else Identity(pid, now.start)


def alive(process: Identity) -> bool:
    """Whether exactly this process still runs (stopped counts as running, a zombie does not)."""
    return identity(process.pid) == process


def signal_safely(process: Identity, number: int) -> bool:
    """Signal exactly this process; False when it is gone, is somebody else by now, or may not be signalled.

    The handle is taken first and the identity is verified after it: from there on no other process can be meant.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        if not alive(process):
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


async def exited(process: Identity) -> None:
    """Return when this process has ended, at once if it has already. It need not be our child; polls nothing."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        if alive(process):
            loop.add_reader(handle, ended.set)
            await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
