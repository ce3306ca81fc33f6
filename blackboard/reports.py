"""What an agent or a person may say to the board, and applying it, each as one transaction.

The token is looked up inside the transaction: who calls and whether its attempt still lives is decided where
the change is made. What arrives is validated by the models; `agent` and `author` in a body are taken and not
believed. Answers are small dicts ready for JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from blackboard import attempts, journal, slots, verbs
from blackboard.board import Tx
from blackboard.content import Held
from blackboard.errors import Fenced, Forbidden, Invalid, NotFound
from blackboard.move import get, illegal
from blackboard.policy import Policies
from blackboard.record import Record
from blackboard.states import FINAL, LIVE
from blackboard.tokens import Caller, identify

Text = Annotated[str, Field(max_length=2_000_000)]
Line = Annotated[str, Field(min_length=1, max_length=500)]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Instant = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Answer = dict[str, Any]
DEFAULTS = Policies()


class _Report(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OutputReport(_Report):
    """What an agent hands in: by `content` or by `content_path`, a file of its workspace."""

    type: Literal["code", "document", "data", "config", "other"]
    title: Line
    content: Text | None = None
    content_path: Annotated[str, Field(max_length=4096)] | None = None
    summary: Text = ""
    agent: str | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> OutputReport:
        if (self.content is None) == (self.content_path is None):
            raise ValueError("give exactly one of content and content_path")
        return self


class StatusReport(_Report):
    """Where the task stands; outputs and a comment may come along in the same call."""

    status: Literal["working", "review", "failed", "blocked", "done", "pending", "cancelled"]
    detail: Text | None = None
    final: bool = False
    kind: Literal["needs_input", "dependency", "capability", "transient"] = "needs_input"
    output: OutputReport | None = None
    outputs: list[OutputReport] = Field(default_factory=list, max_length=100)
    comment: Text | None = None
    agent: str | None = None

    def handed_in(self) -> list[OutputReport]:
        """Every output of the call."""
        return ([self.output] if self.output else []) + self.outputs


class CommentReport(_Report):
    """A remark on the task."""

    body: Annotated[str, Field(min_length=1, max_length=2_000_000)]
    author: str | None = None
    agent: str | None = None


class HeartbeatReport(_Report):
    """A sign of life during long work."""

    detail: Annotated[str, Field(max_length=2000)] | None = None
    agent: str | None = None


class ChildReport(_Report):
    """A child task: for an agent or a role; for the same agent when neither is named."""

    title: Line
    description: Text = ""
    agent: Slug | None = None
    role: Slug | None = None
    type: Annotated[str, Field(max_length=64)] = "general"
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 5
    must_haves: Text = ""
    due_at: Instant | None = None
    needs: list[Annotated[int, Field(ge=1, lt=2**63)]] = Field(default_factory=list, max_length=1000)


class TaskReport(ChildReport):
    """A task posted by a person; the policy numbers override the configuration's."""

    parent: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    not_before: Instant | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    review: Literal["auto", "human"] | None = None
    max_tries: Annotated[int, Field(ge=1, le=1000)] | None = None
    backoff_seconds: Annotated[float, Field(ge=0, le=1e6)] | None = None
    wall_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    idle_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    startup_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    max_rejections: Annotated[int, Field(ge=0, le=1000)] | None = None
    needs_output: bool | None = None


# --- who may -----------------------------------------------------------------------------------------


def _attempt_on(tx: Tx, token_hash: bytes, project: str, task_id: int) -> tuple[Caller, Record]:
    """The caller and its attempt, if the token is one of an attempt on this very task."""
    caller = identify(tx, token_hash)
    if caller.attempt is None:
        raise Forbidden("only the attempt that works on a task may do this: use the curl file of the attempt")
    task = tx.one("SELECT project_id FROM tasks WHERE id = :id", id=caller.attempt["task_id"])
    if caller.attempt["task_id"] != task_id or task is None or task["project_id"] != project:
        raise Forbidden("this token belongs to an attempt on another task: use the addresses of your own prompt")
    return caller, caller.attempt


def _operator(tx: Tx, token_hash: bytes, scope: str) -> Caller:
    caller = identify(tx, token_hash)
    if not caller.may(scope):
        raise Forbidden(f"this needs an operator's token with scope {scope}: it is in the operator token file")
    return caller


def _in_project(tx: Tx, project: str, task_id: int) -> None:
    if get(tx, task_id)["project_id"] != project:
        raise NotFound(f"there is no task {task_id} in project {project}", task=task_id)


# --- agents ------------------------------------------------------------------------------------------


def status(
    tx: Tx, token_hash: bytes, project: str, task_id: int, report: StatusReport, held: Mapping[str, Held] | None = None
) -> Answer:
    """An agent says where its task stands; a person's token moves it by the same path."""
    caller = identify(tx, token_hash)
    if caller.kind == "operator":
        return operate(tx, token_hash, project, task_id, _verb_for(tx, task_id, report.status), report.detail)
    caller, attempt = _attempt_on(tx, token_hash, project, task_id)
    if attempt["role"] == "reviewer":
        return _verdict(tx, caller, attempt, report)
    if _said_already(attempt, report):
        return _answer(tx, attempt, already=True)
    verbs.live_task(tx, attempt)
    attempts.seen(tx, attempt)
    extra = _hand_in(tx, attempt, report.handed_in(), held or {})
    if report.comment:
        extra["comment"] = journal.add_comment(
            tx, task_id, author=caller.actor, body=report.comment, attempt_id=attempt["id"]
        )
    already = _EXECUTOR[report.status](tx, attempt, caller.actor, report)
    return _answer(tx, attempt, already=already, **extra)


_OUTCOME_OF = {"review": "submitted", "failed": "failed", "blocked": "blocked"}


def _said_already(attempt: Record, report: StatusReport) -> bool:
    """Whether this is the report that ended the attempt, sent again."""
    return (
        attempt["ended_at"] is not None
        and attempt["outcome"] == _OUTCOME_OF.get(report.status)
        and attempt["detail"] == _detail(report)
    )


def _detail(report: StatusReport) -> str | None:
    return report.detail or None


def _say_working(tx: Tx, attempt: Record, actor: str, report: StatusReport) -> bool:
    if get(tx, attempt["task_id"])["status"] == "working":
        return True
    verbs.start(tx, attempt, actor=actor)
    return False


def _say_review(tx: Tx, attempt: Record, actor: str, report: StatusReport) -> bool:
    verbs.submit(tx, attempt, actor=actor, detail=_detail(report))
    return False


def _say_failed(tx: Tx, attempt: Record, actor: str, report: StatusReport) -> bool:
    if not _detail(report):
        raise Invalid("failed needs a detail: say what went wrong, the next attempt will read it")
    verbs.end_badly(tx, attempt, "failed", actor=actor, detail=report.detail, final=report.final)
    return False


def _say_blocked(tx: Tx, attempt: Record, actor: str, report: StatusReport) -> bool:
    if not _detail(report):
        raise Invalid("blocked needs a detail: ask what you need to know, a person will read it")
    verbs.block(tx, attempt, actor=actor, kind=report.kind, question=report.detail or "")
    return False


def _not_yours(tx: Tx, attempt: Record, actor: str, report: StatusReport) -> bool:
    verb = {"done": "approve", "pending": "reject", "cancelled": "cancel"}[report.status]
    raise illegal(get(tx, attempt["task_id"]), verb, "executor")


_EXECUTOR: dict[str, Callable[[Tx, Record, str, StatusReport], bool]] = {
    "working": _say_working, "review": _say_review, "failed": _say_failed, "blocked": _say_blocked,
    "done": _not_yours, "pending": _not_yours, "cancelled": _not_yours,
}  # fmt: skip


def _verdict(tx: Tx, caller: Caller, attempt: Record, report: StatusReport) -> Answer:
    """A reviewer's attempt approves (`done`) or rejects (`pending` with a remark)."""
    if attempt["ended_at"] is not None:
        raise Fenced(
            f"this review has ended ({attempt['outcome']}): nothing it says counts any more; stop",
            outcome=attempt["outcome"],
        )
    attempts.seen(tx, attempt)
    if report.status == "done":
        verbs.approve(tx, attempt["task_id"], actor=caller.actor, reason=report.detail)
    elif report.status == "pending":
        verbs.reject(tx, attempt["task_id"], actor=caller.actor, remark=report.detail or "")
    else:
        raise Forbidden("a reviewer says done, or pending with a detail that tells what is missing")
    return _answer(tx, attempt)


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
    _caller, attempt = _attempt_on(tx, token_hash, project, task_id)
    if attempt["role"] != "executor":
        raise Forbidden("a reviewer hands in no outputs: comment, then say done or pending")
    verbs.live_task(tx, attempt)
    attempts.seen(tx, attempt)
    return _answer(tx, attempt, **_hand_in(tx, attempt, [report], held or {}))


def comment(tx: Tx, token_hash: bytes, project: str, task_id: int, report: CommentReport) -> Answer:
    """An attempt or a person remarks on a task."""
    caller = identify(tx, token_hash)
    if caller.may("operate"):
        _in_project(tx, project, task_id)
        made = journal.add_comment(tx, task_id, author=caller.actor, body=report.body)
        return {"task": task_id, "project": project, "comment": made, "next": "the comment is on the board"}
    caller, attempt = _attempt_on(tx, token_hash, project, task_id)
    _still_live(tx, attempt)
    attempts.seen(tx, attempt)
    made = journal.add_comment(tx, task_id, author=caller.actor, body=report.body, attempt_id=attempt["id"])
    return _answer(tx, attempt, comment=made)


def _still_live(tx: Tx, attempt: Record) -> None:
    if attempt["role"] == "executor":
        verbs.live_task(tx, attempt)
    elif attempt["ended_at"] is not None:
        raise Fenced(f"this review has ended ({attempt['outcome']}): stop", outcome=attempt["outcome"])


def heartbeat(tx: Tx, token_hash: bytes, project: str, task_id: int, report: HeartbeatReport) -> Answer:
    """An attempt says that it lives. A detail is kept as an event."""
    caller, attempt = _attempt_on(tx, token_hash, project, task_id)
    _still_live(tx, attempt)
    attempts.seen(tx, attempt)
    if report.detail:
        attempts.tell(tx, attempt["id"], "heartbeat", report.detail, actor=caller.actor)
    return _answer(tx, attempt)


def child(
    tx: Tx, token_hash: bytes, project: str, task_id: int, report: ChildReport, policies: Policies = DEFAULTS
) -> Answer:
    """An executor posts a child task of its own task."""
    caller, attempt = _attempt_on(tx, token_hash, project, task_id)
    if attempt["role"] != "executor":
        raise Forbidden("a reviewer makes no child tasks")
    verbs.live_task(tx, attempt)
    attempts.seen(tx, attempt)
    agent = report.agent if report.agent or report.role else attempt["agent_id"]
    _own_needs_only(tx, task_id, report.needs)
    made = _post(tx, project, report, caller.actor, policies, agent, parent_id=task_id)
    return _answer(tx, attempt, child=made)


def _own_needs_only(tx: Tx, parent_id: int, needs: list[int]) -> None:
    for needed in needs:
        if get(tx, needed)["parent_id"] != parent_id:
            raise Forbidden(f"a child task may need other children of your task, and task {needed} is none")


def _post(
    tx: Tx, project: str, report: ChildReport, actor: str, policies: Policies, agent: str | None, **more: Any
) -> int:
    return verbs.post(
        tx, project=project, title=report.title, actor=actor, agent=agent, role=report.role, description=report.description,
        task_type=report.type, priority=report.priority, must_haves=report.must_haves, due_at=report.due_at,
        needs=report.needs, policy=policies.of(agent).but(report.model_dump()), **more,
    )  # fmt: skip


def refused(tx: Tx, token_hash: bytes, route: str, code: str, body: str | None = None) -> None:
    """Count a refused call of an attempt's token, with its last body as evidence. Other tokens leave nothing."""
    row = tx.one("SELECT id FROM attempts WHERE token_hash = :hash", hash=token_hash)
    if row is not None:
        journal.add_refusal(tx, row["id"], route=route, reason=code, body=body)


# --- people ------------------------------------------------------------------------------------------


def post_task(tx: Tx, token_hash: bytes, project: str, report: TaskReport, policies: Policies = DEFAULTS) -> Answer:
    """A person posts a task."""
    caller = _operator(tx, token_hash, "operate")
    made = _post(tx, project, report, caller.actor, policies, report.agent, parent_id=report.parent,
                 not_before=report.not_before, data=report.data)  # fmt: skip
    task = get(tx, made)
    return {
        "task": made,
        "project": project,
        "status": task["status"],
        "next": f"orchestrator why {made} tells when it starts",
    }


def post_slots(
    tx: Tx,
    token_hash: bytes,
    document: Mapping[str, Any],
    *,
    project: str,
    time_zone: str,
    source: str = "api",
    policies: Policies = DEFAULTS,
) -> Answer:
    """A person posts slots: each becomes one task. What is not named stays: this is no complete schedule."""
    caller = _operator(tx, token_hash, "operate")
    schedule = slots.read_schedule(document, source=source, project=project, time_zone=time_zone, complete=False)
    taken = slots.take_in(tx, schedule, policies, actor=caller.actor)
    if taken.refused and not taken.tasks and not taken.added and not taken.changed:
        which, why = taken.refused[0]
        raise Invalid(f"{which}: {why}", refused=[{"slot": w, "why": y} for w, y in taken.refused])
    return {
        "added": taken.added,
        "changed": taken.changed,
        "tasks": taken.tasks,
        "refused": [{"slot": which, "why": why} for which, why in taken.refused],
        "next": f"{len(taken.tasks)} tasks posted; orchestrator tasks lists them",
    }


OPERATIONS = ("approve", "reject", "answer", "cancel", "reopen")


def operate(tx: Tx, token_hash: bytes, project: str, task_id: int, verb: str, detail: str | None = None) -> Answer:
    """A person moves a task: approve, reject (remark), answer (text), cancel, reopen."""
    caller = _operator(tx, token_hash, "operate")
    _in_project(tx, project, task_id)
    status = _apply(tx, task_id, verb, caller.actor, detail)
    return {"task": task_id, "project": project, "status": status, "next": f"task {task_id} is {status} now"}


def _apply(tx: Tx, task_id: int, verb: str, actor: str, detail: str | None) -> str:
    if verb == "approve":
        return verbs.approve(tx, task_id, actor=actor, reason=detail)
    if verb == "reject":
        return verbs.reject(tx, task_id, actor=actor, remark=detail or "")
    if verb == "answer":
        return verbs.unblock(tx, task_id, actor=actor, answer=detail or "")
    if verb == "cancel":
        return verbs.cancel(tx, task_id, actor=actor, reason=detail)
    if verb == "reopen":
        return verbs.reopen(tx, task_id, actor=actor, reason=detail)
    raise NotFound(f"there is no verb {verb!r}: a person may " + ", ".join(OPERATIONS))


def _verb_for(tx: Tx, task_id: int, status: str) -> str:
    """The person's verb that leads from where the task is to `status`."""
    found = get(tx, task_id)["status"]
    if status == "done":
        return "approve"
    if status == "cancelled":
        return "cancel"
    if status == "pending":
        return "reject" if found == "review" else "answer" if found == "blocked" else "reopen"
    raise Forbidden(f"only the attempt that works on the task says {status}")


# --- answers -----------------------------------------------------------------------------------------


def _answer(tx: Tx, attempt: Record, *, already: bool = False, **extra: Any) -> Answer:
    task = get(tx, attempt["task_id"])
    answer: Answer = {
        "task": task["id"],
        "project": task["project_id"],
        "status": task["status"],
        "attempt": attempt["number"],
    }
    if already:
        answer["already"] = True
    return answer | extra | {"next": _next(task["status"], task["reason"], attempt)}


def _next(status: str, reason: str | None, attempt: Record) -> str:
    """One sentence: what the caller does now."""
    if attempt["role"] == "reviewer":
        return (
            "your verdict is on the board: you are finished"
            if status != "review"
            else "review it: say done, or pending with a remark"
        )
    if status == "claimed":
        return "say working, do the task, hand in an output, then say review"
    if status == "working":
        return "do the task, hand in an output, then say review (or failed, or blocked)"
    if status in FINAL or status not in LIVE:
        return f"the task is {status}: you are finished, end your program now"
    return reason or status
