"""When a task goes round in a circle: the sentence that asks a person instead of trying once more.

Counting begins anew with a person's answer and when the task is reopened. Never moves a task.
"""

from __future__ import annotations

from blackboard.board import Tx
from blackboard.fingerprints import ALIKE, normalised, said
from blackboard.record import Record

MOST_UNCHARGED = 10  # attempts in a row that were not charged and may well go on like that
MOST_UNCHANGED = 2  # rounds in which the same was handed in again after it was sent back
UNCHARGED = frozenset(("busy", "spawn_failed", "prompt_failed"))

_SINCE = (
    "coalesce((SELECT max(e.attempt_id) FROM events e WHERE e.task_id = :task AND e.verb IN ('reopen','unblock')), 0)"
)
_HANDED_IN = "(SELECT group_concat(sha256, ' ') FROM (SELECT o.sha256 FROM outputs o WHERE o.attempt_id = a.id ORDER BY o.sha256))"
# What ended without having been tried stands between two tries and says nothing about either.
ENDED = f"""
SELECT a.number, a.outcome, a.fingerprint, {_HANDED_IN} AS handed_in FROM attempts a
 WHERE a.task_id = :task AND a.role = :role AND a.id > {_SINCE}
   AND a.outcome NOT IN ('rate_limited','not_authorised','stopped','released','cancelled','dry_run')
 ORDER BY a.number DESC LIMIT :most
"""  # noqa: S608 - our own constants


def no_progress(tx: Tx, task: Record, outcome: str, detail: str | None) -> str | None:
    """The question to a person when an executor's attempt that just ended was one too many of a kind; else None."""
    if outcome in UNCHARGED:
        return _never_tried(tx, task, "executor", outcome, detail)
    if outcome not in ALIKE:
        return None
    most = task["max_same"]
    found = [row for row in tx.all(ENDED, task=task["id"], role="executor", most=most + MOST_UNCHARGED) if row["outcome"] not in UNCHARGED]  # fmt: skip
    ends = {(row["fingerprint"], row["handed_in"]) for row in found[:most]}
    if len(found) < most or len(ends) > 1:
        return None
    handed_in = "the same outputs" if found[0]["handed_in"] else "nothing"
    alike = f"{most} attempts in a row ended alike" if most > 1 else "an attempt ended badly"
    return (
        f"{alike} ({said(outcome, detail)}) and handed in {handed_in}: change the task or what it needs, "
        "then answer how to go on, or cancel it"
    )


def _never_tried(tx: Tx, task: Record, role: str, outcome: str, detail: str | None) -> str | None:
    ends = [row["outcome"] for row in tx.all(ENDED, task=task["id"], role=role, most=MOST_UNCHARGED)]
    if len(ends) < MOST_UNCHARGED or not UNCHARGED.issuperset(ends):
        return None
    return (
        f"{MOST_UNCHARGED} attempts in a row were not even tried, the last one {said(outcome, detail)}: "
        "mend that, then answer how to go on, or cancel it"
    )


def never_reviewed(tx: Tx, task: Record, outcome: str, detail: str | None) -> str | None:
    """The same of reviews, which an uncharged end would let go on for ever: why a person is to decide; else None."""
    if outcome not in UNCHARGED or _never_tried(tx, task, "reviewer", outcome, detail) is None:
        return None
    return f"{MOST_UNCHARGED} reviews in a row were not even begun, the last one {said(outcome, detail)}"


SUBMITTED = f"""
SELECT a.number, {_HANDED_IN} AS handed_in FROM attempts a
 WHERE a.task_id = :task AND a.role = 'executor' AND a.outcome = 'submitted' AND a.id > {_SINCE}
 ORDER BY a.number DESC LIMIT :most
"""  # noqa: S608 - our own constants


def unchanged(tx: Tx, task_id: int) -> str | None:
    """Why a person looks at what was just handed in: it was sent back before, more than once, as it is; else None."""
    found = tx.all(SUBMITTED, task=task_id, most=MOST_UNCHANGED + 1)
    if len(found) <= MOST_UNCHANGED or len({row["handed_in"] for row in found}) > 1 or not found[0]["handed_in"]:
        return None
    latest, *former = [row["number"] for row in found]
    numbers = " and ".join(map(str, reversed(former)))
    return f"attempt {latest} handed in exactly what attempts {numbers} did, and that was sent back both times"


ASKED = """
SELECT detail FROM attempts
 WHERE task_id = :task AND role = 'executor' AND outcome = 'blocked' AND id < :attempt ORDER BY number DESC LIMIT 20
"""


def asked_again(tx: Tx, attempt: Record, question: str) -> str:
    """An agent's question as a person is to read it: with how often it was asked, and answered, before."""
    asked = normalised(question)
    before = [row["detail"] for row in tx.all(ASKED, task=attempt["task_id"], attempt=attempt["id"])]
    times = 1
    for each in before:
        if normalised(each or "") != asked:
            break
        times += 1
    if times == 1:
        return question
    return f"{question} (asked {times} times now, although it was answered: what was answered does not help the agent)"
