"""What the engine itself says of an attempt on the board: that it has begun, or how it ended.

Each is one transaction, run again with the same result. Never signals anybody and never says that one is gone.
"""

from __future__ import annotations

from blackboard import attempts, standing, verbs
from blackboard.board import Tx
from orchestrator.processes import Status
from orchestrator.runners.result import Result
from orchestrator.verdict import Verdict, resumed_in_vain

ENGINE = "engine:monitor"


def end(tx: Tx, attempt_id: int, found: Verdict, result: Result | None = None) -> bool:
    """End an attempt that has not ended by itself, with what its program said of it; False when it has."""
    attempt = attempts.get(tx, attempt_id)
    if attempt["ended_at"] is not None:
        return False
    if result is not None:
        attempts.result(tx, attempt_id, result.columns(), result.of_session)
    standing.tell(tx, attempt_id)
    found = resumed_in_vain(found, result, attempt)
    verbs.end_badly(
        tx, attempt, found.outcome, actor=ENGINE, detail=found.detail, exit_code=found.code, exit_signal=found.signal
    )
    return True


def gone(
    tx: Tx, attempt_id: int, status: Status | None, result: Result | None, unacknowledged: str | None = None
) -> None:
    """Nothing of an attempt lives: keep how its process ended, and what its program said that reported before.

    `unacknowledged`: the sentence for an agent that was only woken and did not answer.
    """
    if result is not None:
        attempts.result(tx, attempt_id, result.columns(), result.of_session)
        verbs.hold_if_spent(tx, attempts.get(tx, attempt_id)["task_id"])  # it had reported before it told its numbers
    standing.tell(tx, attempt_id)
    if status is not None and status.agent is not None and status.phase in ("exit", "signal"):
        attempts.weighed(tx, attempt_id, rss=status.rss_bytes, cpu=status.cpu_seconds)
    code, number = (status.code, status.signal) if status else (None, None)
    if attempts.gone(tx, attempt_id, code=code, signal=number) and unacknowledged:
        attempts.tell(tx, attempt_id, "wake_unacknowledged", unacknowledged)


def stop_all(tx: Tx) -> None:
    """End every attempt that has not ended, not charged."""
    for row in attempts.not_gone(tx):
        end(tx, row["id"], Verdict("stopped", "the orchestrator was told to stop"))


def start_for(tx: Tx, attempt_id: int) -> None:
    """Say `start` for a program that never calls back."""
    attempt = attempts.get(tx, attempt_id)
    if attempt["ended_at"] is None and attempt["started_at"] is None:
        if attempt["role"] == "executor":
            verbs.start(tx, attempt, actor=ENGINE)
        attempts.started(tx, attempt)
