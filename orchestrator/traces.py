"""What an attempt has left on this machine: who its processes are, whether any can live, when it last printed.

Reads the attempt's directory and its row. Writes nothing but the status file of an attempt that was never
started, which is how it stays so; and it moves the directory of another claim aside.
"""

from __future__ import annotations

import json
from pathlib import Path

from blackboard.record import Record
from orchestrator import processes
from orchestrator.processes import Identity, Status


class Printed:
    """When an attempt's logs were last seen to grow, in CLOCK_BOOTTIME seconds: no wall clock is asked."""

    def __init__(self, directory: Path) -> None:
        self._files = [directory / "stdout.log", directory / "stderr.log"]
        self._sizes: list[int] | None = None
        self._grown_at: float | None = None

    def grown_at(self, now: float) -> float | None:
        sizes = [_size(file) for file in self._files]
        if sizes != (self._sizes or [0, 0]):
            self._grown_at = now
        self._sizes = sizes
        return self._grown_at


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def launcher_of(row: Record, status: Status | None) -> Identity | None:
    """The launcher as it says itself, or as it was recorded when it was started."""
    if status is not None and status.launcher is not None:
        return status.launcher
    return Identity(row["launcher_pid"], row["launcher_start"]) if row["launcher_pid"] else None


def agent_of(row: Record) -> Identity | None:
    """The agent as it was recorded once its launcher had told it."""
    return Identity(row["agent_pid"], row["agent_start"]) if row["agent_pid"] else None


def leave_to(directory: Path, claimed_at: str) -> None:
    """Have the directory free for the attempt of this claim: another claim's is moved aside, never judged by.

    A restored backup gives attempt numbers out again, and what the later life left under them is still there.
    """
    try:
        plan = json.loads((directory / "launch.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if plan.get("claimed_at") != claimed_at:
        aside = str(plan.get("claimed_at", "unknown")).replace(":", "")
        directory.rename(directory.with_name(f"{directory.name}-claimed-{aside}"))


def told_from(directory: Path) -> str | None:
    """Which templates the attempt was told from, as the data of its event `spawned`; None when nobody wrote it down."""
    try:
        found = json.loads((directory / "launch.json").read_text(encoding="utf-8")).get("told_from")
    except (OSError, ValueError, AttributeError):
        return None
    return json.dumps(found) if isinstance(found, dict) else None


def sandbox_of(directory: Path, agent: Identity | None) -> Identity | None:
    """The sandbox that the agent of this attempt runs in: the process its launcher started; None where it has none."""
    try:
        plan = json.loads((directory / "launch.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return agent if isinstance(plan, dict) and plan.get("sandboxed") else None


def prepared(directory: Path) -> bool:
    """Whether the directory is the one an attempt was started from: what its launcher reads is in it."""
    return (directory / "launch.json").exists()


def never_started(directory: Path) -> bool:
    """Whether the launcher never began; if so it never will: its status file is ours now."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if processes.void(directory):
        return True
    status = processes.read_status(directory)
    return status is not None and status.phase == "void"


def of_another_boot(directory: Path, recorded: str | None, current: str) -> bool:
    """Whether the attempt was started before the machine was: then nothing of it lives."""
    if recorded is not None:
        return recorded != current
    try:
        return current not in (directory / "launch.json").read_text(encoding="utf-8")
    except OSError:
        return False
