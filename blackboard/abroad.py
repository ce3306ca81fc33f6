"""An attempt that has ended while its run may go on where nobody here can see it, such as in a gateway.

It is not gone, so nothing is claimed for its task, until a probe, the end of its hold or a person says that it is.
"""

from __future__ import annotations

from typing import Any

from blackboard import attempts, people
from blackboard.board import Tx
from blackboard.errors import IllegalMove, NotFound, Refused
from blackboard.tokens import identify

LEFT = """
UPDATE attempts SET abroad_at = :now, lease_until = :until WHERE id = :id AND abroad_at IS NULL AND ended_at IS NOT NULL AND gone_at IS NULL
"""


def left(tx: Tx, attempt_id: int, *, until: str | None, sentence: str) -> None:
    """Its process is gone and its run may go on; event `abroad`. `until`: when it counts as gone, None: never by itself."""
    if tx.run(LEFT, id=attempt_id, now=tx.now, until=until):
        attempts.tell(tx, attempt_id, "abroad", sentence)


RENEWED = "UPDATE attempts SET lease_until = :until WHERE id = :id AND abroad_at IS NOT NULL AND gone_at IS NULL"


def renewed(tx: Tx, attempt_id: int, *, until: str) -> None:
    """It was asked for and not found to be over: ask again then."""
    tx.run(RENEWED, id=attempt_id, until=until)


def declare_gone(
    tx: Tx, token_hash: bytes, project: str, task_id: int, attempt_id: int, why: str | None
) -> dict[str, Any]:
    """A person knows that the run is over; event `declared_gone` with who and why."""
    caller = identify(tx, token_hash)
    people.must_reach(caller, "operate")
    people.in_project(tx, project, task_id)
    if not (why or "").strip():
        raise Refused("say how you know that the run is over: it is kept with your name")
    attempt = attempts.get(tx, attempt_id)
    if attempt["task_id"] != task_id:
        raise NotFound(f"attempt {attempt_id} is one of task {attempt['task_id']}, not of task {task_id}")
    if attempt["gone_at"] is None:
        if attempt["abroad_at"] is None:
            raise IllegalMove(
                f"attempt {attempt_id} is not one whose run may go on elsewhere: what runs on this machine is proved gone "
                "by the daemon, never said; `orchestrator cancel` ends it"
            )
        attempts.tell(tx, attempt_id, "declared_gone", why, actor=caller.actor)
        attempts.gone(tx, attempt_id)
    return {
        "task": task_id,
        "attempt": attempt_id,
        "next": f"attempt {attempt_id} is gone; orchestrator why {task_id} tells what is next",
    }
