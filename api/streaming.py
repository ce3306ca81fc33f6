"""Events as they happen (SSE): each stream reads the board in pages from where its reader is.

Nothing is queued for anybody: a commit wakes the streams, each looks once, and a slow reader's next page waits on
the board. So a stream broken off goes on by `Last-Event-ID` with nothing lost and nothing doubled. Who may read what
is asked again at every look, in the same snapshot: a dead token's stream ends.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api import bodies, callers
from api.endpoints import Api, Call, Endpoint, as_json
from api.reading import Id, reach
from api.refusals import counted
from blackboard import questions
from blackboard.board import Board, Rows
from blackboard.errors import BlackboardError, Invalid

PAGE = 50  # events read at once for one stream
PACE_SECONDS = 0.2  # between two looks of one stream: what a busy board commits meanwhile is one look
PING_SECONDS = 15
STALLED_SECONDS = 60  # a reader that takes nothing for so long is hung up on
AGAIN_MILLISECONDS = 2000  # what a browser waits before it comes back
MOST_OF_AN_ATTEMPT = 4  # streams of one attempt: agents cannot take all of them


class StreamQuery(BaseModel):
    """`?after=ID&task=ID`."""

    model_config = ConfigDict(extra="forbid")
    after: Id = 0
    task: Id | None = None


async def stream_events(call: Call) -> Response:
    """Every event after an id, then each as it happens."""

    async def begin(token: bytes) -> Response:
        await bodies.receive_all(call.receive)  # before anybody listens for the end of the connection
        query = bodies.parse(StreamQuery, None, {}, call.query, b"")
        after = _last_seen(call)
        await call.api.board.read(reach, token, query.task)
        events = _events(call.api.board, token, query.after if after is None else after, query.task)
        return _Stream(call.api, token, (await callers.known(call.api.board, token)).attempt is not None, events)

    return await counted(call, begin)


_NUMBER = re.compile(rb"[0-9]{1,18}")


def _last_seen(call: Call) -> int | None:
    """The event a reader that comes back has seen last. It wins over `after`, which such a reader repeats."""
    value = call.headers.get(b"last-event-id")
    if value is None or value == b"":
        return None
    if _NUMBER.fullmatch(value) is None:
        raise Invalid("Last-Event-ID must be the number of an event: send the last `id` of the stream, or leave it out")
    return int(value)


async def _events(board: Board, token: bytes, after: int, task: int | None) -> AsyncIterator[ServerSentEvent]:
    """Every event from here on, until the server stops or the token reaches it no more."""
    yield ServerSentEvent(comment="events of the board", retry=AGAIN_MILLISECONDS)
    clock = asyncio.get_running_loop().time
    while not board.commits.ended:
        seen, looked = board.commits.number, clock()
        try:
            page, last = await board.read(_page, token, after, task)
        except BlackboardError:  # the token was revoked: whoever comes back is told so
            return
        for event in page:
            yield ServerSentEvent(as_json(event), event=event["verb"], id=str(event["id"]))
            after = event["id"]
        if last:
            return
        if len(page) < PAGE:
            await board.commits.after(seen)
            await asyncio.sleep(max(0.0, looked + PACE_SECONDS - clock()))


ENDED = "SELECT min(id) AS id FROM events WHERE task_id = :task AND attempt_id = :attempt AND verb = 'ended'"


def _page(rows: Rows, token: bytes, after: int, task: int | None) -> tuple[list[dict[str, Any]], bool]:
    """The next events the caller may read, and whether these are its last: an attempt reads up to its own end."""
    attempt = callers.who(rows, token).attempt
    if attempt is None or attempt["ended_at"] is None:
        return questions.events(rows, after, PAGE, reach(rows, token, task)), False
    end = rows.one(ENDED, task=attempt["task_id"], attempt=attempt["id"])
    found = questions.events(rows, after, PAGE, attempt["task_id"])
    own = [event for event in found if end is not None and event["id"] <= (end["id"] or 0)]
    return own, len(own) < PAGE


class _Stream(EventSourceResponse):
    """The answer: holds a place while it is open, and leaves a reader that has stalled."""

    def __init__(self, api: Api, token: bytes, of_an_attempt: bool, events: AsyncIterator[ServerSentEvent]) -> None:
        super().__init__(events, ping=PING_SECONDS, ping_message_factory=_ping, send_timeout=STALLED_SECONDS)
        del self.headers["cache-control"]  # the guard sets it on every answer
        self._api = api
        self._token = token
        self._each = MOST_OF_AN_ATTEMPT if of_an_attempt else api.config.max_streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = self._api.places.taken(self._token, self._each, self._api.config.max_streams)
        with place, suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


def _ping() -> ServerSentEvent:
    return ServerSentEvent(comment="ping")


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/events/stream",
        stream_events,
        ("executor", "reviewer", "read"),
        "Events after an id, then each as it happens (text/event-stream): `?after=&task=`, `Last-Event-ID`.",
        StreamQuery,
        media=("text/event-stream",),
        errors=("fenced", "unavailable"),
    ),
)
