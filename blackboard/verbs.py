"""Every move of a task, as plain functions over a transaction.

Who calls passes an actor, `role:name`. An agent's verbs take its attempt and refuse one that has ended.
Errors: NotFound, IllegalMove, Fenced, Invalid, and Refused with a trigger's sentence.

Read next: orchestrator/tick.py (why now, and why this one; the claim itself is in blackboard/claims.py).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from blackboard import accounts, attempts, breaker, budgets, families, futile, loops, reviews
from blackboard.board import Tx
from blackboard.checks import Check, stored
from blackboard.clock import plus
from blackboard.errors import Fenced, Invalid, NotFound, Refused
from blackboard.fingerprints import fingerprint
from blackboard.move import get, move
from blackboard.policy import Policy, next_try
from blackboard.record import Record
from blackboard.states import LIVE, OUTCOMES

POST = """
INSERT INTO tasks (project_id, agent_id, role, title, description, task_type, priority, must_haves, checks, data, actor, reason,
  moved_at, posted_at, due_at, not_before, parent_id, slot_id, occurrence, series, begin_by, end_by, max_tries, backoff_seconds, backoff_cap_seconds,
  wall_seconds, idle_seconds, startup_seconds, settle_seconds, review, reviewer, max_review_tries, max_rejections,
  needs_output, waits_for_children, max_same, attempt_usd, attempt_tokens, task_usd, task_tokens)
VALUES (:project, :agent, :role, :title, :description, :task_type, :priority, :must_haves, :checks, :data, :actor, :reason,
  :now, :now, :due_at, :not_before, :parent_id, :slot_id, :occurrence, :series, :begin_by, :end_by, :max_tries, :backoff_seconds, :backoff_cap_seconds,
  :wall_seconds, :idle_seconds, :startup_seconds, :settle_seconds, :review, :reviewer, :max_review_tries, :max_rejections,
  :needs_output, :waits_for_children, :max_same, :attempt_usd, :attempt_tokens, :task_usd, :task_tokens)
"""
NEED = "INSERT INTO dependencies (task_id, needs_id) VALUES (:task, :needs)"


def post(
    tx: Tx,
    *,
    project: str,
    title: str,
    actor: str,
    policy: Policy,
    agent: str | None = None,
    role: str | None = None,
    description: str = "",
    task_type: str = "general",
    priority: int = 5,
    must_haves: str = "",
    checks: Sequence[Check] = (),
    data: Mapping[str, Any] | None = None,
    due_at: str | None = None,
    not_before: str | None = None,
    needs: Collection[int] = (),
    parent_id: int | None = None,
    slot_id: int | None = None,
    occurrence: str | None = None,
    series: str | None = None,
    begin_by: str | None = None,
    end_by: str | None = None,
    reason: str | None = None,
) -> int:
    """Put a task on the board, pending; its id. For one agent or for a role, not both; due at once unless said."""
    if (agent is None) == (role is None):
        raise Invalid("a task is for one agent or for one role: name exactly one of them")
    _all_exist(tx, project, agent, role, [*needs, *([parent_id] if parent_id is not None else [])])
    task_id = tx.insert(
        POST, project=project, agent=agent, role=role, title=title, description=description, task_type=task_type,
        priority=priority, must_haves=must_haves, checks=stored(checks), data=json.dumps(dict(data or {}), default=str), actor=actor, reason=reason, now=tx.now,
        due_at=due_at or tx.now, not_before=not_before, parent_id=parent_id, slot_id=slot_id, occurrence=occurrence,
        series=series, begin_by=begin_by, end_by=end_by,
        **policy.columns(),
    )  # fmt: skip
    for needed in dict.fromkeys(needs):
        tx.run(NEED, task=task_id, needs=needed)
        families.follow(tx, needed)
    return task_id


EXISTS = """
SELECT EXISTS (SELECT 1 FROM projects WHERE id = :project) AS project,
       :agent IS NULL OR EXISTS (SELECT 1 FROM agents WHERE id = :agent) AS agent,
       :role IS NULL OR EXISTS (SELECT 1 FROM agent_roles WHERE role = :role) AS role
"""


def _all_exist(tx: Tx, project: str, agent: str | None, role: str | None, tasks: Iterable[int]) -> None:
    """NotFound for the first thing a task names that is not on the board."""
    found = tx.one(EXISTS, project=project, agent=agent, role=role)
    for kind, name in (("project", project), ("agent", agent), ("role", role)):
        if found is not None and not found[kind]:
            what = f"agent with the role {name!r}" if kind == "role" else f"{kind} {name!r}"
            raise NotFound(f"there is no {what} on the board: name one of the configuration")
    for task_id in tasks:
        get(tx, task_id)


def live_task(tx: Tx, attempt: Record) -> sqlite3.Row:
    """The task of an executor's attempt that may still write; Fenced when it may not."""
    task = get(tx, attempt["task_id"])
    must_live(attempt, task)
    return task


def must_live(attempt: Record, task: Record) -> None:
    """The fence: Fenced when the attempt has ended, also since its row was read."""
    if attempt["ended_at"] is not None or task["attempt_id"] != attempt["id"] or task["status"] not in LIVE:
        raise Fenced(
            f"attempt {attempt['number']} of task {task['id']} has ended ({attempt['outcome']}): "
            "nothing it says counts any more; stop",
            outcome=attempt["outcome"],
            found=task["status"],
        )


def start(tx: Tx, attempt: Record, *, actor: str, task: sqlite3.Row | None = None) -> str:
    """The agent has begun: claimed → working. `task`: what `live_task` just gave, if it was asked already."""
    return move(tx, task or live_task(tx, attempt), "start", actor=actor)


def submit(tx: Tx, attempt: Record, *, actor: str, detail: str | None = None, task: sqlite3.Row | None = None) -> str:
    """Hand the task in for review; `review = auto` approves it in the same transaction, where there is nothing to prove.

    A review that no agent can make is handed over to a person in it, too. Of a task with checks, both wait for them.
    """
    task = task or live_task(tx, attempt)
    _ends(tx, attempt, "submitted", detail)
    status = move(tx, task, "submit", actor=actor, reason=detail)
    if get(tx, task["id"])["proof"] is not None:  # its checks come first, then what follows here (proofs.finish)
        return status
    if task["review"] == "auto":
        status = approve(tx, task["id"], actor="engine:policy", reason="review = auto")
    begin_review(tx, task["id"])
    return status


def begin_review(tx: Tx, task_id: int) -> None:
    """A review begins, of what has passed its checks where it has some: it is a person's at once where an agent's is no use."""
    reviews.hand_over_hopeless(tx, task_id)
    if circle := loops.unchanged(tx, task_id):
        reviews.hand_over(tx, task_id, circle)
    hold_if_spent(tx, task_id)


def block(tx: Tx, attempt: Record, *, actor: str, kind: str, question: str, task: sqlite3.Row | None = None) -> str:
    """The agent needs something: the task waits for an answer."""
    task = task or live_task(tx, attempt)
    _ends(tx, attempt, "blocked", question)
    return move(tx, task, "block", actor=actor, kind=kind, reason=loops.asked_again(tx, attempt, question))


ENDS = """
UPDATE attempts SET outcome = :outcome, detail = coalesce(:detail, detail), fingerprint = :fingerprint,
       exit_code = coalesce(:exit_code, exit_code), exit_signal = coalesce(:exit_signal, exit_signal)
 WHERE id = :id AND ended_at IS NULL
"""


def _ends(
    tx: Tx, attempt: Record, outcome: str, detail: str | None,
    exit_code: int | None = None, exit_signal: int | None = None,
) -> None:  # fmt: skip
    """Say how the attempt ends, before the move that ends it."""
    tx.run(
        ENDS, id=attempt["id"], outcome=outcome, detail=detail, exit_code=exit_code, exit_signal=exit_signal,
        fingerprint=fingerprint(outcome, attempts.kind_of_failure(tx, attempt["id"]), detail),
    )  # fmt: skip


TRIES = """
SELECT count(*) AS n FROM attempts a
 WHERE a.task_id = :task AND a.role = 'executor' AND a.outcome <> 'submitted'
   AND a.outcome IN (SELECT outcome FROM outcomes WHERE charged)
   AND a.id > coalesce((SELECT max(e.attempt_id) FROM events e WHERE e.task_id = :task AND e.verb = 'reopen'), 0)
"""


def tries(tx: Tx, task_id: int) -> int:
    """Charged attempts that ended badly since the task was posted or reopened."""
    row = tx.one(TRIES, task=task_id)
    return int(row["n"]) if row else 0


def end_badly(
    tx: Tx,
    attempt: Record,
    outcome: str,
    *,
    actor: str,
    detail: str | None = None,
    final: bool = False,
    exit_code: int | None = None,
    exit_signal: int | None = None,
    task: sqlite3.Row | None = None,
) -> str:
    """End an attempt that did not hand in: release, retry or fail, as its policy says; the new status.

    A reviewer's that gave no verdict leaves its task in review.
    """
    if attempt["role"] == "reviewer":
        status = reviews.end_badly(tx, attempt, outcome, detail=detail, exit_code=exit_code, exit_signal=exit_signal)
        return hold_if_spent(tx, attempt["task_id"]) or status
    task = task or live_task(tx, attempt)
    _ends(tx, attempt, outcome, detail, exit_code, exit_signal)
    gated = accounts.refused(tx, attempt, outcome, detail)
    wait = next_try(task, outcome, tries(tx, task["id"]), final=final, gated=gated)
    reason = f"{outcome}: {detail}" if detail else f"{outcome}: {OUTCOMES[outcome].meaning}"
    breaker.trip(tx, attempt, outcome, detail)
    if wait is None:
        status = move(tx, task, "fail", actor=actor, reason=reason)
        families.follow(tx, task["id"])
        return status
    charged = OUTCOMES[outcome].charged
    by_engine = actor.startswith("engine:")  # an agent that says itself that it is limited had begun
    verb = "release" if task["status"] == "claimed" and not charged and by_engine else "retry"
    status = move(tx, task, verb, actor=actor, reason=reason, not_before=plus(tx.now, wait) if wait else None)
    if question := loops.no_progress(tx, task, outcome, detail) or futile.question(tx, attempt["id"], outcome, detail):
        return _ask(tx, task["id"], question)
    return _block_again(tx, task["id"]) or status


def _ask(tx: Tx, task_id: int, question: str) -> str:
    """Have a person say how a pending task is to go on."""
    return move(tx, get(tx, task_id), "block", actor="engine:policy", kind="needs_input", reason=question)


def approve(tx: Tx, task_id: int, *, actor: str, reason: str | None = None) -> str:
    """The work is accepted: review → done."""
    status = move(tx, get(tx, task_id), "approve", actor=actor, reason=reason)
    families.follow(tx, task_id)
    return status


REJECTIONS = """
SELECT count(*) AS n FROM events e WHERE e.task_id = :task AND e.verb = 'reject'
   AND e.id > coalesce((SELECT max(r.id) FROM events r WHERE r.task_id = :task AND r.verb IN ('reopen','unblock')), 0)
"""


def reject(tx: Tx, task_id: int, *, actor: str, remark: str) -> str:
    """Send the work back with a remark: review → pending. More than max_rejections in a row: a person is asked."""
    if not remark.strip():
        raise Refused("a rejection needs a remark: it tells the agent what to do differently")
    task = get(tx, task_id)
    status = move(tx, task, "reject", actor=actor, reason=remark)
    row = tx.one(REJECTIONS, task=task_id)
    count = int(row["n"]) if row else 0
    if count > task["max_rejections"]:
        question = f"rejected {count} times, more than {task['max_rejections']}: answer how to go on, or cancel it"
        return _ask(tx, task_id, question)
    return _block_again(tx, task_id) or status


def give_verdict(tx: Tx, attempt: Record, verb: str, *, actor: str, detail: str | None) -> str:
    """A reviewer's attempt approves or rejects what was handed in; the new status."""
    _ends(tx, attempt, OUTCOME_OF[verb], detail)
    if verb == "approve":
        return approve(tx, attempt["task_id"], actor=actor, reason=detail)
    return reject(tx, attempt["task_id"], actor=actor, remark=detail or "")


OUTCOME_OF = {"approve": "approved", "reject": "rejected"}


def unblock(tx: Tx, task_id: int, *, actor: str, answer: str) -> str:
    """A person's answer: blocked → pending. The answer goes into the next prompt."""
    if not answer.strip():
        raise Refused("an answer needs some text: it is what the agent will read")
    task = get(tx, task_id)
    status = move(tx, task, "unblock", actor=actor, reason=answer, answer=answer)
    return _block_again(tx, task_id) or status


BROKEN_NEED = """
SELECT n.id, n.status FROM dependencies d JOIN tasks n ON n.id = d.needs_id
 WHERE d.task_id = :task AND n.status IN ('failed','cancelled') ORDER BY n.id LIMIT 1
"""


def _block_again(tx: Tx, task_id: int) -> str | None:
    """Coming back to pending does not mend a need that failed, nor a budget that is spent: say so at once."""
    need = tx.one(BROKEN_NEED, task=task_id)
    if need is None:
        return hold_if_spent(tx, task_id)
    remedy = f"DELETE FROM dependencies WHERE task_id = {task_id} AND needs_id = {need['id']}"  # noqa: S608 - shown, not run
    reason = (
        f"task {need['id']}, which it needs, was {need['status']}: reopen that one, or drop the dependency ({remedy})"
    )
    return move(tx, get(tx, task_id), "block", actor=families.ENGINE, kind="dependency", reason=reason)


def hold_if_spent(tx: Tx, task_id: int) -> str | None:
    """Begin nothing more for a task that has spent its budget: a person is asked, or reviews; the new status."""
    task = get(tx, task_id)
    sentence = budgets.task_is_spent(tx, task_id) if task["status"] in ("pending", "review") else None
    if sentence is None:
        return None
    if task["status"] == "pending":
        return _ask(tx, task_id, sentence)
    if task["reviewer"] is not None:
        reviews.hand_over(tx, task_id, sentence)
    return "review"


def cancel(tx: Tx, task_id: int, *, actor: str, reason: str | None = None) -> str:
    """Take a task off the board, with its children. Its process, if any, is stopped by the stop list."""
    status = move(tx, get(tx, task_id), "cancel", actor=actor, reason=reason)
    families.follow(tx, task_id)
    return status


def reopen(tx: Tx, task_id: int, *, actor: str, reason: str | None = None) -> str:
    """Do a finished task again: its tries and rejections count from here."""
    status = move(tx, get(tx, task_id), "reopen", actor=actor, reason=reason)
    return _block_again(tx, task_id) or status
