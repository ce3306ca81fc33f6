"""Says at the terminal of `run` which slots come next: the first few at the start, then each that joins them or moves.

Only reads the board, and only when it has changed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

from blackboard import planned
from blackboard.board import Board
from blackboard.errors import BlackboardError
from orchestrator.narration import next_line

MOST = 3
PAUSE_SECONDS = 1.0  # between two looks, however much happens


class Upcoming:
    """The next slots of one board. `say` takes a value for programs and a line for people."""

    def __init__(self, board: Board, say: Callable[[object, str], None]) -> None:
        self._board = board
        self._say = say
        self._said: dict[int, str] = {}  # by task, the time that was said

    async def run(self) -> None:
        """Say what is new among them until cancelled."""
        while not self._board.commits.ended:
            number = self._board.commits.number
            await self.look()
            await asyncio.sleep(PAUSE_SECONDS)
            await self._board.commits.after(number)

    async def look(self) -> None:
        """Say what was not said. A board that cannot be read is looked at again when it has changed."""
        now = self._board.clock.now()
        try:
            found = await self._board.read(planned.upcoming, now, MOST)
        except (BlackboardError, sqlite3.Error):
            return
        for row in found:
            if self._said.get(row["task"]) != row["due_at"]:
                self._say({"next": dict(row)}, next_line(dict(row), now))
        self._said = {row["task"]: row["due_at"] for row in found}
