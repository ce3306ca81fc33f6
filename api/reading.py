"""What can be read over HTTP: one task with what belongs to it, and the events.

One snapshot on a reader's connection for each call, caller and content together. Never waits for the writer.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.responses import Response

from api import bodies, callers, schemas
from api.endpoints import Call, Endpoint, answer
from api.refusals import counted
from blackboard import questions
from blackboard.board import Rows
from blackboard.errors import Forbidden, Invalid

Id = Annotated[int, Field(ge=0, lt=2**63)]


_PART = f" *(?:{'|'.join(questions.EXPANSIONS)}|all)? *"
_EXPAND = {"type": "string", "pattern": f"^{_PART}(?:,{_PART})*$"}  # what `_expand` takes


class TaskQuery(BaseModel):
    """`?expand=outputs,comments` or `all`."""

    model_config = ConfigDict(extra="forbid")
    expand: Annotated[
        str,
        WithJsonSchema(_EXPAND),
        Field(description="Parts to add, with commas: " + ", ".join(questions.EXPANSIONS) + ", or all."),
    ] = ""


class EventsQuery(BaseModel):
    """`?after=ID&limit=N&task=ID`."""

    model_config = ConfigDict(extra="forbid")
    after: Annotated[Id, Field(description="The number of the last event you know.")] = 0
    limit: Annotated[int, Field(ge=1, le=500, description="At most so many.")] = 100
    task: Annotated[Id | None, Field(description="Those of one task only.")] = None


async def read_task(call: Call) -> Response:
    """The task, and the parts asked for."""

    async def read(token: bytes) -> Response:
        query = bodies.parse(TaskQuery, None, {}, call.query, b"")
        return answer(await call.api.board.read(_task, token, call.project, call.task, _expand(query.expand)))

    return await counted(call, read)


def _expand(text: str) -> frozenset[str]:
    wanted = {word.strip(" ") for word in text.split(",")} - {""}
    if "all" in wanted:
        wanted = (wanted - {"all"}) | set(questions.EXPANSIONS)
    if unknown := sorted(wanted - set(questions.EXPANSIONS)):
        raise Invalid(f"`expand` does not know {unknown[0][:40]!r}: it takes {', '.join(questions.EXPANSIONS)}, or all")
    return frozenset(wanted)


def _task(rows: Rows, token: bytes, project: str, task: int, wanted: frozenset[str]) -> dict[str, Any]:
    callers.may_read(rows, token, project, task)
    return questions.expanded(rows, task, wanted)


async def read_events(call: Call) -> Response:
    """Events after an id, oldest first; `next` is where to go on."""

    async def read(token: bytes) -> Response:
        query = bodies.parse(EventsQuery, None, {}, call.query, b"")
        return answer(await call.api.board.read(_events, token, query))

    return await counted(call, read)


def _events(rows: Rows, token: bytes, query: EventsQuery) -> dict[str, Any]:
    events = questions.events(rows, query.after, query.limit, reach(rows, token, query.task))
    return {"events": events, "next": events[-1]["id"] if events else query.after, "more": len(events) == query.limit}


def reach(rows: Rows, token: bytes, task: int | None) -> int | None:
    """Which task's events the caller gets; None for everybody's. An attempt gets its own task's, asked or not."""
    caller = callers.who(rows, token)
    if caller.attempt is not None:
        own = callers.living(caller)
        if task not in (None, own):
            raise Forbidden(f"this token reads the events of task {own} only: leave `task` out", task=own)
        return own
    if not caller.may("read"):
        raise Forbidden("an agent's token does not read events: use the token of your attempt")
    return task


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/projects/{project}/tasks/{task}",
        read_task,
        ("executor", "reviewer", "read"),
        "The task; `?expand=outputs,comments,events,attempts,links` or `all` adds what belongs to it.",
        TaskQuery,
        answers=schemas.Task,
        errors=("fenced",),
        example={"expand": "outputs,comments"},
    ),
    Endpoint(
        "GET",
        "/api/events",
        read_events,
        ("executor", "reviewer", "read"),
        "Events after an id, oldest first: `?after=&limit=&task=`.",
        EventsQuery,
        answers=schemas.Events,
        errors=("fenced",),
        example={"after": 0, "limit": 10},
    ),
)
