"""One slot record becomes one task: reading the record, its time, and taking a source's slots in.

A slot occurrence makes one task, however often it is taken in. A slot that moved moves its pending task, one
that left cancels it; once the task is claimed, neither does. Never fetches anything: sources hand records in.

Read next: blackboard/states.py (what can happen to the task).
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import zip_longest
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blackboard import calendars, journal, verbs
from blackboard.board import Rows, Tx
from blackboard.calendars import Placed
from blackboard.checks import Checks
from blackboard.clock import from_text, to_text
from blackboard.errors import Invalid
from blackboard.forms import Review
from blackboard.policy import Policies, Policy

OPEN_STATUSES = frozenset({"not_started", "deferred"})  # the source's words for "still to be done"
DROPPED_STATUSES = frozenset({"cancelled", "canceled", "aborted", "skipped", "finished"})


class SlotRecord(BaseModel):
    """A slot as its source gives it; fields we do not know are kept. `estimated_duration` is in minutes."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: int | None = None
    virtual_id: str | None = None
    slot_type: str = ""
    estimated_duration: Annotated[float, Field(gt=0, le=1e6)] | None = None
    scheduled_at: str
    status: str = "not_started"
    priority: Annotated[int, Field(ge=-(2**31), lt=2**31)] = 0
    event_type: str | None = None
    event_data: dict[str, Any] | None = None

    @property
    def uid(self) -> str:
        """What the slot is known by: `id:N` for a real one, `virtual:V` for one of a recurring plan."""
        if self.id is not None:
            return f"id:{self.id}"
        if self.virtual_id:
            return f"virtual:{self.virtual_id}"
        raise Invalid("a slot needs an id or a virtual_id: without one it cannot be recognised the next time")


class _Wish(BaseModel):
    """What event_data may say about the task; anything else in it is the task's data."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    title: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    description: str = ""
    must_haves: str = ""
    checks: Checks = Field(default_factory=list)
    type: str | None = None
    project: str | None = None
    review: Review | None = None
    max_review_tries: Annotated[int, Field(ge=1, le=1000)] | None = None
    max_tries: Annotated[int, Field(ge=1, le=1000)] | None = None
    backoff_seconds: Annotated[float, Field(ge=0, le=1e8)] | None = None
    backoff_cap_seconds: Annotated[float, Field(ge=0, le=1e8)] | None = None
    wall_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    idle_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    startup_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    settle_seconds: Annotated[float, Field(ge=0, le=1e8)] | None = None
    max_rejections: Annotated[int, Field(ge=0, le=1000)] | None = None
    needs_output: bool | None = None
    waits_for_children: bool | None = None
    max_same: Annotated[int, Field(ge=1, le=1000)] | None = None
    attempt_usd: Annotated[float, Field(gt=0, le=1e9)] | None = None
    attempt_tokens: Annotated[int, Field(ge=1, le=2**53)] | None = None
    task_usd: Annotated[float, Field(gt=0, le=1e9)] | None = None
    task_tokens: Annotated[int, Field(ge=1, le=2**53)] | None = None


_CLOCK_TIME = re.compile(r"^\d{2}:\d{2}(:\d{2})?$")


def due(scheduled_at: str, zone: ZoneInfo, day: date) -> tuple[str, str]:
    """When a slot is due, as UTC text, and which occurrence that is.

    `HH:MM` and `HH:MM:SS` are wall time of `day` in the schedule's zone; ISO 8601 without an offset is wall time
    too. Where the clocks jump forward a time that does not exist is read with the offset before the jump (02:30
    becomes 03:30); where they fall back the first of the two is meant. Invalid for anything else.
    """
    if _CLOCK_TIME.match(scheduled_at):
        try:
            return to_text(datetime.combine(day, time.fromisoformat(scheduled_at), zone)), day.isoformat()
        except (ValueError, OverflowError):
            raise Invalid(
                f"scheduled_at {scheduled_at!r} is no time of a day: write HH:MM from 00:00 to 23:59"
            ) from None
    try:
        instant = datetime.fromisoformat(scheduled_at)
        if "T" not in scheduled_at.upper() and " " not in scheduled_at:
            raise ValueError
        return to_text(instant if instant.tzinfo else instant.replace(tzinfo=zone)), "once"
    except (ValueError, OverflowError):
        raise Invalid(
            f"scheduled_at {scheduled_at!r} is not a time: write HH:MM, HH:MM:SS or ISO 8601 with a date and a time"
        ) from None


def zone_of(name: str) -> ZoneInfo:
    """The IANA zone of this name; Invalid."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Invalid(f"{name!r} is not an IANA time zone: write one such as Europe/Berlin, or UTC") from None


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
            record = _record(given)
            seen.add((agent, record.uid))
            _take_one(tx, schedule, agent, record, due(record.scheduled_at, zone, day), policies, actor, taken)
        except Invalid as refusal:
            _refuse(
                tx,
                f"{schedule.source}{', ' if place else ''}{place or ''}",
                agent,
                given,
                refusal.sentence,
                actor,
                taken,
            )
            seen |= _still_named(agent, given)
    if schedule.complete:
        _remove_others(tx, schedule.source, seen, actor, taken)
    return taken


def _record(given: Mapping[str, Any]) -> SlotRecord:
    try:
        record = SlotRecord.model_validate(given)
        _Wish.model_validate(record.event_data or {})
        json.dumps(given, default=str, allow_nan=False, ensure_ascii=False).encode()
    except ValidationError as error:
        raise Invalid(_first_fault(error)) from None
    except ValueError:
        raise Invalid("it holds what is not JSON (NaN, infinity, half of a surrogate pair): leave that out") from None
    return record


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc']) or 'the slot'}: {fault['msg']}"


def _still_named(agent: str, given: Mapping[str, Any]) -> set[tuple[str, str]]:
    """A refused slot has not left: what it was before stays."""
    return {(agent, f"id:{given.get('id')}"), (agent, f"virtual:{given.get('virtual_id')}")}


def _refuse(tx: Tx, where: str, agent: str, given: Mapping[str, Any], sentence: str, actor: str, taken: Taken) -> None:
    name = f"slot {given.get('id') or given.get('virtual_id') or '?'} of agent {agent or '?'} ({where})"
    name = _plain(name)
    taken.refused.append((name, sentence))
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
SLOT = "SELECT * FROM slots WHERE source = :source AND agent_id = :agent AND uid = :uid"
ADD = """
INSERT INTO slots (source, agent_id, uid, project_id, slot_type, estimated_duration, scheduled_at, time_zone, day, status, priority,
  event_type, event_data, extra, created_at)
VALUES (:source, :agent, :uid, :project, :slot_type, :estimated_duration, :scheduled_at, :time_zone, :day, :status, :priority,
  :event_type, :event_data, :extra, :now)
"""
CHANGE = """
UPDATE slots SET project_id = :project, slot_type = :slot_type, estimated_duration = :estimated_duration,
  scheduled_at = :scheduled_at, time_zone = :time_zone, day = :day, status = :status, priority = :priority, event_type = :event_type,
  event_data = :event_data, extra = :extra, removed_at = NULL
 WHERE id = :id
"""


def _take_one(
    tx: Tx,
    schedule: Schedule,
    agent: str,
    record: SlotRecord,
    when: tuple[str, str],
    policies: Policies,
    actor: str,
    taken: Taken,
) -> None:
    wish = _Wish.model_validate(record.event_data or {})
    project = wish.project or schedule.project
    _must_exist(tx, agent, project)
    day = schedule.day if when[1] != "once" else None
    columns = _columns(record, project, schedule.time_zone, day)
    row = tx.one(SLOT, source=schedule.source, agent=agent, uid=record.uid)
    if row is None:
        slot_id = tx.insert(ADD, source=schedule.source, agent=agent, uid=record.uid, now=tx.now, **columns)
        journal.tell(
            tx,
            "slot_added",
            actor=actor,
            agent_id=agent,
            slot_id=slot_id,
            reason=f"{record.uid} at {record.scheduled_at}",
        )
        taken.added += 1
    else:
        slot_id = row["id"]
        if row["removed_at"] is not None or any(
            row[_COLUMN.get(name, name)] != value for name, value in columns.items()
        ):
            tx.run(CHANGE, id=slot_id, **columns)
            journal.tell(
                tx,
                "slot_changed",
                actor=actor,
                agent_id=agent,
                slot_id=slot_id,
                reason=f"{record.uid} at {record.scheduled_at}",
            )
            taken.changed += 1
    _make_or_move_task(tx, slot_id, agent, project, record, wish, when, policies, actor, taken)


_COLUMN = {"project": "project_id"}


def _columns(record: SlotRecord, project: str, time_zone: str, day: str | None) -> dict[str, Any]:
    return {
        "project": project, "slot_type": record.slot_type, "estimated_duration": record.estimated_duration,
        "scheduled_at": record.scheduled_at, "time_zone": time_zone, "day": day, "status": record.status, "priority": record.priority,
        "event_type": record.event_type, "event_data": json.dumps(record.event_data or {}, sort_keys=True, default=str),
        "extra": json.dumps(record.model_extra or {}, sort_keys=True, default=str),
    }  # fmt: skip


def _must_exist(tx: Tx, agent: str, project: str) -> None:
    known = tx.one(KNOWN, agent=_plain(agent), project=_plain(project))
    if known is None or not known["agent"]:
        raise Invalid(f"there is no agent {agent!r}: name one of the configuration")
    if not known["project"]:
        raise Invalid(f"there is no project {project!r}: name one of the configuration")


TASK_OF = "SELECT * FROM tasks WHERE slot_id = :slot AND occurrence = :occurrence"
REPLAN = """
UPDATE tasks SET due_at = :due_at, priority = :priority, plan_rev = plan_rev + 1, planned_by = :actor
 WHERE id = :id AND status = 'pending' AND (due_at <> :due_at OR priority <> :priority)
"""


def _make_or_move_task(
    tx: Tx, slot_id: int, agent: str, project: str, record: SlotRecord, wish: _Wish, when: tuple[str, str], policies: Policies,
    actor: str, taken: Taken,
) -> None:  # fmt: skip
    due_at, occurrence = when
    task = tx.one(TASK_OF, slot=slot_id, occurrence=occurrence)
    if record.status in DROPPED_STATUSES:
        _cancel_pending(tx, slot_id, actor, f"its slot is {record.status}")
    elif task is None and record.status in OPEN_STATUSES:
        taken.tasks.append(_post(tx, slot_id, occurrence, due_at, agent, project, record, wish, policies, actor))
    elif task is not None:
        tx.run(REPLAN, id=task["id"], due_at=due_at, priority=record.priority, actor=actor)


def _post(
    tx: Tx, slot_id: int, occurrence: str, due_at: str, agent: str, project: str, record: SlotRecord, wish: _Wish,
    policies: Policies, actor: str,
) -> int:  # fmt: skip
    kind = record.event_type or record.slot_type or "slot"
    return verbs.post(
        tx, project=project, agent=agent, actor=actor, slot_id=slot_id, occurrence=occurrence, due_at=due_at,
        title=wish.title or f"{kind} {record.uid}", description=wish.description, must_haves=wish.must_haves, checks=wish.checks,
        task_type=wish.type or "general", priority=record.priority, data=record.event_data, policy=policy_of(record, wish, policies.of(agent)),
    )  # fmt: skip


def policy_of(record: SlotRecord, wish: _Wish, policy: Policy) -> Policy:
    """The agent's policy with what the slot says; the planned duration is the limit unless it names another."""
    if record.estimated_duration is not None:
        policy = policy.but({"wall_seconds": record.estimated_duration * 60})
    return policy.but(wish.model_dump())


PENDING_OF = "SELECT id FROM tasks WHERE slot_id = :slot AND status = 'pending' ORDER BY id"


def _cancel_pending(tx: Tx, slot_id: int, actor: str, reason: str) -> None:
    for task in tx.all(PENDING_OF, slot=slot_id):
        verbs.cancel(tx, task["id"], actor=actor, reason=reason)


OF_SOURCE = "SELECT id, agent_id, uid FROM slots WHERE source = :source AND removed_at IS NULL"
REMOVE = "UPDATE slots SET removed_at = :now WHERE id = :id"


def _remove_others(tx: Tx, source: str, seen: set[tuple[str, str]], actor: str, taken: Taken) -> None:
    for row in tx.all(OF_SOURCE, source=source):
        if (row["agent_id"], row["uid"]) in seen:
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
        _cancel_pending(tx, row["id"], actor, f"its slot {row['uid']} left {source}")
        taken.removed += 1


LIST = "SELECT * FROM slots WHERE removed_at IS NULL ORDER BY agent_id, scheduled_at, id"


def listed(rows: Rows) -> Iterable[sqlite3.Row]:
    """Every slot that has not left its source."""
    return rows.all(LIST)
