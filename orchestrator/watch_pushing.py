"""The loop that tells what watches saw, as soon as it may be told. What may is blackboard/watch_gate.py.

It looks when a watch has seen something, when the board has changed, and when a cooldown is over. Each lane's push is a
write of its own: one that fails holds no other up, and is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

from blackboard import watch_pushes, watches
from blackboard.board import Board
from blackboard.clock import seconds_between
from blackboard.errors import BlackboardError
from blackboard.watch_gate import Lane
from orchestrator.config import Settings
from orchestrator.machine import room
from orchestrator.waiting import first_of
from orchestrator.watch_sources import WatchSource, lanes_of

log = logging.getLogger(__name__)
T = TypeVar("T")

LEAST_SECONDS = 0.2  # between two looks
LONGEST_SECONDS = 5.0  # what the board does not tell, such as memory that other programs give back


class Watches:
    """Every watch of the configuration: asked as sources, and told by a loop of its own."""

    def __init__(self, board: Board, settings: Settings, wake: Callable[[], None]) -> None:
        self.sources = [WatchSource(name, config, board) for name, config in settings.watches.items()]
        self._board = board
        self._settings = settings
        self._lanes = lanes_of(settings)
        self._wake = wake
        self._faults: dict[str, str] = {}

    async def start(self) -> None:
        """Watch what the configuration names, and nothing else."""
        await self._board.write(watches.agree, [source.watch for source in self.sources])

    async def run(self) -> None:
        """Tell until cancelled; does nothing where nothing is watched, nor was."""
        while await self._has_to_do():
            before = self._board.commits.number
            pause = await self._safely("watches", self.once()) or LONGEST_SECONDS
            await asyncio.sleep(min(LEAST_SECONDS, pause))
            await first_of(self._board.commits.after(before), within=pause)

    async def _has_to_do(self) -> bool:
        if self._lanes:
            return True
        waits = await self._safely("watches", self._board.read(watch_pushes.under_way))
        return waits is not False  # None: the board could not be read, and it is not known

    async def once(self) -> float:
        """Settle what was answered, and tell what may be told; seconds until something more may be, if nothing happens."""
        if await self._board.read(watch_pushes.answered):
            await self._board.write(watch_pushes.settle, self._lanes)
        now = self._board.clock.now()
        due, until = await self._board.read(watch_pushes.due, self._lanes, now, room(self._settings, now))
        for lane in due:
            await self._safely(f"{lane.target} {lane.topic}", self._push(lane))
        left = seconds_between(now, until) + 0.0005 if until is not None else LONGEST_SECONDS
        return min(LONGEST_SECONDS, left)

    async def _push(self, lane: Lane) -> None:
        bounds = room(self._settings, self._board.clock.now())
        if await self._board.write(watch_pushes.push, lane, bounds, self._settings.policies()) is not None:
            self._wake()

    async def _safely(self, name: str, step: Awaitable[T]) -> T | None:
        """Do one step; its failure is told once as long as it is the same."""
        try:
            done = await step
        except Exception as error:
            if self._faults.get(name) != str(error):
                expected = isinstance(error, BlackboardError | sqlite3.Error)
                log.warning("watches: %s cannot be told: %s", name, error, exc_info=not expected)
            self._faults[name] = str(error)
            return None
        self._faults.pop(name, None)
        return done
