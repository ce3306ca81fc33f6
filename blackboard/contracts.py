"""What a slot promised, kept: what was missed is skipped or made up for, and what overlaps is queued, skipped or replaced.

Each decision is a move with its reason, so an event. The gates `begin_by`, `end_by` and `overlap` hold a task back the
very instant it may not begin; here it is also taken off the board. Asked by the tick before it claims.
"""

from __future__ import annotations

import sqlite3

from blackboard import verbs
from blackboard.board import Rows, Tx

ENGINE = "engine:slots"

# As the partial indexes tasks_to_begin, tasks_to_end and tasks_of_series have it.
MISSED = """
SELECT id, 'missed: it was to begin by ' || begin_by AS reason FROM tasks
 WHERE status = 'pending' AND begin_by IS NOT NULL AND begin_by <= :now AND attempt_id IS NULL
UNION
SELECT id, 'its slot has ended: it was to be finished by ' || end_by FROM tasks
 WHERE status = 'pending' AND end_by IS NOT NULL AND end_by <= :now AND (attempt_id IS NOT NULL OR begin_by IS NULL OR begin_by > :now)
 ORDER BY id
"""
OVERLAPPING = """
SELECT DISTINCT t.id, t.due_at, t.series, s.overlap
  FROM slots s INDEXED BY slots_not_queued
  CROSS JOIN tasks t INDEXED BY tasks_of_series ON t.series = coalesce(s.series, 'slot ' || s.id) AND t.slot_id = s.id
 WHERE s.overlap <> 'queue' AND t.status IN ('pending','claimed','working') AND t.status = 'pending' AND t.attempt_id IS NULL
   AND t.due_at <= :now
   AND EXISTS (SELECT 1 FROM tasks e WHERE e.series = t.series AND e.due_at < t.due_at AND e.status IN ('pending','claimed','working'))
 ORDER BY t.due_at, t.id
"""
BEFORE = """
SELECT id, status, due_at FROM tasks
 WHERE series = :series AND due_at < :due_at AND status IN ('pending','claimed','working') ORDER BY due_at, id
"""


def broken(rows: Rows, now: str) -> bool:
    """Whether `keep` has something to do."""
    return rows.one(MISSED, now=now) is not None or rows.one(OVERLAPPING, now=now) is not None


def keep(tx: Tx) -> int:
    """Take off what may not begin any more, and settle what overlaps; how many tasks were cancelled."""
    late = tx.all(MISSED, now=tx.now)
    for row in late:
        verbs.cancel(tx, row["id"], actor=ENGINE, reason=row["reason"])
    return len(late) + sum(_settle(tx, row) for row in tx.all(OVERLAPPING, now=tx.now))


def _settle(tx: Tx, task: sqlite3.Row) -> int:
    """Skip an occurrence, or end those before it; how many tasks were cancelled."""
    before = tx.all(BEFORE, series=task["series"], due_at=task["due_at"])
    if not before:  # ended by the one that was settled just now
        return 0
    if task["overlap"] == "skip":
        former = before[-1]
        verbs.cancel(
            tx, task["id"], actor=ENGINE,
            reason=f"skipped: task {former['id']}, due {former['due_at']}, is still {former['status']} (overlap = skip)",
        )  # fmt: skip
        return 1
    for former in before:
        verbs.cancel(
            tx, former["id"], actor=ENGINE,
            reason=f"replaced by task {task['id']}, due {task['due_at']} (overlap = replace)",
        )  # fmt: skip
    return len(before)


# --- after an outage --------------------------------------------------------------------------------------------------

# What waited on the board while nobody looked: due since, never begun, the newest first. Asked once a start.
PASSED_OVER = """
SELECT t.id, t.series, t.due_at, s.missed FROM tasks t INDEXED BY tasks_of_series JOIN slots s ON s.id = t.slot_id
 WHERE t.series IS NOT NULL AND t.status IN ('pending','claimed','working') AND t.status = 'pending' AND t.attempt_id IS NULL AND t.due_at > :since AND t.due_at <= :now
 ORDER BY t.due_at DESC, t.id DESC
"""
ALIVE = "SELECT value FROM meta WHERE key = 'alive_at'"
SAY_ALIVE = (
    "INSERT INTO meta (key, value) VALUES ('alive_at', :now) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


def alive(tx: Tx) -> None:
    """The orchestrator ticks: an outage begins after this instant."""
    tx.run(SAY_ALIVE, now=tx.now)


def after_outage(tx: Tx, most: int) -> int:
    """Decide on what became due since the last sign of life: a slot's `missed`, and at most so many of all; how many fell.

    The newest are made up for. Nothing that was due before the outage, or that somebody has begun, is looked at.
    """
    row = tx.one(ALIVE)
    alive(tx)
    if row is None:
        return 0
    seen, kept, fallen = set[str](), 0, 0
    for task in tx.all(PASSED_OVER, since=row["value"], now=tx.now):
        again = task["series"] in seen and task["missed"] == "run_once"
        seen.add(task["series"])
        if again or kept >= most:
            reason = (
                "missed in an outage: a later one of its slot is made up for (missed = run_once)" if again
                else f"missed in an outage: at most {most} are made up for (slots.catch_up)"
            )  # fmt: skip
            verbs.cancel(
                tx, task["id"], actor=ENGINE, reason=f"{reason}; the orchestrator was away since {row['value']}"
            )
            fallen += 1
        else:
            kept += 1
    return fallen
