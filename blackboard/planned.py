"""What the slots plan: each with its latest task and when it is due next. Only reads."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any

from blackboard import recurring, slot_records
from blackboard.board import Rows
from blackboard.clock import from_text, plus, to_text
from blackboard.errors import Invalid
from blackboard.slot_records import OPEN_STATUSES, due, zone_of

MOST_TIMES = 5

# The latest task of a slot is the one of its latest occurrence: found by the index one_task_an_occurrence.
PLANNED = """
SELECT s.id, s.agent_id AS agent, s.uid, s.project_id AS project, s.source, s.scheduled_at, s.time_zone, s.day, s.slot_type,
       s.repeat, s.missed, s.missed_within, s.overlap, s.deadline, s.estimated_duration, s.priority, s.status, s.removed_at, t.id AS task, t.status AS task_status, t.due_at AS task_due
  FROM slots s LEFT JOIN tasks t ON t.id = (SELECT id FROM tasks WHERE slot_id = s.id ORDER BY occurrence DESC LIMIT 1)
 WHERE :agent IS NULL OR s.agent_id = :agent
 ORDER BY s.agent_id, s.scheduled_at, s.id
"""


def planned(rows: Rows, now: str, *, agent: str | None = None, everything: bool = False) -> list[dict[str, Any]]:
    """The slots that still plan something, or all that ever were; `next`: the UTC time it is due next, or None."""
    found = []
    for row in rows.all(PLANNED, agent=agent):
        times = next_times(rows, row, now)
        found.append(dict(row) | {"next": min(times, default=None), "times": times})
    return [row for row in found if everything or row["next"] is not None]


PENDING = "SELECT due_at FROM tasks WHERE slot_id = :slot AND status = 'pending' ORDER BY due_at LIMIT :most"


def next_times(rows: Rows, row: sqlite3.Row, now: str) -> list[str]:
    """When a slot is due next, up to five times: those whose task waits, then those that are to come."""
    waiting = [task["due_at"] for task in rows.all(PENDING, slot=row["id"], most=MOST_TIMES)]
    if row["removed_at"] is not None or row["status"] not in OPEN_STATUSES:
        return waiting
    coming = _by_rule(row, now) if row["repeat"] is not None else _daily(row, now)
    return sorted({*waiting, *coming})[:MOST_TIMES]


def _by_rule(row: sqlite3.Row, now: str) -> list[str]:
    """The next times of a rule, looked for further and further ahead: one may be due only on a 29 February."""
    starts, zone = slot_records.first(row["scheduled_at"]), zone_of(row["time_zone"])
    found: list[str] = []
    for days in (2, 60, 2000):
        until = from_text(plus(now, days * 86400))
        found = [to_text(each) for each in recurring.times(row["repeat"], zone, starts, from_text(now), until)]
        if len(found) >= MOST_TIMES:
            break
    return found[:MOST_TIMES]


def _daily(row: sqlite3.Row, now: str) -> list[str]:
    """A wall time of a file without a date is meant every day; anything else is once."""
    if row["day"] is not None or not row["source"].startswith("file:"):
        return []
    zone = zone_of(row["time_zone"])
    today = from_text(now).astimezone(zone).date()
    try:
        found = [due(row["scheduled_at"], zone, today + timedelta(days=days)) for days in range(1, MOST_TIMES + 1)]
    except Invalid:
        return []
    return [when for when, occurrence in found if occurrence != "once"]


# By the index tasks_of_slots_by_time.
UPCOMING = """
SELECT t.id AS task, t.due_at, t.agent_id AS agent, t.title, s.source FROM tasks t JOIN slots s ON s.id = t.slot_id
 WHERE t.slot_id IS NOT NULL AND t.due_at > :now AND t.status = 'pending' ORDER BY t.due_at, t.id LIMIT :most
"""


def upcoming(rows: Rows, now: str, most: int) -> list[sqlite3.Row]:
    """The tasks of slots that are due next."""
    return rows.all(UPCOMING, now=now, most=most)
