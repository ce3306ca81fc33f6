"""What a calendar backend is to be told of its slots: derived from the events of their tasks, kept until it was taken.

At least once, and in order for each slot: a row leaves in the transaction that says what became of it. Moves that the
backend itself caused are not told. Sends nothing: orchestrator/write_back.py does.
"""

from __future__ import annotations

import math
import sqlite3
from typing import Any

from blackboard import journal, slot_names, sources, synced
from blackboard.board import Rows, Tx
from blackboard.clock import plus, seconds_between
from blackboard.policy import backoff

ENGINE = "engine:backend"  # who moves a task because its backend says so
MOST = 500  # events looked at in one write
LAG = 2000  # events after which the cursor moves on, though none of them was ours
FIRST_WAIT = 5.0
VIRTUAL_TRIES = 5  # a planned slot may be not there for a moment: the backend is just making it a real one


def row_name(source: str) -> str:
    """What the telling is called among the sources."""
    return f"{source}:write-back"


def word(dst: str, begun: bool) -> str | None:
    """What a backend calls the state that a task has come to; None where that is no news to it."""
    if dst == "cancelled":
        return "aborted" if begun else "skipped"
    return {
        "claimed": "ongoing",
        "pending": "deferred",
        "blocked": "paused",
        "done": "finished",
        "failed": "aborted",
    }.get(dst)


# --- gathering --------------------------------------------------------------------------------------------------------

LAST_EVENT = "SELECT coalesce(max(id), 0) AS id FROM events"
# An occurrence of an earlier day is over there: its slot is another day's now.
MOVES = """
SELECT e.id, e.at, e.dst, e.actor, e.attempt_id, t.id AS task, s.id AS slot, s.status AS known
  FROM events e JOIN tasks t ON t.id = e.task_id JOIN slots s ON s.id = t.slot_id
 WHERE e.id > :since AND e.id <= :until AND e.src IS NOT NULL AND e.dst IS NOT NULL
   AND s.source = :source AND t.occurrence IN ('once', s.day) ORDER BY e.id
"""
QUEUE = """
INSERT INTO write_backs (source, slot_id, task_id, event_id, status, started_at, actual_duration)
VALUES (:source, :slot, :task, :event, :status, :started, :duration)
"""
LAST_WORD = "SELECT status FROM write_backs WHERE slot_id = :slot ORDER BY id DESC LIMIT 1"
DROP = "DELETE FROM write_backs WHERE task_id = :task"


def begin(tx: Tx, source: str) -> None:
    """From now on what happens to the source's slots is gathered; a source that is gathered already goes on."""
    if "event" not in sources.state_of(tx, row_name(source)):
        _put_cursor(tx, source, _last_event(tx))


def gather(tx: Tx, source: str) -> int:
    """Queue what happened since the last time; how many events are still to be looked at."""
    since = int(sources.state_of(tx, row_name(source)).get("event", 0))
    last = _last_event(tx)
    until = min(last, since + MOST)
    for move in tx.all(MOVES, source=source, since=since, until=until):
        if move["actor"] == ENGINE:
            tx.run(DROP, task=move["task"])  # its backend has decided: what we had to say is no news
        else:
            _queue(tx, source, move)
    if until > since:
        _put_cursor(tx, source, until)
    return last - until


def news(rows: Rows, source: str) -> bool:
    """Whether there is something to gather; or so much that is not ours that the cursor should move on."""
    since = int(sources.state_of(rows, row_name(source)).get("event", 0))
    last = _last_event(rows)
    return last - since > LAG or (last > since and rows.one(MOVES, source=source, since=since, until=last) is not None)


def _queue(tx: Tx, source: str, move: sqlite3.Row) -> None:
    begun, minutes = _worked(tx, move["task"], move["at"])
    status = word(move["dst"], begun is not None)
    before = tx.one(LAST_WORD, slot=move["slot"])
    if status is None or status == (before["status"] if before is not None else move["known"]):
        return
    over = move["dst"] in ("done", "failed", "cancelled")
    tx.run(
        QUEUE, source=source, slot=move["slot"], task=move["task"], event=move["id"], status=status,
        started=move["at"] if status == "ongoing" else begun, duration=minutes if over and begun else None,
    )  # fmt: skip


WORKED = """
SELECT claimed_at, ended_at FROM attempts
 WHERE task_id = :task AND role = 'executor' AND claimed_at <= :at AND coalesce(outcome, '') NOT IN ('released', 'dry_run') ORDER BY id
"""


def _worked(tx: Tx, task: int, at: str) -> tuple[str | None, int]:
    """When work on a task began, None if it never did, and how many minutes it took until then, each begun one counted."""
    attempts = tx.all(WORKED, task=task, at=at)
    seconds = sum(max(0.0, seconds_between(each["claimed_at"], min(each["ended_at"] or at, at))) for each in attempts)
    return (attempts[0]["claimed_at"] if attempts else None), math.ceil(seconds / 60)


def _last_event(rows: Rows) -> int:
    row = rows.one(LAST_EVENT)
    return int(row["id"]) if row is not None else 0


def _put_cursor(tx: Tx, source: str, event: int) -> None:
    sources.keep_state(tx, row_name(source), {"event": event})


def said(tx: Rows, slot_id: int, status: str) -> bool:
    """Whether this word of a backend may be our own, which it has not confirmed yet."""
    return (
        tx.one("SELECT 1 FROM write_backs WHERE slot_id = :slot AND status = :status", slot=slot_id, status=status)
        is not None
    )


# --- telling ----------------------------------------------------------------------------------------------------------

# The oldest of each slot: what came later waits for it.
WAITING = """
SELECT w.*, s.uid, s.agent_id FROM write_backs w JOIN slots s ON s.id = w.slot_id
 WHERE w.source = :source AND w.id = (SELECT min(f.id) FROM write_backs f WHERE f.slot_id = w.slot_id)
 ORDER BY w.id
"""
TAKEN = "DELETE FROM write_backs WHERE id = :id"
KNOWN = "UPDATE slots SET status = :status WHERE id = :id"
POSTPONE = "UPDATE write_backs SET failures = failures + 1, error = :error, next_at = :next WHERE id = :id"


def waiting(rows: Rows, source: str) -> list[sqlite3.Row]:
    """What is to be told next of each slot, also where its time has not come."""
    return rows.all(WAITING, source=source)


def body(row: sqlite3.Row) -> dict[str, Any]:
    """What is said: status, and where there is such a thing when it began and how many minutes it took."""
    more = {"started_at": row["started_at"], "actual_duration": row["actual_duration"]}
    return {"status": row["status"], **{key: value for key, value in more.items() if value is not None}}


def taken(tx: Tx, row_id: int, number: int | None, every: float) -> None:
    """The backend has taken it. `number`: the id that it calls the slot by now, if it said so."""
    row = tx.one("SELECT * FROM write_backs WHERE id = :id", id=row_id)
    if row is None:
        return
    slot = tx.one("SELECT * FROM slots WHERE id = :id", id=row["slot_id"])
    assert slot is not None  # noqa: S101 - a foreign key holds it
    tx.run(TAKEN, id=row_id)
    tx.run(KNOWN, id=slot["id"], status=row["status"])
    fields: dict[str, Any] = {"status": row["status"]}
    if number is not None and slot["uid"].startswith("virtual:") and slot_names.become_real(tx, slot, number):
        fields["id"] = number
    _note(tx, row["source"], slot, fields)
    if tx.one("SELECT 1 FROM write_backs WHERE source = :source AND failures > 0", source=row["source"]) is None:
        name = row_name(row["source"])
        sources.answered(tx, name, state=sources.state_of(tx, name), every=every)


def _note(tx: Tx, source: str, slot: sqlite3.Row, fields: dict[str, Any]) -> None:
    """The kept schedule says so too: changes are applied to it."""
    state = sources.state_of(tx, source)
    kind, _, name = slot["uid"].partition(":")
    theirs = next(
        (his for his, ours in dict(state.get("reading", [0, 0, {}])[2]).items() if ours == slot["agent_id"]),
        slot["agent_id"],
    )
    which = (name, None) if kind == "id" else (None, name)
    if "schedules" in state:
        state["schedules"] = synced.noted(state["schedules"], theirs, which, fields)
        sources.keep_state(tx, source, state)


def refused(tx: Tx, row_id: int, sentence: str) -> None:
    """The backend will not take it, however often it is asked: told once, and what came after it goes on."""
    row = tx.one(
        "SELECT w.*, s.uid, s.agent_id FROM write_backs w JOIN slots s ON s.id = w.slot_id WHERE w.id = :id", id=row_id
    )
    if row is None:
        return
    tx.run(TAKEN, id=row_id)
    journal.tell(
        tx, "write_back_refused", actor=ENGINE, task_id=row["task_id"], agent_id=row["agent_id"], slot_id=row["slot_id"],
        reason=f"{row['source']} was told that {row['uid']} is {row['status']}: {sentence}",
    )  # fmt: skip


def postponed(tx: Tx, row_id: int, sentence: str, cap: float) -> None:
    """It could not be told now: again later, the wait doubles up to `cap` seconds."""
    row = tx.one("SELECT * FROM write_backs WHERE id = :id", id=row_id)
    if row is None:
        return
    wait = backoff(min(FIRST_WAIT, cap), cap, row["failures"] + 1, f"{row_id}/{row['failures']}")
    tx.run(POSTPONE, id=row_id, error=sentence, next=plus(tx.now, wait))
    sources.failed(tx, row_name(row["source"]), sentence)


def away(tx: Tx, source: str, sentence: str, cap: float) -> None:
    """Nothing can be told to it now: everything waits."""
    sources.failed(tx, row_name(source), sentence, base=min(FIRST_WAIT, cap), cap=cap)
