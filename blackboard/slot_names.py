"""Which row of `slots` a record is: by its uid, or by the name it had before a backend made a real slot of a planned one.

A slot of a recurring plan has a `virtual_id` only; when the backend makes it real it gets an `id` too. It stays one
slot, and its occurrence one task.
"""

from __future__ import annotations

import sqlite3
from datetime import date
from zoneinfo import ZoneInfo

from blackboard.board import Rows, Tx
from blackboard.clock import from_text
from blackboard.errors import Invalid
from blackboard.slot_records import SlotRecord, due, zone_of

SLOT = "SELECT * FROM slots WHERE source = :source AND agent_id = :agent AND uid = :uid"
NAMED_BEFORE = (
    "SELECT * FROM slots WHERE source = :source AND agent_id = :agent AND virtual_id = :virtual ORDER BY id DESC"
)
RENAME = "UPDATE slots SET uid = :uid, virtual_id = :virtual WHERE id = :id"


def row_of(tx: Tx, source: str, agent: str, record: SlotRecord, zone: ZoneInfo, day: date) -> sqlite3.Row | None:
    """The slot's row, named anew where it became a real one; None when there is none yet."""
    row = tx.one(SLOT, source=source, agent=agent, uid=record.uid)
    if row is not None or not record.virtual_id or record.repeat is not None:
        return row
    on = _date(record.scheduled_at, zone, day)
    if record.id is None:  # an answer from before the backend made it real
        rows = tx.all(NAMED_BEFORE, source=source, agent=agent, virtual=record.virtual_id)
        return next((each for each in rows if planned_on(each) == on), None)
    row = tx.one(SLOT, source=source, agent=agent, uid=f"virtual:{record.virtual_id}")
    if row is None or planned_on(row) != on:
        return None
    become_real(tx, row, record.id)
    return row


def become_real(tx: Tx, row: sqlite3.Row, number: int) -> bool:
    """A slot of a plan has the id `number` from now on; whether it could be named so: not where another one is."""
    uid = f"id:{number}"
    if tx.one(SLOT, source=row["source"], agent=row["agent_id"], uid=uid) is not None:
        return False
    tx.run(RENAME, id=row["id"], uid=uid, virtual=row["uid"].removeprefix("virtual:"))
    return True


def _date(scheduled_at: str, zone: ZoneInfo, day: date) -> date:
    return from_text(due(scheduled_at, zone, day)[0]).astimezone(zone).date()


def planned_on(row: sqlite3.Row) -> date | None:
    """The day a slot's row is for, in its own zone; None for one that is for every day, or repeats."""
    when = planned_at(row)
    return from_text(when).astimezone(zone_of(row["time_zone"])).date() if when is not None else None


def planned_at(row: sqlite3.Row) -> str | None:
    """When a slot's row is due, as UTC text; None for one that is for every day, or repeats."""
    if row["repeat"] is not None or (row["day"] is None and ":" in row["scheduled_at"][:3]):
        return None
    day = date.fromisoformat(row["day"]) if row["day"] else date.min
    try:
        return due(row["scheduled_at"], zone_of(row["time_zone"]), day)[0]
    except Invalid:
        return None


def all_of(rows: Rows, source: str) -> list[sqlite3.Row]:
    """Every slot of a source that has not left it."""
    return rows.all("SELECT * FROM slots WHERE source = :source AND removed_at IS NULL ORDER BY id", source=source)


OF_AGENT = "SELECT * FROM slots WHERE source = :source AND agent_id = :agent ORDER BY id"


def of_day(rows: Rows, source: str, agent: str, begin: str, end: str) -> list[sqlite3.Row]:
    """An agent's slots of a source that are due from `begin` until before `end`, those that have left it too."""
    found = rows.all(OF_AGENT, source=source, agent=agent)
    return [row for row in found if begin <= (planned_at(row) or "") < end]
