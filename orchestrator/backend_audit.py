"""A day as a calendar backend has it, beside the day as the board has it. Only told: nothing is mended.

The backend's answer for a day holds every slot, in any status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from blackboard import slot_names, slot_records
from blackboard.board import Rows
from blackboard.clock import to_text
from blackboard.errors import Invalid
from orchestrator.backend_calls import Calls
from orchestrator.backends import KIND
from orchestrator.config import Settings
from orchestrator.config_backends import BackendConfig


class Difference(NamedTuple):
    """What is not the same. `kind`: missing (on the board), extra (on it), different, or unreadable (at the backend)."""

    agent: str
    slot: str
    kind: str
    sentence: str


def compared(rows: Rows, settings: Settings, name: str, day: str) -> list[Difference]:
    """The differences of a day, agent by agent; NoAnswer. Asks for every agent that is here."""
    config = settings.backends[name]
    return [each for agent in settings.agents for each in _of_agent(rows, config, f"{KIND}:{name}", agent, day)]


def _of_agent(rows: Rows, config: BackendConfig, source: str, agent: str, day: str) -> Iterator[Difference]:
    zone = slot_records.zone_of(config.time_zone)
    ours = {
        row["uid"]: row for row in slot_names.of_day(rows, source, agent, *_bounds(date.fromisoformat(day), config))
    }
    seen = set()
    for index, given in enumerate(asyncio.run(Calls(config).day(config.theirs(agent), day))):
        try:
            if not isinstance(given, Mapping):
                raise Invalid("it is no object")
            record = slot_records.read(given)
            when, _ = slot_records.due(record.scheduled_at, zone, date.fromisoformat(day))
        except Invalid as refusal:
            yield Difference(agent, f"slots[{index}]", "unreadable", refusal.sentence)
            continue
        row = ours.get(record.uid) or next(
            (each for each in ours.values() if record.virtual_id and each["virtual_id"] == record.virtual_id), None
        )
        if row is None:
            if record.status in slot_records.OPEN_STATUSES:
                yield Difference(agent, record.uid, "missing", f"it is planned at {when}, and is not on the board")
            continue
        seen.add(row["uid"])
        theirs = {
            "scheduled_at": when,
            "status": record.status,
            "priority": record.priority,
            "estimated_duration": record.estimated_duration,
        }
        mine: dict[str, Any] = {**{key: row[key] for key in theirs}, "scheduled_at": slot_names.planned_at(row)}
        said = [f"{key} is {theirs[key]} there and {mine[key]} here" for key in theirs if theirs[key] != mine[key]]
        if said:
            yield Difference(agent, record.uid, "different", "; ".join(said))
    for uid in sorted(uid for uid, row in ours.items() if uid not in seen and row["removed_at"] is None):
        yield Difference(agent, uid, "extra", "it is on the board, and not there")


def _bounds(day: date, config: BackendConfig) -> tuple[str, str]:
    zone = slot_records.zone_of(config.time_zone)
    begin, end = (datetime.combine(each, time(), zone) for each in (day, day + timedelta(days=1)))
    return to_text(begin), to_text(end)
