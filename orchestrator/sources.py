"""Slot files as a source: noticed when they change, taken in whole, faults told once.

A file is taken in again when it changes and when a new day begins in its zone (HH:MM means every day then).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from blackboard import slot_records, slots, sources
from blackboard.board import Board, Tx
from blackboard.clock import from_text
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
        self._zone = slot_records.zone_of(time_zone)
        self._time_zone = time_zone
        self._policies = policies
        self._seen: dict[Path, _Seen] = {}
        self._zones: dict[Path, ZoneInfo] = {}  # of files that name their own
        self._dropped_others = False

    async def take_in(self) -> bool:
        """Take in every file that changed, or whose day did; whether the board is another one now."""
        changed = False
        if not self._dropped_others:
            await self._drop_unnamed()
        for file in self._files:
            now, found = self._board.clock.now(), await asyncio.to_thread(stamp, file)
            if self._seen.get(file) != _Seen(found, self._day(file, now)):
                changed |= await self._take(file)
                self._seen[file] = _Seen(found, self._day(file, now))
        return changed

    def new_day(self) -> bool:
        """Whether a day has begun, in the zone of a file, since it was taken in."""
        now = self._board.clock.now()
        return any(seen.day != self._day(file, now) for file, seen in self._seen.items())

    def next_day_in(self) -> float:
        """Seconds until a new day begins in the zone of a file."""
        now = from_text(self._board.clock.now())
        return max(1.0, min((_until_midnight(now, self._zone_of(file)) for file in self._files), default=86400.0))

    def _zone_of(self, file: Path) -> ZoneInfo:
        return self._zones.get(file, self._zone)

    def _day(self, file: Path, now: str) -> str:
        return from_text(now).astimezone(self._zone_of(file)).date().isoformat()

    def _source(self, file: Path) -> str:
        return "file:" + os.path.relpath(file, self._board.path.parent)

    async def _take(self, file: Path) -> bool:
        try:
            document = await asyncio.to_thread(slot_files.read, file)
            schedule = slots.read_schedule(
                document, source=self._source(file), project=self._project, time_zone=self._time_zone, complete=True
            )
            self._zones[file] = slot_records.zone_of(schedule.time_zone)
            taken = await self._board.write(_answered, schedule, self._policies)
        except Unavailable:
            raise
        except BlackboardError as error:
            await self._refused(file, error.sentence)
            return False
        except ValueError as error:  # text that no board can keep: a lone surrogate
            await self._refused(file, f"it holds text that cannot be kept: {error}")
            return False
        return bool(taken.tasks or taken.changed or taken.removed)

    async def _refused(self, file: Path, sentence: str) -> None:
        await self._board.write(sources.failed, self._source(file), sentence.removeprefix(f"{self._source(file)}: "))

    async def _drop_unnamed(self) -> None:
        """A file the configuration no longer names has left with all its slots."""
        named = {self._source(file) for file in self._files}
        for name in await self._board.read(sources.unnamed, "file", named):
            await self._board.write(leave, name, self._policies)
        self._dropped_others = True


def _answered(tx: Tx, schedule: slots.Schedule, policies: Policies) -> slots.Taken:
    """Bring the board up to a file, and say that it could be."""
    sources.answered(tx, schedule.source)
    return slots.take_in(tx, schedule, policies, ENGINE)


def leave(tx: Tx, name: str, policies: Policies) -> None:
    """A source that the configuration names no more leaves with all its slots."""
    slots.take_in(tx, slots.Schedule(name, [], "", complete=True), policies, ENGINE)
    sources.forget(tx, name)


def _until_midnight(now: datetime, zone: ZoneInfo) -> float:
    local = now.astimezone(zone)
    midnight = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), zone)
    return (midnight.astimezone(UTC) - now).total_seconds()


def stamp(file: Path) -> tuple[int, int, int] | None:
    """What a file is recognised by; None when it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
