"""Short programs beside an attempt, such as hooks: each run once, contained by a launcher of its own, ended at its limit.

A step has a directory; what is in there says whether it was begun and how it ended, so that asking again after a crash
goes on where it was and runs nothing twice. Never knows the board.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from blackboard.clock import Clock
from blackboard.tokens import redact
from orchestrator import processes
from orchestrator.logfile import end_of
from orchestrator.processes import Status

GRACE_SECONDS = 2.0  # between TERM and KILL
POLL = 0.02
ASK_SECONDS = 0.2  # between two looks whether it is still wanted
LOG_CAP = 1 << 20
LAST_BYTES = 2000
FINAL = ("exit", "signal", "spawn_failed")
Wanted = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Step:
    """A program to run: `plan` is what its launcher reads, `marker` what all its processes carry, `log` its output.

    `directory` is its own; `claimed_at` in the plan says whose it is, as for an attempt's. `stdin`: what it reads.
    """

    name: str
    directory: Path
    marker: str
    plan: Mapping[str, object]
    log: Path
    seconds: float
    stdin: bytes | None = None


async def always() -> bool:
    """A step that is wanted until it ends."""
    return True


async def run(step: Step, clock: Clock, wanted: Wanted = always) -> str | None:
    """Run a step to its end, or wait for one that was begun; None when it passed, else the sentence that says why not.

    None of its processes lives after that. When the caller is cancelled it goes on, and the next call finds it.
    """
    begun = await asyncio.to_thread(_begun, step)
    if begun is not None and begun["boot_id"] != clock.boot_id():
        return f"{step.name}: the machine was restarted while it ran"
    if begun is not None and await asyncio.to_thread(processes.void, step.directory):
        await processes.stop(step.marker, None, None, grace=0.0)  # a launcher that was on its way
        begun = None
    if begun is None:
        begun = await asyncio.to_thread(_write, step, clock)
        popen = await asyncio.to_thread(processes.launch, step.directory, marker=step.marker)
        reaper = asyncio.create_task(processes.collect(popen))
        _REAPERS.add(reaper)
        reaper.add_done_callback(_REAPERS.discard)
        await _created(step, popen.pid)
    return await _waited(step, clock, float(str(begun["begun_boot"])) + step.seconds, wanted)


async def break_off(step: Step) -> None:
    """End a step whose `run` was cancelled, so that the next call begins it anew. What has ended, or cannot be, is left."""
    await end(step.directory, step.marker)


async def end(directory: Path, marker: str) -> None:
    """The same of a step of which only the directory is left, by a former life."""
    status = await asyncio.to_thread(processes.read_status, directory)
    if (status is None or status.phase not in FINAL) and await _end(marker, status):
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


def began(directory: Path) -> bool:
    """Whether a step was ever begun there."""
    return (directory / "launch.json").exists()


def claimed_at(directory: Path) -> str:
    """Whose the step is that was begun there, in the words of its plan; empty when none was."""
    try:
        return str(json.loads((directory / "launch.json").read_text(encoding="utf-8"))["claimed_at"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _begun(step: Step) -> dict[str, object] | None:
    """What the step was begun with; None when it was not, or by a life of the board that was undone by a backup."""
    try:
        plan: dict[str, object] = json.loads((step.directory / "launch.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return plan if plan.get("claimed_at") == step.plan["claimed_at"] else None


def _write(step: Step, clock: Clock) -> dict[str, object]:
    shutil.rmtree(step.directory, ignore_errors=True)
    step.directory.mkdir(mode=0o700, parents=True)
    given = None if step.stdin is None else _given(step.directory / "stdin", step.stdin)
    plan = {
        **step.plan, "stdin": given, "stdout": str(step.log), "stderr": str(step.log), "log_cap": LOG_CAP, "leftovers": "end",
        "leftover_grace": 0.0, "boot_id": clock.boot_id(), "begun_boot": clock.boot(),
    }  # fmt: skip
    fresh = step.directory / "launch.json.new"
    fresh.write_text(json.dumps(plan), encoding="utf-8")
    os.replace(fresh, step.directory / "launch.json")
    return plan


def _given(file: Path, content: bytes) -> str:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as opened:
        opened.write(content)
    return str(file)


async def _created(step: Step, pid: int) -> None:
    """Until the launcher has said who it is, or is gone without. Its status is empty for a moment before that."""
    launcher = processes.identity(pid)
    while launcher is not None and processes.alive(launcher):
        status = await asyncio.to_thread(processes.read_status, step.directory)
        if status is not None and status.phase != "unknown":
            return
        await asyncio.sleep(POLL)


async def _waited(step: Step, clock: Clock, until: float, wanted: Wanted) -> str | None:
    asked = 0.0
    now = asyncio.get_running_loop().time
    while True:
        status = await asyncio.to_thread(processes.read_status, step.directory)
        alive = status is not None and status.launcher is not None and processes.alive(status.launcher)
        if not alive:
            status = await asyncio.to_thread(processes.read_status, step.directory)
            if (
                status is None or status.phase not in FINAL
            ):  # somebody has killed the launcher: nobody counts for the rest
                await _end(step.marker, status)
            return await asyncio.to_thread(_said, step, status)
        if clock.boot() >= until:
            proved = await _end(step.marker, status)
            left = "" if proved else ", and a process of it could not be ended"
            return f"{step.name}: it took longer than {step.seconds:g} s and was ended{left}"
        if now() >= asked + ASK_SECONDS:
            asked = now()
            if not await wanted():
                await _end(step.marker, status)
                return f"{step.name}: it was ended, for nobody waits for it any more"
        await asyncio.sleep(POLL)


async def _end(marker: str, status: Status | None) -> bool:
    launcher, agent = (status.launcher, status.agent) if status else (None, None)
    return await processes.stop(marker, launcher, agent, graceful=signal.SIGTERM, grace=GRACE_SECONDS)


def _said(step: Step, status: Status | None) -> str | None:
    """How it ended, with the last line it printed; None: with exit 0."""
    if status is not None and status.phase == "exit" and status.code == 0:
        return None
    if status is not None and status.phase == "spawn_failed":
        return f"{step.name}: it could not be started: {status.message}"
    how = "it was killed, and its exit status is lost"
    if status is not None and status.phase == "exit":
        how = f"it ended with exit {status.code}"
    elif status is not None and status.phase == "signal":
        how = f"signal {status.signal} ended it"
    lines = [line.strip() for line in end_of(step.log, LAST_BYTES).splitlines() if line.strip()]
    return f"{step.name}: {how}" + (f": {redact(lines[-1])[:300]}" if lines else "")


_REAPERS: set[asyncio.Task[int]] = set()
