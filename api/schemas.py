"""What successful answers hold, as models: for the OpenAPI document and its page, never for building an answer.

An answer may hold more than is named here: a reader must pass over fields it does not know.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from blackboard.states import STATES

Status = Annotated[str, Field(json_schema_extra={"enum": list(STATES)}, description="Where the task stands.")]
Instant = Annotated[
    str, Field(description="UTC, like 2026-01-31T09:00:00.000Z.", examples=["2026-01-31T09:00:00.000Z"])
]
Number = Annotated[int, Field(ge=1)]
Next = Annotated[str, Field(description="One sentence: what the caller does now.")]


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema.get("properties", {}).values():
        field.pop("default", None)  # here a default only says that the field may be absent


class Answer(BaseModel):
    """An answer: more may stand in it."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_without_defaults)


class Told(Answer):
    """What is next."""

    next: Next


class Made(Answer):
    """What the task is now."""

    task: Number
    project: str
    next: Next


class Moved(Made):
    """What the task is now."""

    status: Status


class Posted(Moved):
    """The number of the task."""


class Reported(Moved):
    """What the task is now, and what the report left on the board."""

    attempt: Annotated[int, Field(description="The attempt's number; not in an answer to an operator.")] = 1
    outputs: Annotated[list[Number], Field(description="The numbers of the outputs handed in.")] = []
    comment: Annotated[int, Field(description="The number of the comment.")] = 0
    already: Annotated[Literal[True], Field(description="This report had been taken before; nothing changed.")] = True


class HandedIn(Moved):
    """The number of the output."""

    attempt: Number
    outputs: Annotated[list[Number], Field(min_length=1, max_length=1, description="Its number.")]


class Commented(Made):
    """The number of the comment."""

    comment: Number


class Born(Moved):
    """The number of the child; `task` is still the caller's own."""

    attempt: Number
    child: Annotated[int, Field(ge=1, description="The number of the new task.")]


class RefusedSlot(Answer):
    """A slot that was not taken, and why."""

    slot: str
    why: str


class SlotsTaken(Answer):
    """What taking the slots in did."""

    added: Annotated[int, Field(ge=0, description="Slots that were not known.")]
    changed: Annotated[int, Field(ge=0, description="Slots that are not as they were.")]
    tasks: Annotated[list[Number], Field(description="The numbers of the tasks posted.")]
    refused: Annotated[list[RefusedSlot], Field(description="The slots that were not taken.")]
    next: Next


class TaskLine(Answer):
    """Another task, in short."""

    id: Number
    title: str
    status: Status


class Event(Answer):
    """One line of the board's history."""

    id: Number
    at: Instant
    verb: Annotated[str, Field(description="What happened.")]
    actor: Annotated[str, Field(description="Who did it, like `executor:writer`.")]
    src: Annotated[str | None, Field(description="The task's status before.")]
    dst: Annotated[str | None, Field(description="And after.")]
    reason: str | None
    data: Any


class Events(Answer):
    """A page of events."""

    events: list[Event]
    next: Annotated[int, Field(ge=0, description="Ask for more with this as `after`.")]
    more: Annotated[bool, Field(description="Whether the page was full.")]


class Output(Answer):
    """What an attempt handed in."""

    id: Number
    type: str
    title: str
    content: str | None
    content_path: str | None
    size: Annotated[int, Field(ge=0, description="Bytes.")]
    sha256: str
    summary: str
    created_at: Instant


class OutputPage(Answer):
    """One output, with a page of its text."""

    id: Number
    type: str
    title: str
    size: Annotated[int, Field(ge=0, description="Bytes.")]
    sha256: str
    text: Annotated[str | None, Field(description="The page; null where the output is no text.")]
    offset: Annotated[int, Field(ge=0, description="Where the page begins, in bytes.")]
    next: Annotated[int | None, Field(description="Ask for the next page with this as `offset`; null at the end.")]
    content_url: Annotated[str, Field(description="The path of its bytes.")]


class Comment(Answer):
    """A remark."""

    id: Number
    author: str
    body: str
    created_at: Instant


class Attempt(Answer):
    """One try at the task."""

    id: Number
    number: Number
    role: Literal["executor", "reviewer"]
    agent_id: str
    claimed_at: Instant
    outcome: Annotated[str | None, Field(description="How it ended; null while it lives.")]
    detail: str | None
    ended_at: Instant | None


class Evidence(Answer):
    """One run of one of the task's checks."""

    id: Number
    attempt_id: Annotated[int, Field(ge=1, description="Whose work it looked at.")]
    position: Annotated[int, Field(ge=1, description="Which of the task's checks it is.")]
    check: Annotated[str, Field(description="What it is called.")]
    started_at: Instant
    ended_at: Annotated[str | None, Field(description="Null while it is run.")]
    result: Literal["passed", "failed", "timed_out", "not_run", "interrupted"] | None
    exit_code: int | None
    exit_signal: int | None
    output: Annotated[str | None, Field(description="Its end; of one that could not be run, why.")]
    output_size: Annotated[int | None, Field(description="Bytes.")]
    output_sha256: str | None


class Task(Answer):
    """A task, and the parts of it that `expand` named."""

    id: Number
    project_id: str
    title: str
    description: str
    task_type: str
    status: Status
    priority: int
    must_haves: str
    checks: Annotated[list[Any], Field(description="What proves it, as it was posted.")]
    proof: Annotated[
        Literal["wanted", "passed", "failed"] | None,
        Field(description="Of what was handed in last; null where there is nothing to prove."),
    ]
    data: dict[str, Any]
    agent_id: str | None
    role: str | None
    parent_id: int | None
    reason: Annotated[str | None, Field(description="Why it stands where it stands.")]
    due_at: Instant
    not_before: Instant | None
    attempt: Annotated[int | None, Field(description="The number of the latest attempt.")]
    spent: Annotated[dict[str, float], Field(description="What all its attempts spent: `tokens` and `usd`.")] = {}
    needs: Annotated[list[TaskLine], Field(description="What must be done first.")]
    children: list[TaskLine]
    outputs: list[Output] = []
    comments: list[Comment] = []
    events: list[Event] = []
    attempts: list[Attempt] = []
    evidence: list[Evidence] = []
    links: dict[str, str] = {}


class Lateness(Answer):
    """How late the daemon's loop was: at its last step, at worst since the start, and what counts as late."""

    late_seconds: float
    worst_late_seconds: float
    interval_seconds: float


class Alive(Answer):
    """The process answers. `tick` is null where no loop runs beside the API."""

    alive: Literal[True]
    tick: Lateness | None


class Ready(Answer):
    """The daemon does its work."""

    ready: Literal[True]


class Problem(Answer):
    """An error: RFC 9457. Other facts stand beside these, such as `found` and `allowed`."""

    type: Annotated[str, Field(pattern="^urn:blackboard:problem:[a-z_]+$")]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    code: Annotated[str, Field(description="Which error it is.")]
    detail: Annotated[str, Field(min_length=1, description="One sentence that says what to do next.")]
