"""What a task's end means for its relatives: dependents are blocked or freed, children are cancelled.

The verbs call `follow` in the same transaction; `sweep` does the same for what an operator changed by raw SQL.
"""

from __future__ import annotations

from collections import deque

from blackboard.board import Tx
from blackboard.move import get, move

ENGINE = "engine:families"  # also what tells our own blocks from those an agent asked for

DEPENDENTS_TO_BLOCK = """
SELECT t.* FROM dependencies d JOIN tasks t ON t.id = d.task_id
 WHERE d.needs_id = :id AND t.status = 'pending'
"""
DEPENDENTS_TO_FREE = """
SELECT t.* FROM dependencies d JOIN tasks t ON t.id = d.task_id
 WHERE d.needs_id = :id AND t.status = 'blocked' AND t.actor = 'engine:families' AND t.deps_open = 0
"""
CHILDREN_TO_CANCEL = """
SELECT * FROM tasks WHERE parent_id = :id AND status NOT IN ('done','failed','cancelled')
"""


def follow(tx: Tx, task_id: int) -> None:
    """Carry a task's new state on to its relatives, and theirs."""
    moved = deque([task_id])
    while moved:
        moved += _follow_one(tx, moved.popleft())


def _follow_one(tx: Tx, task_id: int) -> list[int]:
    """Carry one task's state on to its next relatives; those whose own relatives are to follow."""
    status = get(tx, task_id)["status"]
    children = tx.all(CHILDREN_TO_CANCEL, id=task_id) if status == "cancelled" else []
    for child in children:
        move(tx, child, "cancel", actor=ENGINE, reason=f"its parent, task {task_id}, was cancelled")
    if status in ("failed", "cancelled"):
        for dependent in tx.all(DEPENDENTS_TO_BLOCK, id=task_id):
            move(
                tx,
                dependent,
                "block",
                actor=ENGINE,
                kind="dependency",
                reason=f"task {task_id}, which it needs, was {status}",
            )
    if status == "done":
        for dependent in tx.all(DEPENDENTS_TO_FREE, id=task_id):
            move(tx, dependent, "unblock", actor=ENGINE, reason=f"task {task_id}, which it needs, is done now")
    return [child["id"] for child in children]


ENDED_BADLY = """
SELECT DISTINCT d.needs_id AS id FROM tasks t JOIN dependencies d ON d.task_id = t.id JOIN tasks n ON n.id = d.needs_id
 WHERE t.status = 'pending' AND t.deps_open > 0 AND n.status IN ('failed','cancelled')
"""
RESOLVED = """
SELECT DISTINCT d.needs_id AS id FROM tasks t JOIN dependencies d ON d.task_id = t.id
 WHERE t.status = 'blocked' AND t.actor = 'engine:families' AND t.deps_open = 0
"""
CANCELLED_PARENTS = """
SELECT DISTINCT p.id FROM tasks c JOIN tasks p ON p.id = c.parent_id
 WHERE c.parent_id IS NOT NULL AND c.status NOT IN ('done','failed','cancelled') AND p.status = 'cancelled'
"""


def sweep(tx: Tx) -> int:
    """Follow every end that nobody followed yet; how many. Reads the whole board: only after a foreign commit."""
    ids = {row["id"] for query in (ENDED_BADLY, RESOLVED, CANCELLED_PARENTS) for row in tx.all(query)}
    for task_id in sorted(ids):
        follow(tx, task_id)
    return len(ids)
