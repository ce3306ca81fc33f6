"""A source's slots on the board: taking a schedule in, and the task that each occurrence makes.

A slot occurrence makes one task, however often it is taken in. A slot that moved moves its pending task, one
that left cancels it; once the task is claimed, neither does. Never fetches anything: sources hand records in.

Read next: blackboard/states.py (what can happen to the task).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import zip_longest
from typing import Any
from zoneinfo import ZoneInfo

from blackboard import calendars, journal, repeating, slot_names, slot_records, write_backs
from blackboard.board import Rows, Tx
from blackboard.calendars import Placed
from blackboard.clock import from_text
from blackboard.errors import Invalid
from blackboard.occurrences import Slot, cancel_pending, put
from blackboard.policy import Policies
from blackboard.slot_records import SlotRecord, Wish, due, zone_of


@dataclass(frozen=True)
class Schedule:
    """What a source said at one time. `complete`: a slot of this source that is not in it has left."""

    source: str
    slots: list[tuple[str, Mapping[str, Any]]]  # agent, record as given
    project: str
    time_zone: str = "UTC"
    day: str | None = None  # which day HH:MM means; today in the zone when None
    complete: bool = False
    places: tuple[str, ...] = ()  # where each slot stands in its document, for sentences
    since: str = ""  # of a complete one: it says nothing of slots before this time, which stay as they are
    told: frozenset[tuple[str, str]] = frozenset()  # (which slot, why) of refusals that need no event any more


def read_schedule(
    document: Mapping[str, Any], *, source: str, project: str, time_zone: str, complete: bool
) -> Schedule:
    """A document with `slots = [{agent, …}]`, or a calendar's answer; Invalid with a sentence."""
    unknown = sorted(
        set(document) - {"slots", "schedules", "project", "time_zone", "date", "source", "full", "syncToken", "diff"}
    )
    if unknown and not calendars.is_signed(document):
        raise Invalid(
            f"{source}: unknown key {unknown[0]!r}: a schedule has slots or schedules, and project, time_zone, date"
        )
    zone = str(document.get("time_zone", time_zone))
    zone_of(zone)
    try:
        found, day = _placed_slots(document)
    except Invalid as refusal:
        raise Invalid(f"{source}: {refusal.sentence}") from None
    slots = [(each.agent, each.record) for each in found]
    places = tuple(each.place for each in found)
    return Schedule(source, slots, str(document.get("project", project)), zone, day, complete, places)


def _placed_slots(document: Mapping[str, Any]) -> tuple[list[Placed], str | None]:
    """Every slot with its agent and its place; and the day that HH:MM means."""
    listed = document.get("slots", [])
    if not isinstance(listed, list):
        raise Invalid("slots is a list of records with an agent, schedules a table of lists by agent")
    placed = []
    for index, record in enumerate(listed):
        if not isinstance(record, Mapping):
            raise Invalid(f"slots[{index}]: a slot is a table of fields, not {type(record).__name__}")
        own = {key: value for key, value in record.items() if key != "agent"}
        placed.append(Placed(str(record.get("agent", "")), own, f"slots[{index}]"))
    calendar = calendars.read(document if calendars.is_answer(document) else {"schedules": {}, **document})
    return [*calendar.slots, *placed], calendar.day


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(f"date {text!r} is not a day: write YYYY-MM-DD") from None


@dataclass
class Taken:
    """What taking a schedule in did; `refused` holds (which slot, why)."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    tasks: list[int] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def take_in(tx: Tx, schedule: Schedule, policies: Policies, actor: str = "engine:slots") -> Taken:
    """Bring the board up to a schedule. A bad slot is refused with an event and a sentence; the others go in."""
    taken, seen = Taken(), set[tuple[str, str]]()
    zone = zone_of(schedule.time_zone)
    day = _day(schedule.day) if schedule.day else from_text(tx.now).astimezone(zone).date()
    for (agent, given), place in zip_longest(schedule.slots, schedule.places):
        try:
            record = slot_records.read(given)
            seen.add((agent, record.uid))
            seen.add((agent, _take_one(tx, schedule, agent, record, zone, day, policies, actor, taken)))
        except Invalid as refusal:
            where = f"{schedule.source}{', ' if place else ''}{place or ''}"
            _refuse(tx, where, agent, given, refusal.sentence, actor, taken, schedule.told)
            seen |= _still_named(agent, given)
    if schedule.complete:
        _remove_others(tx, schedule, seen, actor, taken)
    return taken


def _still_named(agent: str, given: Mapping[str, Any]) -> set[tuple[str, str]]:
    """A refused slot has not left: what it was before stays."""
    return {(agent, f"id:{given.get('id')}"), (agent, f"virtual:{given.get('virtual_id')}")}


def _refuse(
    tx: Tx, where: str, agent: str, given: Mapping[str, Any], sentence: str, actor: str, taken: Taken,
    told: frozenset[tuple[str, str]],
) -> None:  # fmt: skip
    name = f"slot {given.get('id') or given.get('virtual_id') or '?'} of agent {agent or '?'} ({where})"
    name = _plain(name)
    taken.refused.append((name, sentence))
    if (name, sentence) in told:
        return
    journal.tell(tx, "slot_refused", actor=actor, reason=f"{name}: {sentence}", data=_evidence(given))


def _plain(text: str) -> str:
    """The text with what is no Unicode (half of a surrogate pair, in JSON) replaced: the board takes no other."""
    return text.encode("utf-8", "replace").decode()


def _evidence(given: Mapping[str, Any]) -> str:
    try:
        return json.dumps({"slot": given}, default=str, allow_nan=False)
    except ValueError:
        return json.dumps({"slot": repr(given)})


KNOWN = "SELECT (SELECT count(*) FROM agents WHERE id = :agent) AS agent, (SELECT count(*) FROM projects WHERE id = :project) AS project"
ADD = """
INSERT INTO slots (source, agent_id, uid, project_id, slot_type, estimated_duration, scheduled_at, time_zone, day, status, priority,
  event_type, event_data, extra, repeat, missed, missed_within, overlap, deadline, series, created_at)
VALUES (:source, :agent, :uid, :project, :slot_type, :estimated_duration, :scheduled_at, :time_zone, :day, :status, :priority,
  :event_type, :event_data, :extra, :repeat, :missed, :missed_within, :overlap, :deadline, :series, :now)
"""
CHANGE = """
UPDATE slots SET project_id = :project, slot_type = :slot_type, estimated_duration = :estimated_duration,
  scheduled_at = :scheduled_at, time_zone = :time_zone, day = :day, status = :status, priority = :priority, event_type = :event_type,
  event_data = :event_data, extra = :extra, repeat = :repeat, missed = :missed, missed_within = :missed_within, overlap = :overlap,
  deadline = :deadline, series = :series, removed_at = NULL, posted_until = NULL
 WHERE id = :id
"""


def _take_one(
    tx: Tx, schedule: Schedule, agent: str, record: SlotRecord, zone: ZoneInfo, day: date, policies: Policies, actor: str,
    taken: Taken,
) -> str:  # fmt: skip
    """Bring the board up to one slot; the uid that its row had before."""
    when = due(record.scheduled_at, zone, day) if record.repeat is None else None
    wish = Wish.model_validate(record.event_data or {})
    project = wish.project or schedule.project
    _must_exist(tx, agent, project)
    columns = _columns(record, project, schedule, schedule.day if when and when[1] != "once" else None)
    row = slot_names.row_of(tx, schedule.source, agent, record, zone, day)
    changed = False
    if row is None:
        slot_id = tx.insert(ADD, source=schedule.source, agent=agent, uid=record.uid, now=tx.now, **columns)
        taken.added += 1
    else:
        slot_id = row["id"]
        changed = row["removed_at"] is not None or any(
            row[_COLUMN.get(name, name)] != value for name, value in columns.items()
        )
        if changed:
            tx.run(CHANGE, id=slot_id, **columns)
            taken.changed += 1
    if row is None or changed:
        journal.tell(
            tx, "slot_changed" if changed else "slot_added", actor=actor, agent_id=agent, slot_id=slot_id,
            reason=f"{record.uid} at {' '.join(filter(None, (record.scheduled_at, record.repeat)))}",
        )  # fmt: skip
    slot = Slot(slot_id, agent, project, record, wish, policies.of(agent), actor)
    if when is not None:
        taken.tasks += put(tx, slot, *when, news=row is None or _is_news(tx, row, record.status))
    else:
        taken.tasks += repeating.follow(tx, slot, zone, changed=changed)
    return str(row["uid"]) if row is not None else record.uid


def _is_news(tx: Tx, row: sqlite3.Row, status: str) -> bool:
    """Whether a slot's status is another word than the last time, and not only our own one that comes back."""
    return (row["status"] != status or row["removed_at"] is not None) and not write_backs.said(tx, row["id"], status)


_COLUMN = {"project": "project_id"}


def _columns(record: SlotRecord, project: str, schedule: Schedule, day: str | None) -> dict[str, Any]:
    return {
        "project": project, "slot_type": record.slot_type, "estimated_duration": record.estimated_duration,
        "scheduled_at": record.scheduled_at, "time_zone": schedule.time_zone, "day": day, "status": record.status,
        "priority": record.priority, "event_type": record.event_type, "repeat": record.repeat, "missed": record.missed,
        "missed_within": record.missed_within, "overlap": record.overlap, "deadline": record.deadline, "series": record.series,
        "event_data": json.dumps(record.event_data or {}, sort_keys=True, default=str),
        "extra": json.dumps(record.model_extra or {}, sort_keys=True, default=str),
    }  # fmt: skip


def _must_exist(tx: Tx, agent: str, project: str) -> None:
    known = tx.one(KNOWN, agent=_plain(agent), project=_plain(project))
    if known is None or not known["agent"]:
        raise Invalid(f"there is no agent {agent!r}: name one of the configuration")
    if not known["project"]:
        raise Invalid(f"there is no project {project!r}: name one of the configuration")


OF_SOURCE = (
    "SELECT * FROM slots WHERE source = :source AND removed_at IS NULL AND (scheduled_at >= :since OR :on_a_day)"
)
# Its day is over: it is kept as long as something of it is open.
TIDY = """
UPDATE slots SET removed_at = :now WHERE id = :id
   AND NOT EXISTS (SELECT 1 FROM tasks WHERE slot_id = slots.id AND status NOT IN ('done','failed','cancelled'))
"""
REMOVE = "UPDATE slots SET removed_at = :now WHERE id = :id"


def _remove_others(tx: Tx, schedule: Schedule, seen: set[tuple[str, str]], actor: str, taken: Taken) -> None:
    source = schedule.source
    for row in tx.all(OF_SOURCE, source=source, since=schedule.since, on_a_day=schedule.day is not None):
        if (row["agent_id"], row["uid"]) in seen:
            continue
        if schedule.day and schedule.since and (slot_names.planned_at(row) or schedule.since) < schedule.since:
            tx.run(TIDY, id=row["id"], now=tx.now)
            continue
        tx.run(REMOVE, id=row["id"], now=tx.now)
        journal.tell(
            tx,
            "slot_removed",
            actor=actor,
            agent_id=row["agent_id"],
            slot_id=row["id"],
            reason=f"{row['uid']} left {source}",
        )
        cancel_pending(tx, row["id"], actor, f"its slot {row['uid']} left {source}")
        taken.removed += 1


LIST = "SELECT * FROM slots WHERE removed_at IS NULL ORDER BY agent_id, scheduled_at, id"


def listed(rows: Rows) -> Iterable[sqlite3.Row]:
    """Every slot that has not left its source."""
    return rows.all(LIST)
