"""Routes of what is watched elsewhere: what each watch saw; asking one now, and telling again what was left.

Whether the token may is decided inside the transaction. Asks nobody itself: that is the daemon's loop.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import agent_schemas, answers, bodies, callers, schemas
from api.endpoints import Call, Endpoint, answer
from api.reading import Id
from api.refusals import counted
from blackboard import watch_pushes
from blackboard.board import Rows
from blackboard.people import must_reach


class WatchReport(BaseModel):
    """Nothing is to be said: the path names the watch."""

    model_config = ConfigDict(extra="forbid")


class ChangesQuery(BaseModel):
    """`?after=ID&limit=N`."""

    model_config = ConfigDict(extra="forbid")
    after: Annotated[Id, Field(description="The number of the last change you know.")] = 0
    limit: Annotated[int, Field(ge=1, le=500, description="At most so many.")] = 100


async def read_watches(call: Call) -> Response:
    """Every watch that was asked, and how it stands."""

    async def read(token: bytes) -> Response:
        return answer(await call.api.board.read(_watches, token))

    return await counted(call, read)


def _watches(rows: Rows, token: bytes) -> dict[str, Any]:
    must_reach(callers.who(rows, token), "read")
    return {"watches": watch_pushes.listed(rows)}


async def read_changes(call: Call) -> Response:
    """What a watch saw after one change, in order."""

    async def read(token: bytes) -> Response:
        query = bodies.parse(ChangesQuery, None, {}, call.query, b"")
        return answer(await call.api.board.read(_changes, token, call.watch, query))

    return await counted(call, read)


def _changes(rows: Rows, token: bytes, watch: str, query: ChangesQuery) -> dict[str, Any]:
    must_reach(callers.who(rows, token), "read")
    watch_pushes.must_be_or_have_been(rows, watch)
    found = watch_pushes.changes(rows, watch, after=query.after, most=query.limit)
    return {"changes": found, "next": found[-1]["id"] if found else query.after, "more": len(found) == query.limit}


async def operate(call: Call) -> Response:
    """Have it asked now, or what was left told again: the last word of the path."""

    async def work(token: bytes) -> Response:
        report = await call.report(WatchReport)
        verb = watch_pushes.poll if call.endpoint.name == "poll" else watch_pushes.retry
        said = await answers.stored(call, report, 200, verb, token, call.watch)
        call.api.wake()
        return answers.response(said)

    return await counted(call, work)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/watches",
        read_watches,
        ("read",),
        "Every watch that was asked: when, its last failure, its items, and how many changes wait or were left.",
        answers=agent_schemas.Watches,
        errors=(),
    ),
    Endpoint(
        "GET",
        "/api/watches/{watch}/changes",
        read_changes,
        ("read",),
        "What a watch saw, in order, and what became of each change: `?after=&limit=`.",
        ChangesQuery,
        answers=agent_schemas.Changes,
        errors=("not_found",),
        example={"after": 0, "limit": 10},
    ),
    Endpoint(
        "POST",
        "/api/watches/{watch}/poll",
        operate,
        ("operate",),
        "Ask a watch now, and not when its time has come. The answer does not wait for it.",
        WatchReport,
        answers=schemas.Told,
        errors=("not_found",),
    ),
    Endpoint(
        "POST",
        "/api/watches/{watch}/retry",
        operate,
        ("operate",),
        "Tell again what was left because nobody took it.",
        WatchReport,
        answers=schemas.Told,
        errors=("not_found",),
    ),
)
