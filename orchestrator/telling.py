"""Tells every event of the board once, after its commit and in order. Never changes anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from blackboard import questions
from blackboard.board import Board

EVENTS_AT_ONCE = 100
Announce = Callable[[Mapping[str, Any]], None]


class Telling:
    """What has happened since the start, to one listener; nothing is read where nobody listens."""

    def __init__(self, board: Board, announce: Announce | None) -> None:
        self._board = board
        self._announce = announce
        self._told = 0
        self._lock = asyncio.Lock()

    async def begin(self) -> None:
        """What is on the board now is not told."""
        self._told = int((await self._board.read_first(questions.overview))["last_event"] or 0)

    async def tell(self) -> None:
        """Announce every event since the last time."""
        if self._announce is None:
            return
        async with self._lock:
            more = True
            while more:
                found = await self._board.read_first(questions.events, self._told, EVENTS_AT_ONCE)
                for event in found:
                    self._told = event["id"]
                    self._announce(event)
                more = len(found) == EVENTS_AT_ONCE  # else what came meanwhile is for the next time
