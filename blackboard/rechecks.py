"""Running a task's checks again because a person says so: what has passed before counts no more. Moves nothing.

For what a check that could not be run was missing, and for a workspace or a machine that has changed since. The evidence
stays; what counts begins after the event `recheck`.
"""

from __future__ import annotations

import json

from blackboard import journal
from blackboard.board import Tx
from blackboard.errors import IllegalMove, Refused
from blackboard.move import get

AT_WORK = "SELECT number FROM attempts WHERE task_id = :task AND ended_at IS NULL"
RUNNING = "SELECT position FROM checks WHERE task_id = :task AND ended_at IS NULL"
LAST = "SELECT coalesce(max(id), 0) AS id FROM checks WHERE task_id = :task"
# Handing back is told with the name of who did it, as every plan is.
WANT = """
UPDATE tasks SET proof = 'wanted', plan_rev = plan_rev + (handed_over IS NOT NULL),
       planned_by = CASE WHEN handed_over IS NULL THEN planned_by ELSE :actor END, handed_over = NULL
 WHERE id = :id
"""


def recheck(tx: Tx, task_id: int, *, actor: str, reason: str | None = None) -> str:
    """Have every check of a task in review run again; its status, which stays. Event `recheck`."""
    task = get(tx, task_id)
    if task["status"] != "review":
        raise IllegalMove(
            f"task {task_id} is {task['status']}: only what was handed in and is in review is checked", found=task["status"]
        )  # fmt: skip
    if not json.loads(task["checks"]):
        raise Refused(f"task {task_id} has no checks: approve it, or reject it with a remark")
    if (row := tx.one(RUNNING, task=task_id)) is not None:
        raise Refused(f"check {row['position']} of task {task_id} is being run: wait until it has ended")
    if task["proof"] == "wanted" and task["handed_over"] is None:
        raise Refused(
            f"the checks of task {task_id} are still to be run: orchestrator why {task_id} says for what they wait"
        )
    if (row := tx.one(AT_WORK, task=task_id)) is not None:
        raise Refused(f"attempt {row['number']} reviews task {task_id} at this moment: wait for its verdict")
    last = tx.one(LAST, task=task_id)
    journal.tell(
        tx,
        "recheck",
        actor=actor,
        task_id=task_id,
        reason=reason,
        data=json.dumps({"after": last["id"] if last else 0}),
    )
    tx.run(WANT, id=task_id, actor=actor)
    return "review"
