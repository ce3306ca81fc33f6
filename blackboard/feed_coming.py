"""The times of slots that have no task yet: rules beyond what is posted ahead, and each day's HH:MM of a slot file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache

from blackboard import recurring, slot_records
from blackboard.board import Rows
from blackboard.clock import from_text, to_text
from blackboard.errors import Invalid
from blackboard.occurrences import title_of
from blackboard.repeating import record_of
from blackboard.slot_records import OPEN_STATUSES, Wish, due, zone_of

MOST = 500  # of one slot: a rule for every few minutes would fill any calendar
LONGEST = 2_000

SLOTS = """
SELECT * FROM slots
 WHERE removed_at IS NULL AND (repeat IS NOT NULL OR day IS NULL AND source GLOB 'file:*') AND (:agent IS NULL OR agent_id = :agent)
 ORDER BY id
"""


def times(rows: Rows, now: str, until: str, agent: str | None) -> Iterator[tuple[sqlite3.Row, str, str]]:
    """(slot, which occurrence, when) of all that is to come after now; some may have their task."""
    for slot in rows.all(SLOTS, agent=agent):
        if slot["status"] in OPEN_STATUSES:
            rule = (slot["repeat"], slot["time_zone"], slot["scheduled_at"])
            found = (
                _of_rule(*rule, max(slot["posted_until"] or now, now), until)
                if slot["repeat"]
                else _daily(*rule[1:], now, until)
            )
            yield from ((slot, name, due_at) for name, due_at in found)


@lru_cache(maxsize=1024)  # a rule is posted a day ahead at a time: until then the answer is the same
def _of_rule(rule: str, zone: str, first: str, after: str, until: str) -> tuple[tuple[str, str], ...]:
    try:
        found = recurring.times(
            rule, zone_of(zone), slot_records.first(first), from_text(after), from_text(until), MOST
        )
    except (Invalid, OverflowError):
        return ()
    return tuple((to_text(each), to_text(each)) for each in found)


def _daily(zone_name: str, wall: str, now: str, until: str) -> list[tuple[str, str]]:
    """The HH:MM of each day, by the day's name; nothing for a slot that is meant once."""
    found = []
    try:
        zone = zone_of(zone_name)
        day = from_text(now).astimezone(zone).date()
        while (due_at := due(wall, zone, day))[0] < until and due_at[1] != "once":
            if due_at[0] > now:
                found.append((due_at[1], due_at[0]))
            day += timedelta(days=1)
    except (Invalid, OverflowError):
        return []
    return found


def words(slot: sqlite3.Row) -> tuple[str, str]:
    """The title and the description that the task of a slot will have."""
    record = record_of(slot)
    wish = Wish.model_validate(record.event_data or {})
    return title_of(record, wish), wish.description[:LONGEST]
