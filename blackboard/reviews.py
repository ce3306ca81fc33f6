"""Reviews by agents: how one ends without a verdict, and when a review is handed over to a person.

Which review for which agent is asked by blackboard/claims.py, by the gates of blackboard/gates.py. Never gives a
verdict: that is the reviewer's, a person's, or `review = auto`.
"""

from __future__ import annotations

from blackboard import accounts, attempts, breaker, futile, loops
from blackboard.board import Rows, Tx
from blackboard.clock import plus
from blackboard.fingerprints import fingerprint
from blackboard.move import get
from blackboard.policy import next_try
from blackboard.record import Record
from blackboard.states import OUTCOMES

ENGINE = "engine:reviews"

HAND_OVER = """
UPDATE tasks SET handed_over = :reason, plan_rev = plan_rev + 1, planned_by = :actor
 WHERE id = :id AND status = 'review' AND handed_over IS NULL
"""


def hand_over(tx: Tx, task_id: int, reason: str) -> bool:
    """From now on the review is a person's; event `hand_over`. False when it is already, or is no review."""
    return tx.run(HAND_OVER, id=task_id, reason=reason, actor=ENGINE) > 0


# --- A review that ended without a verdict ---------------------------------------------------------------

END = """
UPDATE attempts SET outcome = :outcome, detail = coalesce(:detail, detail), ended_at = :now, fingerprint = :fingerprint,
       exit_code = coalesce(:exit_code, exit_code), exit_signal = coalesce(:exit_signal, exit_signal)
 WHERE id = :id AND ended_at IS NULL
"""
# Of this round: what was reviewed before the latest executor's attempt was other work.
TRIES = """
SELECT count(*) AS n FROM attempts a
 WHERE a.task_id = :task AND a.role = 'reviewer' AND a.outcome IN (SELECT outcome FROM outcomes WHERE charged)
   AND a.id > coalesce((SELECT max(e.id) FROM attempts e WHERE e.task_id = :task AND e.role = 'executor'), 0)
"""
WAIT = """
UPDATE tasks SET not_before = :until, plan_rev = plan_rev + 1, planned_by = :actor WHERE id = :id AND status = 'review'
"""


def tries(tx: Tx, task_id: int) -> int:
    """Charged reviews of what was handed in last that ended without a verdict."""
    row = tx.one(TRIES, task=task_id)
    return int(row["n"]) if row else 0


def end_badly(
    tx: Tx, attempt: Record, outcome: str, *, detail: str | None, exit_code: int | None, exit_signal: int | None
) -> str:
    """End a reviewer's attempt that gave no verdict; the task stays in review, for another try or for a person."""
    ended = tx.run(
        END, id=attempt["id"], outcome=outcome, detail=detail, now=tx.now, exit_code=exit_code, exit_signal=exit_signal,
        fingerprint=fingerprint(outcome, attempts.kind_of_failure(tx, attempt["id"]), detail),
    )  # fmt: skip
    if ended:
        breaker.trip(tx, attempt, outcome, detail)
    task = get(tx, attempt["task_id"])
    gated = ended > 0 and accounts.refused(tx, attempt, outcome, detail)
    if not ended or task["status"] != "review":
        return str(task["status"])
    count = tries(tx, task["id"])
    wait = next_try(task, outcome, count, most=task["max_review_tries"], gated=gated)
    if wait is None:
        hand_over(tx, task["id"], f"{_times(count)} ended without a verdict, the last one {_why(outcome, detail)}")
    elif question := loops.never_reviewed(tx, task, outcome, detail) or futile.question(
        tx, attempt["id"], outcome, detail
    ):
        hand_over(tx, task["id"], question)
    elif wait:
        tx.run(WAIT, id=task["id"], until=plus(tx.now, wait), actor=ENGINE)
    hand_over_hopeless(tx, task["id"])  # its reviewer may have been taken away meanwhile
    return "review"


def _times(count: int) -> str:
    return "1 review" if count == 1 else f"{count} reviews"


def _why(outcome: str, detail: str | None) -> str:
    return f"{outcome}: {detail or OUTCOMES[outcome].meaning}"


# --- A review that nobody can make ------------------------------------------------------------------------

# An enabled agent that is asked for and has not worked on the task. One that is paused or busy is waited for.
_SOMEBODY = """
EXISTS (SELECT 1 FROM agents g WHERE g.id = substr(t.reviewer, 7) AND t.reviewer GLOB 'agent:*' AND g.enabled
           AND NOT EXISTS (SELECT 1 FROM attempts e WHERE e.task_id = t.id AND e.role = 'executor' AND e.agent_id = g.id))
OR EXISTS (SELECT 1 FROM agent_roles r JOIN agents g ON g.id = r.agent_id
            WHERE t.reviewer GLOB 'role:*' AND r.role = substr(t.reviewer, 6) AND g.enabled
              AND NOT EXISTS (SELECT 1 FROM attempts e WHERE e.task_id = t.id AND e.role = 'executor' AND e.agent_id = g.id))
"""
TEAM = """
SELECT g.id, g.enabled, (SELECT group_concat(role, ' ') FROM (SELECT role FROM agent_roles r WHERE r.agent_id = g.id ORDER BY role)) AS roles
  FROM agents g ORDER BY g.id
"""


def team(rows: Rows) -> list[tuple[object, ...]]:
    """Who could review what. While this stays, and nobody writes past us, no waiting review becomes hopeless."""
    return [tuple(row) for row in rows.all(TEAM)]


HOPELESS = f"""
SELECT t.id, t.reviewer FROM tasks t INDEXED BY tasks_to_review
 WHERE t.status = 'review' AND t.reviewer IS NOT NULL AND t.handed_over IS NULL AND t.proof IS NOT 'wanted'
   AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.task_id = t.id AND a.role = 'reviewer' AND a.ended_at IS NULL)
   AND NOT ({_SOMEBODY})
"""  # noqa: S608 - our own constant text
HOPELESS_ONE = HOPELESS.replace("INDEXED BY tasks_to_review", "") + "   AND t.id = :id\n"
ASKED = """
SELECT g.id, g.enabled FROM agents g
 WHERE :reviewer = 'agent:' || g.id
    OR EXISTS (SELECT 1 FROM agent_roles r WHERE r.agent_id = g.id AND :reviewer = 'role:' || r.role)
"""


def hand_over_hopeless(tx: Tx, task_id: int | None = None) -> int:
    """Hand over every review (or this one) that no agent can make, with the reason; how many."""
    found = tx.all(HOPELESS) if task_id is None else tx.all(HOPELESS_ONE, id=task_id)
    for row in found:
        hand_over(tx, row["id"], _hopeless(tx, row["reviewer"]))
    return len(found)


def _hopeless(tx: Tx, reviewer: str) -> str:
    """Why nobody can review: what a person mends, or decides instead."""
    kind, _, name = reviewer.partition(":")
    asked = tx.all(ASKED, reviewer=reviewer)
    enabled = [row["id"] for row in asked if row["enabled"]]
    if kind == "agent":
        if not asked:
            return f"its reviewer, agent {name}, is not on the board"
        if not enabled:
            return f"its reviewer, agent {name}, is disabled"
        return f"its reviewer, agent {name}, has worked on it, and nobody reviews their own work"
    if not asked:
        return f"no agent has the role {name}, which was to review it"
    if not enabled:
        return f"every agent with the role {name}, which was to review it, is disabled"
    return f"nobody but who has worked on it has the role {name}, and nobody reviews their own work"
