"""What the living attempts weigh: memory, processes and processor time of each whole tree, and who has too much.

One look at /proc for all of them together, and none while nothing lives. It must never end an attempt itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from blackboard import attempts
from blackboard.board import Board
from blackboard.record import Record
from blackboard.sizes import in_words
from orchestrator import processes
from orchestrator.config import Settings
from orchestrator.config_contain import Limits
from orchestrator.processes import Identity
from orchestrator.traces import agent_of
from orchestrator.verdict import WARN_AT

log = logging.getLogger(__name__)

PACE, CALM_PACE = 1.0, 5.0  # seconds between two looks: somebody has a limit, or it is only to be known
GROWN = 1.1  # what is on the board is written anew when it has become so many times as much
PAGE, TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")


class Seen(NamedTuple):
    """One process. `rss`: bytes. `own`, `reaped`: processor seconds of it, and of its children that have ended."""

    start: int
    parent: int
    rss: int
    own: float
    reaped: float


class Weight(NamedTuple):
    """What one attempt holds (bytes of all its processes) and has used (processor seconds, the ended ones too)."""

    rss: int
    processes: int
    cpu: float


class Over(NamedTuple):
    """A limit that is met, or near: which, the share of it that is used, and the sentence."""

    limit: str
    share: float
    sentence: str


def seen(pid: int) -> Seen | None:
    """What the kernel says of whoever has this pid now; None when nobody has."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            told = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    user, system, children_user, children_system = (int(word) / TICK for word in told[11:15])
    return Seen(int(told[19]), int(told[1]), int(told[21]) * PAGE, user + system, children_user + children_system)


def everybody() -> dict[int, Seen]:
    """Every process of this machine, by pid."""
    return {pid: one for name in os.listdir("/proc") if name.isdigit() and (one := seen(pid := int(name))) is not None}


def tree(table: dict[int, Seen], roots: Iterable[int]) -> set[int]:
    """The processes below these and themselves."""
    children: dict[int, list[int]] = {}
    for pid, one in table.items():
        children.setdefault(one.parent, []).append(pid)
    found: set[int] = set()
    fresh = set(roots)
    while fresh:
        found |= fresh
        fresh = {child for pid in fresh for child in children.get(pid, ())} - found
    return found


def weigh(table: dict[int, Seen], launcher: Identity, others: Iterable[Identity]) -> Weight:
    """What the launcher's tree and these others weigh, without the launcher itself: it is ours.

    A launcher that lives has every descendant below it. What has ended is counted by who reaped it.
    """
    whole = {launcher, *others}
    pids = tree(table, (one.pid for one in whole if one.pid in table and table[one.pid].start == one.start))
    theirs = [table[pid] for pid in pids if pid != launcher.pid]
    reaped = sum(table[pid].reaped for pid in pids)
    return Weight(sum(one.rss for one in theirs), len(theirs), sum(one.own for one in theirs) + reaped)


def near(weight: Weight, limits: Limits) -> Iterator[Over]:
    """The limits of which the warning's share is used, or more than all."""
    held = f"its {weight.processes} processes" if weight.processes != 1 else "its process"
    asked = (
        ("memory", weight.rss, limits.memory_bytes, f"{held} held {in_words(weight.rss)}", in_words),
        ("processes", weight.processes, limits.processes, f"it had {weight.processes} processes", str),
        ("cpu", weight.cpu, limits.cpu_seconds, f"it used {weight.cpu:.1f} s of processor time", "{:g} s".format),
    )
    for name, value, most, sentence, told in asked:
        if most is not None and value >= WARN_AT * most:
            yield Over(name, value / most, f"{sentence}, the limit is {told(most)}")


class Scales:
    """Weighs the attempts of one board. `end` ends one that is over a limit: its id and the sentence."""

    def __init__(
        self,
        board: Board,
        settings: Settings,
        marker: Callable[[int], str],
        end: Callable[[int, str], Awaitable[None]],
        tell: Callable[[int, str, str], Awaitable[None]],
    ) -> None:
        self._board = board
        self._settings = settings
        self._marker = marker
        self._end = end
        self._tell = tell
        self._warned: set[tuple[int, str]] = set()
        self._task: asyncio.Task[None] | None = None

    def begin(self, anybody: Callable[[], bool]) -> None:
        """Look from time to time as long as anybody lives; nothing if that is done already."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._looking(anybody), name="scales")

    async def leave(self) -> None:
        """Look no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _looking(self, anybody: Callable[[], bool]) -> None:
        pause = PACE
        while anybody():
            await asyncio.sleep(pause)
            try:
                pause = await self.look()
            except Exception:
                log.exception("the attempts could not be weighed; looking again")
        self._warned.clear()

    async def look(self) -> float:
        """Weigh every attempt that lives, once; the seconds until the next look."""
        boot = self._board.clock.boot_id()
        rows = [
            row for row in await self._board.read(attempts.not_gone) if row["launcher_pid"] and row["boot_id"] == boot
        ]
        weights = await asyncio.to_thread(self._weights, rows)
        for row, weight in zip(rows, weights, strict=True):
            if weight.processes:
                await self._judge(row, weight)
        limited = any(self._limits(row).sampled for row in rows if row["ended_at"] is None)
        return PACE if limited else CALM_PACE

    def _weights(self, rows: Sequence[Record]) -> list[Weight]:
        table = everybody()
        return [self._weight(table, row) for row in rows]

    def _weight(self, table: dict[int, Seen], row: Record) -> Weight:
        launcher, agent = Identity(row["launcher_pid"], row["launcher_start"]), agent_of(row)
        if launcher.pid in table and table[launcher.pid].start == launcher.start:
            return weigh(table, launcher, ())
        return weigh(table, launcher, processes.members(self._marker(row["id"]), launcher, agent))

    async def _judge(self, row: Record, weight: Weight) -> None:
        if weight.rss > GROWN * (row["peak_rss_bytes"] or 0) or weight.cpu > GROWN * (row["cpu_seconds"] or 0) + 1:
            await self._board.write(attempts.weighed, row["id"], rss=weight.rss, cpu=weight.cpu)
        if row["ended_at"] is not None:
            return
        for met in near(weight, self._limits(row)):
            if met.share > 1:
                return await self._end(row["id"], met.sentence)
            if (row["id"], met.limit) not in self._warned:
                self._warned.add((row["id"], met.limit))
                await self._tell(row["id"], "warned", met.sentence)

    def _limits(self, row: Record) -> Limits:
        agent = self._settings.agents.get(row["agent_id"])
        return agent.limits if agent is not None else Limits()
