"""The one function that moves a task. Every verb goes through it; nothing else writes `tasks.status`.

The triggers of schema.sql write the event and end the attempt in the same transaction.
"""

from __future__ import annotations

import sqlite3

from blackboard.board import Tx
from blackboard.errors import IllegalMove, NotFound
from blackboard.states import MOVES, allowed

TASK = "SELECT * FROM tasks WHERE id = :id"


def get(tx: Tx, task_id: int) -> sqlite3.Row:
    """The task's row; NotFound."""
    row = tx.one(TASK, id=task_id)
    if row is None:
        raise NotFound(f"there is no task {task_id}: `orchestrator tasks` lists them", task=task_id)
    return row


MOVE = """
UPDATE tasks
   SET status = :dst, rev = rev + 1, verb = :verb, actor = :actor, reason = :reason, moved_at = :now,
       not_before = CASE WHEN :dst = 'pending' THEN :not_before ELSE not_before END,
       blocked_kind = :kind, answer = CASE WHEN :verb = 'unblock' THEN :answer WHEN :verb = 'block' THEN NULL ELSE answer END
 WHERE id = :id AND status = :src
"""


def move(
    tx: Tx,
    task: sqlite3.Row,
    verb: str,
    *,
    actor: str,
    reason: str | None = None,
    not_before: str | None = None,
    kind: str | None = None,
    answer: str | None = None,
) -> str:
    """Move a task by a verb; its new status. IllegalMove says what was found and what is allowed."""
    src, role = task["status"], actor.partition(":")[0]
    arrow = next((m for m in MOVES if m.verb == verb and m.src == src and role in m.by), None)
    if arrow is None:
        raise illegal(task, verb, role)
    changed = tx.run(
        MOVE, id=task["id"], src=src, dst=arrow.dst, verb=verb, actor=actor, reason=reason, now=tx.now,
        not_before=not_before, kind=kind, answer=answer,
    )  # fmt: skip
    if not changed:
        raise illegal(task, verb, role)
    return arrow.dst


def illegal(task: sqlite3.Row, verb: str, role: str) -> IllegalMove:
    """The refusal of a move, with what would be allowed."""
    ways = sorted({f"{m.verb} (to {m.dst})" for m in allowed(task["status"], role)})
    hint = "from there this caller may " + ", ".join(ways) if ways else "from there this caller may do nothing"
    return IllegalMove(
        f"task {task['id']} is {task['status']}, which does not allow {verb}: {hint}",
        found=task["status"], verb=verb, allowed=[m.verb for m in allowed(task["status"], role)],
    )  # fmt: skip
