"""What a check found, from what is on the disk: the status and the log of a command, or a file of the workspace.

Reads only, blocking. What it means for the task is decided by blackboard/proofs.py.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from blackboard.checks import Check
from blackboard.content import resolve
from blackboard.errors import Invalid
from blackboard.proofs import Found
from blackboard.tokens import redact
from orchestrator.logfile import end_of
from orchestrator.processes import Status

KEPT = 4000  # bytes of output on the board; the whole is in the check's log file
NO_PROGRAM = 127  # what a shell ends with when there is no such program


def of_file(workspace: Path, check: Check) -> Found:
    """Whether the file is in the workspace, no link leading out of it, and holds enough."""
    path = str(check.path)
    try:
        held = resolve(workspace, path)
    except Invalid as missing:
        return Found("failed", output=missing.sentence.removeprefix("content_path "))
    if held.size < check.min_bytes:
        said = f"{path!r} holds {held.size} bytes, and {check.min_bytes} are the least"
        return Found("failed", output=said, size=held.size, sha256=held.sha256)
    return Found("passed", output=f"{path!r} is there", size=held.size, sha256=held.sha256)


def of_command(directory: Path, check: Check, status: Status | None) -> Found:
    """How a command ended; `status` None: its time was over."""
    file = directory / "stdout.log"
    kept = _plain(end_of(file, KEPT))
    size, digest = _measured(file)
    if status is None:
        return Found("timed_out", output=kept, size=size, sha256=digest)
    if status.phase == "exit" and status.code == NO_PROGRAM and isinstance(check.run, str):
        return Found("not_run", NO_PROGRAM, output=kept.strip() or "there is no such program", size=size, sha256=digest)
    if status.phase == "exit":
        return Found("failed" if status.code else "passed", status.code, output=kept, size=size, sha256=digest)
    if status.phase == "signal":
        return Found("failed", None, status.signal, kept, size, digest)
    if status.phase == "spawn_failed" and _is_of_workspace(check):
        return Found("failed", output=_plain(status.message or "it could not be started"))
    if status.phase == "spawn_failed":
        return Found("not_run", output=_plain(status.message or "it could not be started"))
    return Found("not_run", output="its launcher left no exit status", size=size, sha256=digest)


def _is_of_workspace(check: Check) -> bool:
    """Whether the program is one the agent was to make: named by a path in its folder."""
    return "/" in check.argv[0] and not check.argv[0].startswith("/")


def _plain(text: str) -> str:
    """Text for the board: no token, no NUL."""
    return redact(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _measured(file: Path) -> tuple[int | None, str | None]:
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            return opened.tell(), digest
    except OSError:
        return None, None
