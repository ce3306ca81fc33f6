"""The breaker: an agent that fails alike again and again is paused, with one notice, instead of each of its tasks.

Its first failure alike after somebody resumed it pauses it again.
"""

from __future__ import annotations

from blackboard.board import Tx
from blackboard.fingerprints import said
from blackboard.pauses import Target, pause
from blackboard.record import Record

MOST = 3  # in a row that could not be started, or tasks that ended alike
LOOKED_AT = 100  # attempts of the agent, the newest
ENGINE = "engine:breaker"

CONFIGURATION = frozenset(("spawn_failed", "prompt_failed"))

LATEST = "SELECT outcome FROM attempts WHERE agent_id = :agent ORDER BY id DESC LIMIT :most"
# Whoever lives, or ended without a failure of its own, says nothing; who handed in or asked ends the row of failures.
# A machine that restarts loses the attempts of all its agents alike: `lost` is no failure of theirs. A heartbeat that fails is
# told by itself, and stops no other work.
LATEST_TOLD = """
SELECT a.task_id, a.fingerprint FROM attempts a
 WHERE a.agent_id = :agent AND a.outcome IS NOT NULL AND NOT EXISTS (SELECT 1 FROM heartbeat_runs h WHERE h.task_id = a.task_id)
   AND a.outcome NOT IN ('rate_limited','not_authorised','busy','stopped','released','cancelled','dry_run','lost')
 ORDER BY a.id DESC LIMIT :most
"""


def trip(tx: Tx, attempt: Record, outcome: str, detail: str | None) -> bool:
    """Pause the agent of an attempt that just ended so, if it goes on failing alike; whether it was paused now."""
    reason = _cannot_start(tx, attempt, outcome, detail) or _fails_alike(tx, attempt, outcome, detail)
    return reason is not None and pause(tx, Target("agent", attempt["agent_id"]), reason=reason, actor=ENGINE)


def _cannot_start(tx: Tx, attempt: Record, outcome: str, detail: str | None) -> str | None:
    """Three attempts in a row, of whatever tasks, that could not even be started."""
    if outcome not in CONFIGURATION:
        return None
    latest = [row["outcome"] for row in tx.all(LATEST, agent=attempt["agent_id"], most=MOST)]
    if latest != [outcome] * MOST:
        return None
    return f"{MOST} attempts in a row could not be started ({said(outcome, detail)}); mend the configuration, then {_resume(attempt)}"


FINGERPRINT = """
SELECT fingerprint FROM attempts a WHERE id = :id AND NOT EXISTS (SELECT 1 FROM heartbeat_runs h WHERE h.task_id = a.task_id)
"""


def _fails_alike(tx: Tx, attempt: Record, outcome: str, detail: str | None) -> str | None:
    """Nothing but one and the same failure, on three different tasks."""
    ended = tx.one(FINGERPRINT, id=attempt["id"])
    if ended is None or ended["fingerprint"] is None:
        return None
    tasks: list[int] = []
    for row in tx.all(LATEST_TOLD, agent=attempt["agent_id"], most=LOOKED_AT):
        if row["fingerprint"] != ended["fingerprint"]:
            return None
        if row["task_id"] not in tasks:
            tasks.append(row["task_id"])
        if len(tasks) == MOST:
            named = ", ".join(map(str, sorted(tasks)))
            return f"its attempts on tasks {named} ended alike ({said(outcome, detail)}); mend what they met, then {_resume(attempt)}"
    return None


def _resume(attempt: Record) -> str:
    return f"orchestrator resume --agent {attempt['agent_id']}"
