"""What the slots plan: each with its latest task and when it is due next. Only reads."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any

from blackboard.board import Rows
from blackboard.clock import from_text
from blackboard.errors import Invalid
from blackboard.slots import OPEN_STATUSES, due, zone_of

# The latest task of a slot is the one of its latest occurrence: found by the index one_task_an_occurrence.
PLANNED = """
SELECT s.agent_id AS agent, s.uid, s.project_id AS project, s.source, s.scheduled_at, s.time_zone, s.day, s.slot_type,
       s.estimated_duration, s.priority, s.status, s.removed_at, t.id AS task, t.status AS task_status, t.due_at AS task_due
  FROM slots s LEFT JOIN tasks t ON t.id = (SELECT id FROM tasks WHERE slot_id = s.id ORDER BY occurrence DESC LIMIT 1)
 WHERE :agent IS NULL OR s.agent_id = :agent
 ORDER BY s.agent_id, s.scheduled_at, s.id
"""


def planned(rows: Rows, now: str, *, agent: str | None = None, everything: bool = False) -> list[dict[str, Any]]:
    """The slots that still plan something, or all that ever were; `next`: the UTC time it is due next, or None."""
    found = [dict(row) | {"next": _next(row, now)} for row in rows.all(PLANNED, agent=agent)]
    return [row for row in found if everything or row["next"] is not None]


def _next(row: sqlite3.Row, now: str) -> str | None:
    if row["task_status"] == "pending":
        due_at: str = row["task_due"]
        return due_at
    if row["removed_at"] is not None or row["status"] not in OPEN_STATUSES:
        return None
    return _tomorrow(row, now)


def _tomorrow(row: sqlite3.Row, now: str) -> str | None:
    """A wall time of a file without a date is meant every day; anything else is once."""
    if row["day"] is not None or not row["source"].startswith("file:"):
        return None
    zone = zone_of(row["time_zone"])
    try:
        when, occurrence = due(row["scheduled_at"], zone, from_text(now).astimezone(zone).date() + timedelta(days=1))
    except Invalid:
        return None
    return None if occurrence == "once" else when
