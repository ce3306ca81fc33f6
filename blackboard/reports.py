"""What an agent may say to the board, and applying it, each as one transaction.

The token is looked up inside the transaction: who calls and whether its attempt still lives is decided where
the change is made. Answers are small dicts ready for JSON.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, cast

from blackboard import accounts, attempts, journal, people, verbs
from blackboard.board import Rows, Tx
from blackboard.content import Held
from blackboard.errors import Fenced, Forbidden, Invalid
from blackboard.forms import (
    ChildReport,
    CommentReport,
    HeartbeatReport,
    OutputReport,
    StatusReport,
    UploadReport,
    Usage,
)
from blackboard.move import get, illegal
from blackboard.people import DEFAULTS, Answer
from blackboard.policy import Policies
from blackboard.record import Record
from blackboard.tokens import Caller, identify


def _attempt_on(tx: Tx, caller: Caller, project: str, task_id: int) -> tuple[Record, sqlite3.Row]:
    """The caller's attempt and its task, if the token is one of an attempt on this very task."""
    if caller.attempt is None:
        raise Forbidden("only the attempt that works on a task may do this: use the curl file of the attempt")
    task = get(tx, caller.attempt["task_id"])
    if task["id"] != task_id or task["project_id"] != project:
        raise Forbidden("this token belongs to an attempt on another task: use the addresses of your own prompt")
    return caller.attempt, task


def status(
    tx: Tx, token_hash: bytes, project: str, task_id: int, report: StatusReport, held: Mapping[str, Held] | None = None
) -> Answer:
    """An agent says where its task stands; a person's token moves it by the same path."""
    caller = identify(tx, token_hash)
    if caller.kind == "operator":
        return people.operate_as(
            tx, caller, project, task_id, people.verb_for(tx, task_id, report.status), report.detail
        )
    attempt, task = _attempt_on(tx, caller, project, task_id)
    if attempt["role"] == "reviewer":
        return _verdict(tx, caller, attempt, report)
    if _said_already(attempt, report):
        return _answer(task, attempt, task["status"], already=True)
    verbs.must_live(attempt, task)
    if not report.limited:  # a first call that tells of a limit proves nothing of the account
        attempts.seen(tx, attempt)
    _used(tx, attempt, report.usage)
    extra = _hand_in(tx, attempt, report.handed_in(), held or {})
    if report.comment:
        extra["comment"] = journal.add_comment(
            tx, task_id, author=caller.actor, body=report.comment, attempt_id=attempt["id"]
        )
    reached = _EXECUTOR[report.status](tx, attempt, task, caller.actor, report)
    return _answer(task, attempt, reached or task["status"], already=reached is None, **extra)


def _used(tx: Tx, attempt: Record, usage: Usage | None) -> None:
    if usage is not None:
        attempts.used(tx, attempt["id"], usage.model_dump())


_OUTCOME_OF = {"review": "submitted", "failed": "failed", "blocked": "blocked"}


def _said_already(attempt: Record, report: StatusReport) -> bool:
    """Whether this is the report that ended the attempt, sent again."""
    return (
        attempt["ended_at"] is not None
        and attempt["outcome"] == ("rate_limited" if report.limited else _OUTCOME_OF.get(report.status))
        and attempt["detail"] == _detail(report)
    )


def _detail(report: StatusReport) -> str | None:
    return report.detail or None


def _say_working(tx: Tx, attempt: Record, task: sqlite3.Row, actor: str, report: StatusReport) -> str | None:
    return None if task["status"] == "working" else verbs.start(tx, attempt, actor=actor, task=task)


def _say_review(tx: Tx, attempt: Record, task: sqlite3.Row, actor: str, report: StatusReport) -> str | None:
    return verbs.submit(tx, attempt, actor=actor, detail=_detail(report), task=task)


def _say_failed(tx: Tx, attempt: Record, task: sqlite3.Row, actor: str, report: StatusReport) -> str | None:
    if not _detail(report):
        raise Invalid("failed needs a detail: say what went wrong, the next attempt will read it")
    if report.limited:
        return _limited(tx, attempt, actor, report)
    return verbs.end_badly(tx, attempt, "failed", actor=actor, detail=report.detail, final=report.final, task=task)


def _limited(tx: Tx, attempt: Record, actor: str, report: StatusReport) -> str:
    """The model's provider refuses for now: not charged, and the agent's account waits."""
    attempts.resets(tx, attempt["id"], accounts.believable(tx.now, report.retry_at))
    return verbs.end_badly(tx, attempt, "rate_limited", actor=actor, detail=report.detail)


def _say_blocked(tx: Tx, attempt: Record, task: sqlite3.Row, actor: str, report: StatusReport) -> str | None:
    if not report.detail:
        raise Invalid("blocked needs a detail: ask what you need to know, a person will read it")
    return verbs.block(tx, attempt, actor=actor, kind=report.kind, question=report.detail, task=task)


def _not_yours(tx: Tx, attempt: Record, task: sqlite3.Row, actor: str, report: StatusReport) -> str | None:
    verb = {"done": "approve", "pending": "reject", "cancelled": "cancel"}[report.status]
    raise illegal(task, verb, "executor")


# What each status means from an executor: the new status, or None when the task was there already.
_EXECUTOR: dict[str, Callable[[Tx, Record, sqlite3.Row, str, StatusReport], str | None]] = {
    "working": _say_working, "review": _say_review, "failed": _say_failed, "blocked": _say_blocked,
    "done": _not_yours, "pending": _not_yours, "cancelled": _not_yours,
}  # fmt: skip


def _verdict(tx: Tx, caller: Caller, attempt: Record, report: StatusReport) -> Answer:
    """A reviewer's attempt approves (`done`) or rejects (`pending` with a remark); the same verdict again changes nothing.

    Instead of a verdict it may tell of a limit, as an executor may.
    """
    verb = _VERDICTS.get(report.status)
    ends = "rate_limited" if report.limited else verbs.OUTCOME_OF[verb] if verb else None
    if ends and attempt["outcome"] == ends and attempt["detail"] == _detail(report):
        task = get(tx, attempt["task_id"])
        return _answer(task, attempt, task["status"], already=True)
    if attempt["ended_at"] is not None:
        raise Fenced(
            f"this review has ended ({attempt['outcome']}): nothing it says counts any more; stop",
            outcome=attempt["outcome"],
        )
    if report.limited:
        status = _limited(tx, attempt, caller.actor, report)
        return _answer(get(tx, attempt["task_id"]), attempt, status, next=_OVER)
    if verb is None:
        raise Forbidden("a reviewer says done, or pending with a detail that tells what is missing")
    if report.handed_in():
        raise Forbidden(_NO_OUTPUTS)
    attempts.seen(tx, attempt)
    _used(tx, attempt, report.usage)
    extra: Answer = {}
    if report.comment:
        extra["comment"] = journal.add_comment(
            tx, attempt["task_id"], author=caller.actor, body=report.comment, attempt_id=attempt["id"]
        )
    verbs.give_verdict(tx, attempt, verb, actor=caller.actor, detail=_detail(report))
    task = get(tx, attempt["task_id"])
    return _answer(task, attempt, task["status"], **extra)


_OVER = "this review waits until the limit is over: you are finished, end your program now"
_VERDICTS = {"done": "approve", "pending": "reject"}
_NO_OUTPUTS = "a reviewer hands in no outputs: comment, then say done or pending"


def _hand_in(tx: Tx, attempt: Record, reports: list[OutputReport], held: Mapping[str, Held]) -> Answer:
    ids = []
    for report in reports:
        if report.content_path is not None and report.content_path not in held:
            raise Invalid(f"content_path {report.content_path!r} could not be read")
        file = held[report.content_path] if report.content_path is not None else None
        ids.append(journal.add_output(tx, attempt, type=report.type, title=report.title, summary=report.summary,
                                      content=report.content, held=file))  # fmt: skip
    return {"outputs": ids} if ids else {}


def output(
    tx: Tx, token_hash: bytes, project: str, task_id: int, report: OutputReport, held: Mapping[str, Held] | None = None
) -> Answer:
    """An executor hands in one output."""
    attempt, task = _hands_in(tx, token_hash, project, task_id)
    attempts.seen(tx, attempt)
    return _answer(task, attempt, task["status"], **_hand_in(tx, attempt, [report], held or {}))


def upload(tx: Tx, token_hash: bytes, project: str, task_id: int, report: UploadReport, file: Held) -> Answer:
    """An executor hands in a file that is in the board's folder of uploads already."""
    attempt, task = _hands_in(tx, token_hash, project, task_id)
    attempts.seen(tx, attempt)
    made = journal.add_output(tx, attempt, type=report.type, title=report.title, summary=report.summary, held=file,
                              kept=True)  # fmt: skip
    return _answer(task, attempt, task["status"], outputs=[made], size=file.size, sha256=file.sha256)


def may_hand_in(rows: Rows, token_hash: bytes, project: str, task_id: int) -> None:
    """Raise what `output` and `upload` would raise of this caller: asked before a file is taken in."""
    _hands_in(cast(Tx, rows), token_hash, project, task_id)  # it only looks


def _hands_in(tx: Tx, token_hash: bytes, project: str, task_id: int) -> tuple[Record, sqlite3.Row]:
    attempt, task = _attempt_on(tx, identify(tx, token_hash), project, task_id)
    if attempt["role"] != "executor":
        raise Forbidden(_NO_OUTPUTS)
    verbs.must_live(attempt, task)
    return attempt, task


def comment(tx: Tx, token_hash: bytes, project: str, task_id: int, report: CommentReport) -> Answer:
    """An attempt or a person remarks on a task."""
    caller = identify(tx, token_hash)
    if caller.may("operate"):
        people.in_project(tx, project, task_id)
        made = journal.add_comment(tx, task_id, author=caller.actor, body=report.body)
        return {"task": task_id, "project": project, "comment": made, "next": "the comment is on the board"}
    attempt, task = _attempt_on(tx, caller, project, task_id)
    _still_live(attempt, task)
    attempts.seen(tx, attempt)
    made = journal.add_comment(tx, task_id, author=caller.actor, body=report.body, attempt_id=attempt["id"])
    return _answer(task, attempt, task["status"], comment=made)


def _still_live(attempt: Record, task: sqlite3.Row) -> None:
    if attempt["role"] == "executor":
        verbs.must_live(attempt, task)
    elif attempt["ended_at"] is not None:
        raise Fenced(f"this review has ended ({attempt['outcome']}): stop", outcome=attempt["outcome"])


def heartbeat(tx: Tx, token_hash: bytes, project: str, task_id: int, report: HeartbeatReport) -> Answer:
    """An attempt says that it lives. A detail is kept as an event."""
    caller = identify(tx, token_hash)
    attempt, task = _attempt_on(tx, caller, project, task_id)
    _still_live(attempt, task)
    attempts.seen(tx, attempt)
    _used(tx, attempt, report.usage)
    if report.detail:
        attempts.tell(tx, attempt["id"], "heartbeat", report.detail, actor=caller.actor)
    return _answer(task, attempt, task["status"])


def child(
    tx: Tx, token_hash: bytes, project: str, task_id: int, report: ChildReport, policies: Policies = DEFAULTS
) -> Answer:
    """An executor posts a child task of its own task."""
    caller = identify(tx, token_hash)
    attempt, task = _attempt_on(tx, caller, project, task_id)
    if attempt["role"] != "executor":
        raise Forbidden("a reviewer makes no child tasks")
    verbs.must_live(attempt, task)
    attempts.seen(tx, attempt)
    agent = report.agent if report.agent or report.role else attempt["agent_id"]
    _own_needs_only(tx, task_id, report.needs)
    _own_commands_only(report, agent == attempt["agent_id"])
    made = people.post_form(tx, project, report, caller.actor, policies, agent, parent_id=task_id)
    return _answer(task, attempt, task["status"], child=made)


def _own_needs_only(tx: Tx, parent_id: int, needs: list[int]) -> None:
    for needed in needs:
        if get(tx, needed)["parent_id"] != parent_id:
            raise Forbidden(f"a child task may need other children of your task, and task {needed} is none")


def _own_commands_only(report: ChildReport, own: bool) -> None:
    """A command runs as the agent whose work it proves, in its sandbox or in none: nobody lends his rights that way."""
    if not own and any(check.run is not None for check in report.checks):
        raise Forbidden(
            "a check with a command is only for a child of your own agent, for it runs as the agent of the child: "
            "give files (path) instead, or say in must_haves what proves it"
        )


def refused(tx: Tx, token_hash: bytes, route: str, code: str, body: str | None = None) -> None:
    """Count a refused call of an attempt's token, with its last body as evidence. Other tokens leave nothing."""
    row = tx.one("SELECT id FROM attempts WHERE token_hash = :hash", hash=token_hash)
    if row is not None:
        journal.add_refusal(tx, row["id"], route=route, reason=code, body=body)


def _answer(task: Record, attempt: Record, status: str, *, already: bool = False, **extra: Any) -> Answer:
    answer: Answer = {"task": task["id"], "project": task["project_id"], "status": status, "attempt": attempt["number"]}
    if already:
        answer["already"] = True
    return answer | {"next": _next(status, attempt["role"])} | extra


def _next(status: str, role: str) -> str:
    """One sentence: what the caller does now."""
    if role == "reviewer":
        waits = "review it: say done, or pending with a remark"
        return waits if status == "review" else "your verdict is on the board: you are finished"
    if status == "claimed":
        return "say working, do the task, hand in an output, then say review"
    if status == "working":
        return "do the task, hand in an output, then say review (or failed, or blocked)"
    return f"the task is {status}: you are finished, end your program now"
