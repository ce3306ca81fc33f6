"""Slot files as a source: noticed when they change, taken in whole, faults told once.

A file is taken in again when it changes and when a new day begins in its zone (HH:MM means every day then).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from blackboard import journal, slots
from blackboard.board import Board
from blackboard.clock import from_text, seconds_between, to_text
from blackboard.errors import BlackboardError, Unavailable
from blackboard.policy import Policies
from orchestrator import slot_files

ENGINE = "engine:slots"


class _Seen(NamedTuple):
    """What a file was when it was last taken in: its identity, and the day in its zone."""

    stamp: tuple[int, int, int] | None
    day: str


class SlotFiles:
    """The slot files of the configuration."""

    def __init__(
        self, board: Board, files: Iterable[Path], *, project: str, time_zone: str, policies: Policies
    ) -> None:
        self._board = board
        self._files = list(files)
        self._project = project
        self._zone = slots.zone_of(time_zone)
        self._time_zone = time_zone
        self._policies = policies
        self._seen: dict[Path, _Seen] = {}
        self._dropped_others = False

    async def take_in(self) -> int:
        """Take in every file that changed, or whose day did; how many tasks were posted."""
        posted = 0
        if not self._dropped_others:
            await self._drop_unnamed()
        for file in self._files:
            now = _Seen(await asyncio.to_thread(_stamp, file), self._today())
            if self._seen.get(file) != now:
                posted += await self._take(file)
                self._seen[file] = now
        return posted

    def next_day_in(self) -> float:
        """Seconds until a new day begins in the zone."""
        local = from_text(self._board.clock.now()).astimezone(self._zone)
        midnight = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), self._zone)
        return max(1.0, seconds_between(self._board.clock.now(), to_text(midnight)))

    def _today(self) -> str:
        return from_text(self._board.clock.now()).astimezone(self._zone).date().isoformat()

    def _source(self, file: Path) -> str:
        return "file:" + os.path.relpath(file, self._board.path.parent)

    async def _take(self, file: Path) -> int:
        try:
            document = await asyncio.to_thread(slot_files.read, file)
            schedule = slots.read_schedule(
                document, source=self._source(file), project=self._project, time_zone=self._time_zone, complete=True
            )
            taken = await self._board.write(slots.take_in, schedule, self._policies, ENGINE)
        except Unavailable:
            raise
        except BlackboardError as error:
            await self._refused(file, error.sentence)
            return 0
        except ValueError as error:  # text that no board can keep: a lone surrogate
            await self._refused(file, f"it holds text that cannot be kept: {error}")
            return 0
        return len(taken.tasks)

    async def _refused(self, file: Path, sentence: str) -> None:
        reason = f"{file.name}: {sentence}; what it said before stays"
        await self._board.write(_tell_refused, reason)

    async def _drop_unnamed(self) -> None:
        """A file the configuration no longer names has left with all its slots."""
        named = {self._source(file) for file in self._files}
        for row in await self._board.all(SOURCES):
            if row["source"] not in named:
                empty = slots.Schedule(row["source"], [], self._project, self._time_zone, complete=True)
                await self._board.write(slots.take_in, empty, self._policies, ENGINE)
        self._dropped_others = True


SOURCES = "SELECT DISTINCT source FROM slots WHERE source LIKE 'file:%' AND removed_at IS NULL"


def _tell_refused(tx: Any, reason: str) -> None:
    journal.tell(tx, "schedule_refused", actor=ENGINE, reason=reason)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
