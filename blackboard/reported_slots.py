"""What an instance elsewhere reports of a slot: kept as it was said, and what follows from it for the slot's task.

Nothing here begins an attempt or says that one has handed in: only an attempt does. While a slot is worked on elsewhere
its task is blocked, so that nothing is claimed for it here; what was settled elsewhere is cancelled here, with the
reason; what was given back is pending again. A task that an attempt of ours has is its attempt's affair.
"""

from __future__ import annotations

from typing import Any

from blackboard import agenda, calendar_callers, verbs
from blackboard.agenda import ENGINE, Occurrence, Word
from blackboard.board import Tx
from blackboard.errors import IllegalMove
from blackboard.move import get, move

ELSEWHERE = ("ongoing", "paused")
SETTLED = ("finished", "aborted", "skipped")

PUT = """
INSERT INTO slot_reports (slot_id, occurrence, status, started_at, actual_duration, instance, actor, reported_at)
VALUES (:slot, :occurrence, :status, :started_at, :actual_duration, :instance, :actor, :now)
ON CONFLICT (slot_id, occurrence) DO UPDATE SET status = excluded.status, started_at = coalesce(excluded.started_at, started_at),
   actual_duration = coalesce(excluded.actual_duration, actual_duration), instance = excluded.instance, actor = excluded.actor,
   reported_at = excluded.reported_at
"""


def report(
    tx: Tx, token: bytes | None, instance: str | None, which: int | str, status: Word, *,
    started_at: str | None = None, actual_duration: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Keep what is said of a slot, and move its task; the record as it is now.

    Saying the same again changes nothing. NotFound for a slot that is not there or is another agent's, IllegalMove for
    one that is over or that an attempt has. `actual_duration`: minutes.
    """
    asker = calendar_callers.asker(tx, token, instance, "operate")
    found = agenda.find(tx, which)
    calendar_callers.must_reach(tx, asker, found.slot["agent_id"])
    if _is_said(found, status, started_at, actual_duration):
        return found.record()
    _move(tx, found.task_id, status, f"instance {asker.instance} ({asker.actor}) reports it {status}")
    tx.run(
        PUT, slot=found.slot["id"], occurrence=found.name, status=status, started_at=started_at, now=tx.now,
        actual_duration=actual_duration, instance=asker.instance, actor=asker.actor,
    )  # fmt: skip
    return agenda.find(tx, which).record()


def _is_said(found: Occurrence, status: str, started_at: str | None, actual_duration: float | None) -> bool:
    """Whether this very report is kept already."""
    said = found.report
    return (
        said is not None
        and said["status"] == status
        and started_at in (None, said["started_at"])
        and actual_duration in (None, said["actual_duration"])
    )


def _move(tx: Tx, task_id: int, status: Word, reason: str) -> None:
    task = get(tx, task_id)
    ours = task["status"] == "blocked" and task["actor"] == ENGINE
    if task["status"] in ("done", "failed", "cancelled"):
        raise IllegalMove(
            f"this slot is over: its task {task['id']} is {task['status']}, and what has passed stays as it was", found=task["status"]
        )  # fmt: skip
    if task["status"] != "pending" and not ours:
        raise IllegalMove(
            f"task {task['id']} of this slot is {task['status']} here: its attempt says what becomes of it, or a person does",
            found=task["status"],
        )  # fmt: skip
    if status in SETTLED:
        verbs.cancel(tx, task["id"], actor=ENGINE, reason=f"{reason}: nothing is done for it here")
    elif status in ELSEWHERE and not ours:
        move(
            tx,
            task,
            "block",
            actor=ENGINE,
            kind="dependency",
            reason=f"{reason}: it is worked on elsewhere until that says otherwise",
        )
    elif status not in ELSEWHERE and ours:
        verbs.unblock(tx, task["id"], actor=ENGINE, answer=reason)
