"""The processes of one attempt: its launcher's start, who belongs to it, how it ended, and the stop of them all.

It must never know the board, never signal a stranger, and never call an attempt gone without proof.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator import census
from orchestrator.census import MARKER, Scan
from orchestrator.identity import Identity, alive, boot_id, exited, identity, row, signal_safely

__all__ = [
    "MARKER",
    "Identity",
    "Status",
    "alive",
    "boot_id",
    "collect",
    "exited",
    "identity",
    "launch",
    "members",
    "present",
    "read_status",
    "signal_safely",
    "stop",
    "void",
]

STATUS_BYTES = 512
LAUNCHER = Path(__file__).resolve().with_name("launcher.py")
POLL = 0.03  # seconds between two scans; also the least distance of the two empty ones that prove "gone"
CALM_POLL = 0.25  # the longest pause between two scans while a grace runs
LAUNCHER_SECONDS = 2.0  # for the launcher to write the answer and leave, once it has no descendant
GIVE_UP_SECONDS = 10.0  # after the first KILL
BURST = 0.1  # seconds of scans without a pause while something forks faster than it is killed

Phase = Literal["starting", "running", "exit", "signal", "spawn_failed", "void", "unknown"]


OnSignal = Callable[[int, set[Identity]], None]


def members(marker: str, launcher: Identity | None, agent: Identity | None = None) -> set[Identity]:
    """Every living process of one attempt: the launcher's (and the agent's) tree, the launcher's session, and who
    has `BLACKBOARD_ATTEMPT=<marker>` in its environment, with the descendants of all of them.

    Blocking: some milliseconds. Set-id descendants that left the tree and the session cannot be seen.
    """
    sure, doubtful = _scan(census.take(), marker, launcher, agent)
    return sure | doubtful


async def present(marker: str, launcher: Identity | None, agent: Identity | None = None) -> set[Identity]:
    """The same without blocking, by a look at /proc that all who ask now share."""
    sure, doubtful = _scan(await census.shared(), marker, launcher, agent)
    return sure | doubtful


def _scan(look: census.Census, marker: str, launcher: Identity | None, agent: Identity | None) -> Scan:
    return census.belonging(look, marker, launcher, agent)


async def stop(
    marker: str,
    launcher: Identity | None,
    agent: Identity | None,
    *,
    graceful: int = signal.SIGTERM,
    grace: float,
    spared: Identity | None = None,
    on_signal: OnSignal = lambda number, met: None,
    give_up: float = GIVE_UP_SECONDS,
) -> bool:
    """End every process of an attempt. True: proved gone. False: somebody is left `give_up` seconds after KILL.

    All but the launcher get `graceful`, have `grace` seconds, then get KILL until two scans in a row find nobody.
    `spared`: the agent's sandbox; it does not get `graceful`, for its end would take all inside along, without grace.
    The launcher leaves by itself when its last descendant has ended, and writes the answer before; only if it stays
    it gets KILL too. `on_signal(number, whom)` is called with the graceful signal and with every round of KILL.
    """
    now = asyncio.get_running_loop().time

    def scan(look: census.Census) -> Scan:
        return _scan(look, marker, launcher, agent)

    told = scan(await census.shared())[0] - {launcher, spared}
    if told:
        await asyncio.to_thread(_send, graceful, told)
    on_signal(graceful, told)
    kill_at = now() + grace
    alone_since, empty, pause = now(), 0, POLL
    while empty < 2:
        if now() > kill_at + give_up:
            return False
        await asyncio.sleep(pause)
        sure, doubtful = scan(await census.shared())
        others = (sure | doubtful) - {launcher}
        empty = 0 if sure | doubtful else empty + 1
        pause = min(pause * 1.5, CALM_POLL) if others and now() < kill_at else POLL
        alone_since = now() if others else alone_since
        if not empty and now() >= (kill_at if others else alone_since + LAUNCHER_SECONDS):
            met = await asyncio.to_thread(_kill, scan, launcher if others else None)
            on_signal(signal.SIGKILL, met)
    return True


def _kill(scan: Callable[[census.Census], Scan], spared: Identity | None) -> set[Identity]:
    """Kill all but the spared launcher; for BURST seconds without a pause while one that forks and exits gets away."""
    until, met, missed = time.monotonic() + BURST, set[Identity](), False
    while True:
        if fresh := scan(census.take())[0] - met - {spared}:
            _send(signal.SIGSTOP, fresh)  # so that no parent forks while its children are killed
            missed = not _send(signal.SIGKILL, fresh)
        met |= fresh
        if not missed or time.monotonic() > until:
            return met
        if spared is not None:
            _kill_children(spared)


def _kill_children(launcher: Identity) -> None:
    """Kill who has become the launcher's child, much faster than a scan sees them: the way of what always forks."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    with contextlib.suppress(OSError):  # the launcher is gone, or this kernel has no such file
        for _ in range(50):
            for pid in map(int, children.read_text().split()):
                if (child := row(pid)) and child.parent == launcher.pid and alive(launcher):
                    signal_safely(Identity(pid, child.start), signal.SIGKILL)


def _send(number: int, whom: set[Identity]) -> bool:
    """Signal the newest first; False when one was gone already."""
    order = sorted(whom, key=lambda one: (one.start, one.pid), reverse=True)
    return all([signal_safely(one, number) or alive(one) for one in order])


@dataclass(frozen=True)
class Status:
    """What `status` says. `unknown`: the file is empty or torn; no agent runs before `starting` is on the disk.

    `code` is set for `exit`, `signal` for `signal`, `message` for `spawn_failed`. `cpu_seconds`, `rss_bytes`: what all
    that had ended by then had used, and what the largest of them had held.
    """

    phase: Phase
    launcher: Identity | None = None
    agent: Identity | None = None
    code: int | None = None
    signal: int | None = None
    message: str | None = None
    cpu_seconds: float = 0.0
    rss_bytes: int = 0


def read_status(directory: Path) -> Status | None:
    """The attempt's status; None when nobody has created it. Blocking, one small file."""
    try:
        former, data = b"", (directory / "status").read_bytes()
        while data != former:  # a write may be half way
            former, data = data, (directory / "status").read_bytes()
    except FileNotFoundError:
        return None
    text = data.decode("utf-8", "replace")
    try:
        return _status(text) if len(data) == STATUS_BYTES else Status("unknown")
    except ValueError:
        return Status("unknown")


def _status(text: str) -> Status:
    match text.split():
        case ["void"]:
            return Status("void")
        case ["starting", *launcher]:
            return Status("starting", _one(launcher))
        case ["running", a, b, *agent]:
            return Status("running", _one([a, b]), _one(agent))
        case ["exit", code, a, b, c, d, *used]:
            return Status("exit", _one([a, b]), _one([c, d]), code=int(code), **_used(used))
        case ["signal", number, a, b, c, d, *used]:
            return Status("signal", _one([a, b]), _one([c, d]), signal=int(number), **_used(used))
        case ["spawn_failed", a, b, *_]:
            return Status("spawn_failed", _one([a, b]), message=text.rstrip().split(" ", 3)[3])
    return Status("unknown")


def _one(words: list[str]) -> Identity:
    pid, start = map(int, words)
    return Identity(pid, start)


def _used(words: list[str]) -> dict[str, Any]:
    """Nothing in a status that an older launcher wrote."""
    return {"cpu_seconds": float(words[0]), "rss_bytes": int(words[1])} if words else {}


def void(directory: Path) -> bool:
    """Create `status` before the launcher does. True: the agent was never started, and never will be."""
    try:
        file = os.open(directory / "status", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    try:
        os.write(file, b"void".ljust(STATUS_BYTES - 1) + b"\n")
        os.fsync(file)
    except OSError:
        pass  # a full disk: that the file exists decides, what it says only explains
    finally:
        os.close(file)
    return True


def launch(directory: Path, python: str = sys.executable, *, marker: str = "") -> subprocess.Popen[bytes]:
    """Start the launcher of the attempt that `directory` (with its launch.json) describes. Blocking: a thread's work.

    With `marker`, scans find the launcher itself before it has written a status. What it has to complain about is in
    `launcher.log`. Somebody must `collect` it, or its zombie stays. OSError when no process can be started.
    """
    environment = {"LC_ALL": "C.UTF-8"} | ({MARKER: marker} if marker else {})
    log = os.open(directory / "launcher.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - a list of ours, no shell
            [python, "-I", "-S", str(LAUNCHER), str(directory.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    finally:
        os.close(log)


async def collect(launcher: subprocess.Popen[bytes]) -> int:
    """Wait for a launcher that this process has started, and reap it (after a restart init does that)."""
    if (running := identity(launcher.pid)) is not None:
        await exited(running)
    return launcher.wait()
