"""What a running attempt spends: read from its output where its runner can, and its end when a budget is spent.

Looks only at attempts that a budget bounds, and at each at most every LOOK seconds. Never signals anybody.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from blackboard import attempts, standing
from blackboard.board import Board
from blackboard.days import day_of
from blackboard.record import Record
from orchestrator.config import Settings
from orchestrator.runners.reading import used_so_far
from orchestrator.verdict import Verdict

LOOK = 3.0  # seconds between two looks at what one attempt has spent
CALM = 20  # the pause is at least so many times what the look has taken: a long output is read anew with each


class Purse:
    """Looks at what one attempt spends. `directory`: where its logs are."""

    def __init__(self, board: Board, settings: Settings, directory: Path) -> None:
        self._board = board
        self._settings = settings
        self._directory = directory
        self._next = 0.0  # CLOCK_BOOTTIME seconds
        self._read = 0  # bytes its output had when it was read last

    async def look(self, row: Record) -> tuple[Verdict | None, float | None]:
        """Why the attempt has to end now, if it has; and the seconds until the next look, None where none is needed."""
        if not await self._board.read(standing.is_watched, row["id"]):
            return None, None
        now = self._board.clock.boot()
        if now < self._next:
            return None, self._next - now
        await self._read_output(row)
        read = self._board.clock.boot()
        self._next = read + max(LOOK, CALM * (read - now))
        day = day_of(self._board.clock.now(), self._settings.budget.time_zone)
        over, untold = await self._board.read(standing.look, row["id"], day)
        if untold:
            await self._board.write(standing.tell, row["id"])
        return (Verdict(*over) if over else None), self._next - read

    async def _read_output(self, row: Record) -> None:
        """Keep what the program has printed of its usage since the last look."""
        config = self._settings.agents.get(row["agent_id"])
        size = await asyncio.to_thread(_size, self._directory / "stdout.log")
        if size == self._read:
            return
        self._read = size
        usage = await asyncio.to_thread(used_so_far, config, self._directory)
        if usage is not None and any(value is not None for value in vars(usage).values()):
            await self._board.write(attempts.used, row["id"], vars(usage))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
