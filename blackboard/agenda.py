"""What the board plans for a day, as a calendar's records: what GET /calendar/sync and /calendar/day give. Only reads.

A record is one occurrence of a slot: the fields its source gave, unknown ones too, and the day's word for how it stands.
One that is meant once, or for one named day, has an `id`; one of a rule or of an HH:MM has a `virtual_id`, which names
the slot and the occurrence. `scheduled_at` is UTC with its Z, never a bare HH:MM, which a reader would take for UTC.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from blackboard import recurring, slot_records
from blackboard.board import Rows
from blackboard.clock import from_text, plus, to_text
from blackboard.errors import Invalid, NotFound
from blackboard.record import Record
from blackboard.slot_records import OPEN_STATUSES, due, zone_of

Word = Literal["not_started", "ongoing", "deferred", "skipped", "paused", "finished", "aborted"]
WORDS: tuple[Word, ...] = get_args(Word)
ENGINE = "engine:calendar"  # who moved a task because of what an instance reported
OVERDUE_DAYS = 31  # what still waits from so many days ago is on today's agenda too
# Seconds from now: what a rule means later is not told, for it has to be counted there.
REPEATS_FOR = 10 * 366 * 86400.0

Agenda = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Occurrence:
    """One time of a slot: its row, which occurrence, its UTC text, its task and what an instance reported, if any."""

    slot: sqlite3.Row
    name: str
    due_at: str
    task: sqlite3.Row | None = None
    report: sqlite3.Row | None = None

    @property
    def is_real(self) -> bool:
        """Whether the slot's own number says which occurrence is meant."""
        return self.name == "once" or (self.name == self.slot["day"] and self.slot["repeat"] is None)

    @property
    def ids(self) -> dict[str, Any]:
        """Its `id` and `virtual_id`, one of them null."""
        if self.is_real:
            return {"id": self.slot["id"], "virtual_id": None}
        return {"id": None, "virtual_id": virtual_id(self.slot["id"], self.name)}

    @property
    def task_id(self) -> int:
        """The number of its task; NotFound when it has none."""
        if self.task is None:
            raise NotFound(UNKNOWN)
        return int(self.task["id"])

    @property
    def word(self) -> Word:
        """How it stands, in a calendar's words."""
        return word_of(self.task, self.report["status"] if self.report is not None else None, self.slot["status"])

    def record(self) -> dict[str, Any]:
        """It as a calendar's record."""
        slot, task, report = self.slot, self.task, self.report
        own, extra = json.loads(slot["event_data"]), dict(json.loads(slot["extra"]))
        minutes = slot["estimated_duration"]
        if minutes is None and task is not None:
            minutes = task["wall_seconds"] / 60
        said = {
            "agent_id": slot["agent_id"], "slot_type": slot["slot_type"], "estimated_duration": _whole(minutes or 0),
            "scheduled_at": self.due_at, "status": self.word, "priority": slot["priority"], "event_type": slot["event_type"],
            "event_data": own or None, "task_id": task["id"] if task is not None else None,
            "started_at": report["started_at"] if report is not None else None,
            "actual_duration": _whole(report["actual_duration"]) if report is not None else None,
        }  # fmt: skip
        return extra | self.ids | said


def virtual_id(slot: int, occurrence: str) -> str:
    """What one time of a slot is called elsewhere: `7-20260131`, or `7-20260131T090000Z`."""
    return f"{slot}-{re.sub(r'[-:]|[.]000', '', occurrence)}"


OF_STATUS: Mapping[str, Word] = {
    "claimed": "ongoing", "working": "ongoing", "review": "ongoing", "done": "finished", "failed": "aborted",
}  # fmt: skip


def word_of(task: Record | None, said: Word | None = None, own: str = "") -> Word:
    """How an occurrence stands, in a calendar's words: what its task did here, else what was reported of it, else its
    source's `own` word."""
    if task is None:
        return said or (own if own in WORDS else "skipped" if own.startswith("cancel") else "not_started")
    status, begun = task["status"], task["attempt_id"] is not None
    if status == "pending":
        later = begun or task["not_before"] is not None or own == "deferred"
        return "deferred" if later or said == "deferred" else "not_started"
    if status == "blocked":
        return said if said is not None and task["actor"] == ENGINE else "paused"
    if status == "cancelled":
        return said if said is not None and task["actor"] == ENGINE else "aborted" if begun else "skipped"
    return OF_STATUS[status]


def _whole(number: float | None) -> float | None:
    return int(number) if number is not None and number == int(number) else number


class Day(NamedTuple):
    """A day in a zone: its name, and as UTC text its begin and what is just after its end."""

    name: str
    begin: str
    end: str

    @classmethod
    def of(cls, day: date, zone: ZoneInfo) -> Day:
        """The whole day, which on the days the clocks change has 23 or 25 hours."""
        begin = datetime.combine(day, time(), zone).astimezone(UTC)
        try:
            end = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
        except OverflowError:
            raise Invalid(f"date {day} is the last there is: name an earlier one") from None
        return cls(day.isoformat(), to_text(begin), to_text(end))

    @classmethod
    def now(cls, now: str, zone: ZoneInfo) -> Day:
        """The day that an instant is in."""
        return cls.of(from_text(now).astimezone(zone).date(), zone)


def of_day(rows: Rows, now: str, day: Day, *, agent: str | None = None, overdue: bool = False) -> Agenda:
    """Every agent's records of a day, in the order of their times; an agent without any has an empty list.

    `overdue`: with what still waits from the days before.
    """
    found: Agenda = {row["id"]: [] for row in rows.all(AGENTS, agent=agent)}
    since = plus(day.begin, -OVERDUE_DAYS * 86400) if overdue else day.begin
    for each in _all(rows, now, day, agent, since):
        found.setdefault(each.slot["agent_id"], []).append(each.record())
    for records in found.values():
        records.sort(key=lambda record: (record["scheduled_at"], record["id"] or 0, record["virtual_id"] or ""))
    return found


AGENTS = "SELECT id FROM agents WHERE enabled AND (:agent IS NULL OR id = :agent) ORDER BY id"
# By the index tasks_of_slots_by_time. Of the days before only what still waits.
_OF_DAY = """
slot_id IS NOT NULL AND due_at >= :since AND due_at < :end AND (:agent IS NULL OR agent_id = :agent)
   AND (due_at >= :begin OR status IN ('pending','claimed','working','review','blocked'))
"""
TASKS = f"SELECT * FROM tasks WHERE {_OF_DAY}"  # noqa: S608 - our own constant
OF_TASKS = f"SELECT * FROM slots WHERE id IN (SELECT slot_id FROM tasks WHERE {_OF_DAY})"  # noqa: S608 - our own constant
# The slots with a time that may have no task: those of a rule, those of every day, and those that their source has
# settled itself. Most slots that ever were have their one task, and are not read.
OTHERS = """
SELECT * FROM slots s WHERE removed_at IS NULL AND (:agent IS NULL OR agent_id = :agent)
   AND CASE WHEN repeat IS NOT NULL THEN 1
            WHEN day IS NULL AND scheduled_at GLOB '[0-9][0-9]:*' THEN source GLOB 'file:*'
            ELSE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.slot_id = s.id AND t.occurrence = coalesce(s.day, 'once')) END
"""
REPORTS = "SELECT * FROM slot_reports WHERE slot_id = :slot AND occurrence = :occurrence"


def _all(rows: Rows, now: str, day: Day, agent: str | None, since: str) -> list[Occurrence]:
    span = {"since": since, "begin": day.begin, "end": day.end, "agent": agent}
    slots = {row["id"]: row for row in rows.all(OF_TASKS, **span)}
    found = {}
    for task in rows.all(TASKS, **span):
        slot, name = slots[task["slot_id"]], task["occurrence"]
        if slot["removed_at"] is None or task["status"] != "cancelled":  # what was begun for one that has left is told
            found[slot["id"], name] = Occurrence(slot, name, task["due_at"], task, _report(rows, slot["id"], name))
    for slot in rows.all(OTHERS, agent=agent):
        for name, due_at in _without_task(rows, slot, now, day):
            if (slot["id"], name) not in found and rows.one(TASK, slot=slot["id"], occurrence=name) is None:
                found[slot["id"], name] = Occurrence(slot, name, due_at, None, _report(rows, slot["id"], name))
    return list(found.values())


SLOT = "SELECT * FROM slots WHERE id = :id"
TASK = "SELECT * FROM tasks WHERE slot_id = :slot AND occurrence = :occurrence"


def _report(rows: Rows, slot: int, occurrence: str) -> sqlite3.Row | None:
    return rows.one(REPORTS, slot=slot, occurrence=occurrence)


def _without_task(rows: Rows, slot: sqlite3.Row, now: str, day: Day) -> list[tuple[str, str]]:
    """The times of a slot within a day that may have no task: those to come, and those its source has settled itself."""
    zone = zone_of(slot["time_zone"])
    try:
        if slot["repeat"] is not None:
            if slot["status"] not in OPEN_STATUSES or day.begin > plus(now, REPEATS_FOR):
                return []
            after = from_text(max(now, plus(day.begin, -0.001)))
            starts = slot_records.first(slot["scheduled_at"])
            times = recurring.times(slot["repeat"], zone, starts, after, from_text(plus(day.end, -0.001)))
            return [(to_text(each), to_text(each)) for each in times]
        day_of = from_text(day.begin).astimezone(zone).date()
        daily = slot["day"] is None and slot["source"].startswith("file:")
        days = [date.fromisoformat(slot["day"])] if slot["day"] else [day_of, day_of + timedelta(days=1)]
        found = {name: due_at for due_at, name in (due(slot["scheduled_at"], zone, each) for each in days)}
    except (Invalid, OverflowError):
        return []
    if daily:
        open_ = slot["status"] in OPEN_STATUSES
        within = {name: due_at for name, due_at in found.items() if name != "once" and open_ and due_at > now}
    else:
        within = {name: due_at for name, due_at in found.items() if name in ("once", slot["day"])}
    return [(name, due_at) for name, due_at in within.items() if day.begin <= due_at < day.end]


_VIRTUAL = re.compile(
    r"([1-9][0-9]{0,17})-([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})([0-9]{2})Z)?", re.ASCII
)
UNKNOWN = "there is no such slot: GET /calendar/sync names each with its id, or its virtual_id where it repeats"


def find(rows: Rows, which: int | str) -> Occurrence:
    """The occurrence with a task that an `id` or a `virtual_id` names; NotFound."""
    match = _VIRTUAL.fullmatch(which) if isinstance(which, str) else None
    slot = None
    if match is not None or isinstance(which, int):
        slot = rows.one(SLOT, id=int(match[1]) if match else which)
    if slot is None:
        raise NotFound(UNKNOWN)
    for name in (_name(match),) if match else ("once", slot["day"]):
        task = rows.one(TASK, slot=slot["id"], occurrence=name)
        if task is not None:
            each = Occurrence(slot, name, task["due_at"], task, _report(rows, slot["id"], name))
            if each.is_real is (match is None):
                return each
    raise NotFound(f"slot {which} has no task on this board: its source has settled it, or it is too far ahead")


def _name(match: re.Match[str]) -> str:
    """The occurrence that a virtual id names, as in tasks.occurrence."""
    day = "-".join(match.group(2, 3, 4))
    return day if match[5] is None else f"{day}T{':'.join(match.group(5, 6, 7))}.000Z"
