"""What `check` says of a calendar: whether it can be read now, and what it plans in the next week. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from blackboard import feed
from blackboard.board import ReadOnly
from blackboard.errors import BlackboardError
from orchestrator import calendar_reading, calendar_slots
from orchestrator.asking import NoAnswer
from orchestrator.calendars import fetched
from orchestrator.config import Settings

DAYS = 7
SECONDS = 20.0


def _mark(settings: Settings) -> str:
    """That of the board, if there is one already."""
    if not settings.board.exists():
        return ""
    with ReadOnly(settings.board) as board:
        return feed.mark(board)


def looked_at(name: str, settings: Settings) -> Iterator[tuple[Literal["ok", "warn", "fail"], str]]:
    """The findings about one calendar."""
    config = settings.calendars[name]
    now = datetime.now(UTC)
    try:
        ours = _mark(settings)
        text = asyncio.run(fetched(config, SECONDS))
        zone, until = ZoneInfo(config.time_zone), now + timedelta(days=DAYS)
        reading = calendar_reading.read(text, zone=zone, begin=now, until=until, all_day_at=config.day_begins)
        found = asyncio.run(reading)
    except (NoAnswer, BlackboardError) as error:
        yield "fail", str(error)
        return
    records, refused = calendar_slots.slots_of(name, found, config, settings.agents, ours)
    yield from (("warn", f"{which}: {why}") for which, why in refused)
    planned = sum(record["status"] == "not_started" for _, record in records)
    yield "ok", f"{planned} planned in the next {DAYS} days"
