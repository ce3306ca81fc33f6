"""All processes of this machine at one look, and which of them belong to an attempt.

One look serves everybody who asks at the same time: two hundred agents that end together cost a few looks, not
a thousand. Reads /proc and signals nobody.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from weakref import WeakKeyDictionary

from orchestrator.identity import Identity, Row, row

MARKER = "BLACKBOARD_ATTEMPT"  # the environment variable that every process of an attempt inherits
_NAME = b"\0" + MARKER.encode() + b"="
_EXEC_SECONDS = 0.2  # for all who are in the middle of an exec when one look meets them; seen: 26 ms on a full machine

Scan = tuple[set[Identity], set[Identity]]


class Census(NamedTuple):
    """Everybody but ourselves, by pid; who carries which marker; who is whose child and of which session."""

    rows: dict[int, Row]
    marked: dict[bytes, list[int]]
    children: dict[int, list[int]]
    sessions: dict[int, list[int]]


def take() -> Census:
    """Look at everybody. Blocking: some milliseconds, more on a full machine."""
    # The newest first: what forks and exits all the time would be gone before a slow walk reaches it.
    pids = sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), reverse=True)
    rows = {pid: now for pid in pids if pid != os.getpid() and (now := row(pid)) is not None}
    found = Census(rows, {}, {}, {})
    until = time.monotonic() + _EXEC_SECONDS
    for pid, now in rows.items():
        found.children.setdefault(now.parent, []).append(pid)
        found.sessions.setdefault(now.session, []).append(pid)
        if not now.dead:
            for marker in _markers(pid, until):
                found.marked.setdefault(marker, []).append(pid)
    return found


def _markers(pid: int, until: float) -> list[bytes]:
    environ = b"\0" + _environ(pid, until)
    if _NAME not in environ:
        return []
    return [value for piece in environ.split(_NAME)[1:] for value, end, _ in [piece.partition(b"\0")] if end]


def _environ(pid: int, until: float) -> bytes:
    """What it was started with; nothing of one that is gone or another user's.

    In the middle of an exec the kernel shows an empty one: it is asked again, or who has left the tree and the session
    would be missed just then.
    """
    while True:
        try:
            with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
                environ = file.readall()
        except OSError:
            return b""
        if environ or time.monotonic() > until or not ((now := row(pid)) and now.environed and not now.dead):
            return environ
        time.sleep(0.001)


def belonging(census: Census, marker: str, launcher: Identity | None, agent: Identity | None) -> Scan:
    """(sure, doubtful): who belongs to the attempt, and who may, but could be a stranger and is never signalled.

    The kernel gives no pid away while a session has its number. So one session is all ours or all strangers': its
    leader decides, and if that is gone, a member which is ours for another reason. Without one it stays doubtful.
    """
    rows = census.rows
    known = {one.pid for one in (launcher, agent) if one and one.pid in rows and rows[one.pid].start == one.start}
    since = launcher.start if launcher is not None else 0  # who is older carries the mark for another reason
    marked = {pid for pid in census.marked.get(os.fsencode(marker), ()) if rows[pid].start >= since}
    sure = _with_descendants(census, known | marked)
    session: set[int] = set()
    if launcher is not None and (launcher.pid not in rows or launcher.pid in known):
        session = {pid for pid in census.sessions.get(launcher.pid, ()) if rows[pid].start >= launcher.start}
        if launcher.pid in known or session & sure:
            sure = _with_descendants(census, sure | session)
    return _living(census, sure), _living(census, session - sure)


def _with_descendants(census: Census, roots: set[int]) -> set[int]:
    ours, fresh = set(roots), set(roots)
    while fresh := {child for pid in fresh for child in census.children.get(pid, ())} - ours:
        ours |= fresh
    return ours


def _living(census: Census, pids: Iterable[int]) -> set[Identity]:
    return {Identity(pid, census.rows[pid].start) for pid in pids if not census.rows[pid].dead}


class _Sharing:
    """The looks of one event loop, one after the other. `_coming` has not begun yet: whoever asks now may share it."""

    def __init__(self, look: Callable[[], Census]) -> None:
        self._look = look
        self._one_at_a_time = asyncio.Lock()
        self._coming: asyncio.Task[Census] | None = None
        self._rested_at = 0.0

    async def next(self) -> Census:
        if self._coming is None:
            self._coming = asyncio.create_task(self._take())
        return await asyncio.shield(self._coming)

    async def _take(self) -> Census:
        async with self._one_at_a_time:
            await asyncio.sleep(max(0.0, self._rested_at - time.monotonic()))
            self._coming = None
            began = time.monotonic()
            try:
                return await asyncio.get_running_loop().run_in_executor(_THREAD, self._look)
            finally:
                now = time.monotonic()
                self._rested_at = now + (now - began)  # at most half of a processor, however many ask


_THREAD = ThreadPoolExecutor(1, thread_name_prefix="census")
_SHARING: WeakKeyDictionary[asyncio.AbstractEventLoop, _Sharing] = WeakKeyDictionary()


async def shared() -> Census:
    """A look that begins after this call; everybody who calls until it begins gets the same one."""
    loop = asyncio.get_running_loop()
    if loop not in _SHARING:
        _SHARING[loop] = _Sharing(lambda: take())
    return await _SHARING[loop].next()
