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


def question(rows: Rows, attempt_id: int, outcome: str, detail: str | None) -> str | None:
    """What a person is asked after an attempt that ended so; None where another try may go better."""
    mend = _MEND.get(attempts.get(rows, attempt_id)["failure_kind"]) if outcome in _OF else None
    return f"{mend} ({detail or outcome})" if mend else None
