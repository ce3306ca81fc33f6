"""Failures that another try of the same would only repeat: a person is asked instead. Reads the board, changes nothing."""

from __future__ import annotations

from blackboard import attempts
from blackboard.board import Rows

# Kinds of failure, as a runner reads them, and what a person can do.
_MEND = {
    "context": "its model cannot hold all of it: make the task smaller, or choose a larger model, then answer",
    "refused": "what it needs was not allowed: mend the configuration of its agent or change the task, then answer",
}
_OF = ("crashed", "no_report")  # the outcomes that such a failure can have


# A session may be full that began with other work: the first time it is begun anew.
_BEFORE = """
SELECT b.failure_kind FROM attempts a JOIN attempts b ON b.task_id = a.task_id AND b.number = a.number - 1 WHERE a.id = :id
"""


def _again(rows: Rows, attempt_id: int, kind: str) -> bool:
    before = rows.one(_BEFORE, id=attempt_id)
    return kind != "context" or (before is not None and before["failure_kind"] == kind)


def question(rows: Rows, attempt_id: int, outcome: str, detail: str | None) -> str | None:
    """What a person is asked after an attempt that ended so; None where another try may go better."""
    kind = str(attempts.get(rows, attempt_id)["failure_kind"]) if outcome in _OF else ""
    mend = _MEND.get(kind)
    return f"{mend} ({detail or outcome})" if mend and _again(rows, attempt_id, kind) else None
