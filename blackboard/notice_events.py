"""Turning what happened into notices: events beyond a cursor on the board, and what has lasted too long.

Cursor and notices are one transaction: a kill between two of them neither loses a notice nor makes it twice. What was on
the board before the first start that knows notices is not told.
"""

from __future__ import annotations

from typing import NamedTuple

from blackboard import notices
from blackboard.board import Rows, Tx
from blackboard.clock import plus
from blackboard.notice_kinds import TOLD, Draft, draft
from blackboard.record import Record
from blackboard.tokens import redact

AT_ONCE = 100  # events of one transaction
NOT_GONE_SECONDS = 600.0  # beyond settle_seconds: then a person is told

CURSOR = "SELECT CAST(value AS INTEGER) AS id FROM meta WHERE key = 'notices_event'"
SET_CURSOR = """
INSERT INTO meta (key, value) VALUES ('notices_event', :id) ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""
LAST = "SELECT coalesce(max(id), 0) AS id FROM events"
_VERBS = ", ".join(f"'{verb}'" for verb in TOLD)
AFTER = f"SELECT * FROM events WHERE id > :after AND verb IN ({_VERBS}) ORDER BY id LIMIT :most"  # noqa: S608 - our own words


def begin(tx: Tx) -> None:
    """From here on nothing that happens is missed; history is not told."""
    if tx.one(CURSOR) is None:
        tx.run(SET_CURSOR, id=str(_last(tx)))


def _last(rows: Rows) -> int:
    row = rows.one(LAST)
    return int(row["id"]) if row is not None else 0


class News(NamedTuple):
    """`last`: the newest event; `told`: whether one beyond the one asked for may become a notice."""

    last: int
    told: bool


def news(rows: Rows, after: int) -> News:
    """What came after an event."""
    return News(_last(rows), bool(rows.all(AFTER, after=after, most=1)))


def gather(tx: Tx) -> int | None:
    """Post what the next events tell, and move the cursor; up to which event, None when there are more."""
    row = tx.one(CURSOR)
    last = _last(tx)
    found = tx.all(AFTER, after=int(row["id"]) if row is not None else last, most=AT_ONCE)
    for event in found:
        if (made := _draft(tx, event)) is not None:
            _post(tx, f"event:{event['id']}", made, event["agent_id"], event["task_id"])
    more = len(found) == AT_ONCE
    reached = int(found[-1]["id"]) if more else last
    tx.run(SET_CURSOR, id=str(reached))
    return None if more else reached


def _draft(rows: Rows, event: Record) -> Draft | None:
    """One odd event, such as one that a person wrote by SQL, must not hold up those after it."""
    try:
        return draft(rows, event)
    except (KeyError, TypeError, ValueError):
        title = f"event {event['id']} ({event['verb']}) has not the form it should have"
        return Draft("fault", f"event:{event['id']}", title, event["reason"] or "")


AGENT = "SELECT id FROM agents WHERE id = :agent"
TASK = "SELECT id FROM tasks WHERE id = :task"


def _post(tx: Tx, key: str, made: Draft, agent: str | None, task: int | None) -> None:
    notices.post(
        tx, key=key, kind=made.kind, topic=made.topic, title=redact(made.title), body=redact(made.body), urgent=made.urgent,
        agent_id=agent if tx.one(AGENT, agent=agent) is not None else None,
        task_id=task if tx.one(TASK, task=task) is not None else None,
    )  # fmt: skip


# --- what lasts too long ------------------------------------------------------------------------------------------

# Few rows, whatever the history: the index holds who is not gone.
NOT_GONE = """
SELECT a.id, a.task_id, a.agent_id, a.number, a.ended_at, t.settle_seconds, t.title
  FROM attempts a INDEXED BY one_attempt_not_gone JOIN tasks t ON t.id = a.task_id
 WHERE a.gone_at IS NULL AND a.ended_at IS NOT NULL AND a.ended_at < :before AND a.abroad_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.key = 'not_gone:' || a.id)
"""
# Only what is asked in vain: after a long stop every source is stale until its turn has come, and one that the
# configuration names no more has none.
STALE = """
SELECT name, stale_at FROM sources WHERE stale_at <= :now AND failures > 0 AND (tried_at >= stale_at OR next_at > :now)
   AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.key = 'stale:' || name || ':' || stale_at)
"""


def lasting(rows: Rows, now: str) -> dict[str, tuple[Draft, str | None, int | None]]:
    """What nobody was told of yet and has lasted too long, by the key of its notice: the draft, the agent, the task."""
    found: dict[str, tuple[Draft, str | None, int | None]] = {}
    for row in rows.all(NOT_GONE, before=plus(now, -NOT_GONE_SECONDS)):
        if plus(row["ended_at"], row["settle_seconds"] + NOT_GONE_SECONDS) > now:
            continue
        title = (
            f"task {row['task_id']} is held: attempt {row['number']} has ended and is not proved gone: {row['title']}"
        )
        said = f"It ended at {row['ended_at']}. Nothing is claimed for the task until all its processes are gone.\n\nNext: orchestrator why {row['task_id']}"
        found[f"not_gone:{row['id']}"] = Draft("not_gone", f"task:{row['task_id']}", title, said), row["agent_id"], row["task_id"]  # fmt: skip
    for row in rows.all(STALE, now=now):
        said = f"Its last good answer holds no longer since {row['stale_at']}: nothing that it planned is claimed."
        made = Draft("source", f"source:{row['name']}", f"{row['name']} is stale", said)
        found[f"stale:{row['name']}:{row['stale_at']}"] = made, None, None
    return found


def post_lasting(tx: Tx) -> None:
    """Post it."""
    for key, (made, agent, task) in lasting(tx, tx.now).items():
        _post(tx, key, made, agent, task)
