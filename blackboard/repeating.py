"""A slot that repeats: its rule turned into tasks, a day ahead, and what becomes of the times that an outage passed over.

`slots.posted_until` says how far a slot is done, so that nothing is posted twice and nothing between two looks is lost.
"""

from __future__ import annotations

import json
import sqlite3
from zoneinfo import ZoneInfo

from blackboard import journal, recurring, slot_records, verbs
from blackboard.board import Rows, Tx
from blackboard.clock import from_text, plus, seconds_between, to_text
from blackboard.occurrences import Slot, cancel_pending, post
from blackboard.policy import Policies
from blackboard.slot_records import DROPPED_STATUSES, OPEN_STATUSES, SlotRecord, Wish, zone_of

HORIZON = 86400.0  # seconds that are posted ahead
AGAIN_BEFORE = HORIZON / 2  # less than this ahead: time to go on
MOST_MADE_UP = 100  # of one slot's missed times, the newest

POSTED_UNTIL = "SELECT posted_until FROM slots WHERE id = :id"
SET_POSTED_UNTIL = "UPDATE slots SET posted_until = :until WHERE id = :id"
NOT_BEGUN = (
    "SELECT id, due_at FROM tasks WHERE slot_id = :slot AND status = 'pending' AND attempt_id IS NULL AND due_at > :now"
)


def follow(tx: Tx, slot: Slot, zone: ZoneInfo, *, changed: bool = False) -> list[int]:
    """Post the slot's times up to HORIZON from now; the new tasks. `changed`: what its former rule planned is taken back."""
    if slot.record.status in DROPPED_STATUSES:
        cancel_pending(tx, slot.id, slot.actor, f"its slot is {slot.record.status}")
    if slot.record.status not in OPEN_STATUSES or slot.record.repeat is None:
        return []
    until = plus(tx.now, HORIZON)
    since = _since(tx, slot, until)
    if since >= until:
        return []
    coming = _times(slot, zone, max(since, tx.now), until)
    late = _times(slot, zone, since, tx.now)
    if changed:
        _take_back(tx, slot, keep={*late, *coming})
    if more := len(late) == recurring.MOST:
        late = [late[0], *_newest(slot, zone, since, tx.now)]
    made_up = _made_up(tx, slot, late)
    if len(made_up) < len(late):
        _tell_missed(tx, slot, [each for each in late if each not in made_up], more=more)
    # What was cut off is looked at from there the next time.
    tx.run(SET_POSTED_UNTIL, id=slot.id, until=coming[-1] if len(coming) == recurring.MOST else until)
    taken = {row["occurrence"] for row in tx.all(TAKEN, slot=slot.id, since=min([*late, *coming], default=until))}
    wanted = [*made_up, *coming]
    return [post(tx, slot, each, each) for each in wanted if each not in taken]


def _since(tx: Tx, slot: Slot, until: str) -> str:
    """Up to where the slot is done. Not beyond what is posted ahead: then the clock was wrong, and was set back."""
    row = tx.one(POSTED_UNTIL, id=slot.id)
    since = (row["posted_until"] if row is not None else None) or tx.now
    return str(since if since <= until else tx.now)


def _times(slot: Slot, zone: ZoneInfo, since: str, until: str) -> list[str]:
    """The times of its rule after one instant and up to another, at most recurring.MOST."""
    starts = slot_records.first(slot.record.scheduled_at)
    found = recurring.times(str(slot.record.repeat), zone, starts, from_text(since), from_text(until))
    return [to_text(each) for each in found]


def _newest(slot: Slot, zone: ZoneInfo, since: str, now: str) -> list[str]:
    """The newest of more times than are looked at in one question: at least as many as may be made up for."""
    many, few, found = since, now, list[str]()
    for _ in range(64):  # each halves the time between two instants
        middle = plus(many, seconds_between(many, few) / 2)
        found = _times(slot, zone, middle, now)
        if MOST_MADE_UP <= len(found) < recurring.MOST:
            break
        many, few = (many, middle) if len(found) < MOST_MADE_UP else (middle, few)
    return found


TAKEN = "SELECT occurrence FROM tasks WHERE slot_id = :slot AND occurrence >= :since"


def _made_up(tx: Tx, slot: Slot, late: list[str]) -> list[str]:
    """Which of the times that have passed without a task still get one."""
    in_time = [each for each in late if (by := slot.times(each)["begin_by"]) is None or by > tx.now]
    return in_time[-1:] if slot.record.missed == "run_once" else in_time[-MOST_MADE_UP:]


def _take_back(tx: Tx, slot: Slot, keep: set[str]) -> None:
    for row in tx.all(NOT_BEGUN, slot=slot.id, now=tx.now):
        if row["due_at"] not in keep:
            verbs.cancel(tx, row["id"], actor=slot.actor, reason=f"its slot is {slot.record.repeat} now")


def _tell_missed(tx: Tx, slot: Slot, times: list[str], *, more: bool) -> None:
    when = times[0] if len(times) == 1 else f"{times[0]} to {times[-1]}"
    count = "1 time" if len(times) == 1 else f"{'more than ' if more else ''}{len(times)} times"
    journal.tell(
        tx, "slot_missed", actor=slot.actor, agent_id=slot.agent, slot_id=slot.id,
        reason=f"{count} of {slot.record.uid} passed without a task ({when}): missed = {slot.record.missed}",
        data=json.dumps({"count": len(times), "first": times[0], "last": times[-1]}),
    )  # fmt: skip


# --- going on, day by day -------------------------------------------------------------------------------------------

# Posted further than any look ahead goes: the clock was set back since.
ENDING = """
SELECT * FROM slots WHERE repeat IS NOT NULL AND removed_at IS NULL AND posted_until < :until
UNION ALL
SELECT * FROM slots WHERE repeat IS NOT NULL AND removed_at IS NULL AND posted_until > :beyond ORDER BY posted_until
"""


def ending(rows: Rows, now: str) -> bool:
    """Whether a slot's rule has to go on."""
    return rows.one(ENDING, **_bounds(now)) is not None


def _bounds(now: str) -> dict[str, str]:
    return {"until": plus(now, AGAIN_BEFORE), "beyond": plus(now, HORIZON + AGAIN_BEFORE)}


def go_on(tx: Tx, policies: Policies) -> list[int]:
    """Post what every slot that repeats plans for the next day; the new tasks."""
    posted: list[int] = []
    for row in tx.all(ENDING, **_bounds(tx.now)):
        slot = _slot_of(row, policies)
        before = len(posted)
        posted += follow(tx, slot, zone_of(row["time_zone"]))
        if len(posted) == before:  # nothing planned, or it is not to be done now: look again tomorrow
            tx.run(SET_POSTED_UNTIL, id=row["id"], until=plus(tx.now, HORIZON))
    return posted


def record_of(row: sqlite3.Row) -> SlotRecord:
    """The record of a slot that repeats, as its row has it."""
    return SlotRecord(
        virtual_id=row["uid"].partition(":")[2], slot_type=row["slot_type"], estimated_duration=row["estimated_duration"],
        scheduled_at=row["scheduled_at"], repeat=row["repeat"], missed=row["missed"], missed_within=row["missed_within"],
        overlap=row["overlap"], deadline=row["deadline"], series=row["series"], status=row["status"], priority=row["priority"],
        event_type=row["event_type"], event_data=json.loads(row["event_data"]),
    )  # fmt: skip


def _slot_of(row: sqlite3.Row, policies: Policies) -> Slot:
    """A slot as its row has it."""
    record = record_of(row)
    wish = Wish.model_validate(record.event_data or {})
    return Slot(
        row["id"], row["agent_id"], row["project_id"], record, wish, policies.of(row["agent_id"]), "engine:slots"
    )
