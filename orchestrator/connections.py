"""How long and how large a connection may be before it is a request, and how many there may be.

uvicorn itself waits for ever for a head that drips and for a reader who never reads. Here every connection has a
deadline for each. Looks once a second at all of them (`sweep`), so that a request pays for no timer of its own.
Knows no route: an answer from here says only that no request was understood.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes. A head is the request's first line and its headers."""

    head_seconds: float = 10.0  # from the connection, or from the end of the former answer, to a whole head
    head_bytes: int = 64 * 1024
    stuck_seconds: float = 30.0  # a reader who takes nothing of what was written for so long is gone
    most: int = 500  # connections at once; below the usual limit of 1024 open files


class Refusal(NamedTuple):
    """An answer to what never became a request; in the same form as the API's errors, and with the same codes."""

    status: int
    reason: str
    code: str
    title: str
    detail: str

    def answer(self) -> bytes:
        """The whole HTTP answer; the connection ends with it."""
        problem = {
            "type": f"urn:blackboard:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        body = json.dumps(problem).encode() + b"\n"
        retry = "retry-after: 1\r\n" if self.status == 503 else ""
        head = (
            f"HTTP/1.1 {self.status} {self.reason}\r\n"
            "content-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\n"
            "x-content-type-options: nosniff\r\n"
            "content-security-policy: default-src 'none'\r\n"
            "cache-control: no-store\r\n"
            f"{retry}connection: close\r\n\r\n"
        )
        return head.encode() + body


NOT_HTTP = Refusal(
    400, "Bad Request", "bad_request", "Not a request this server can read",
    "this is not HTTP/1.1 that can be read: send it with an ordinary client, such as curl",
)  # fmt: skip
SLOW = Refusal(
    408, "Request Timeout", "slow", "Too slow",
    "the first line and the headers of the request did not arrive in time: send them at once",
)  # fmt: skip
LARGE = Refusal(
    431, "Request Header Fields Too Large", "head_too_large", "Head too large",
    "what stands before the body is too large: send a short query and few headers, and put long text into the body",
)  # fmt: skip
FULL = Refusal(
    503, "Service Unavailable", "unavailable", "Not just now",
    "too many connections are open: close those you do not use, and try again",
)  # fmt: skip


class Watched:
    """What both of uvicorn's protocol classes get on top: `class X(Watched, HttpToolsProtocol)`.

    The attributes are theirs. A subclass says when a head is being read.
    """

    limits = Limits()

    transport: asyncio.Transport
    flow: FlowControl
    loop: asyncio.AbstractEventLoop
    server_state: ServerState
    cycle: Any

    _waits_since: float | None  # since when we wait for a head; None while a request is under way or none has begun
    _stuck_since: float | None = None  # since when the reader has taken nothing
    _closing_since: float | None = None
    _aside = 0  # bytes of this request that were no body: head, chunk sizes, trailers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection; when there are too many, the one that has waited longest for its request goes."""
        super().connection_made(transport)  # type: ignore[misc]
        self._waits_since = self.loop.time()
        others = [each for each in connections(self.server_state) if not each.transport.is_closing()]
        if len(others) > self.limits.most:
            idle = [each for each in others if each is not self and not each.is_busy()]
            if idle:
                min(idle, key=Watched.quiet_since).transport.close()
            else:
                self.refuse(FULL)

    def data_received(self, data: bytes) -> None:
        """Hand the bytes on, and look whether they have become a request."""
        if self.transport.is_closing():
            return
        before = self.cycle
        if self._waits_since is None and not self.is_busy():
            self._waits_since = self.loop.time()
        self._aside += len(data)
        super().data_received(data)  # type: ignore[misc]
        if self.cycle is not before:
            self._waits_since = None
        if self._aside > self.limits.head_bytes:
            self.refuse(LARGE)

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls this for bytes that are no HTTP."""
        if self.is_busy() and not self.cycle.more_body:  # they came behind a request that is whole: it is answered
            self.cycle.keep_alive = False
        else:
            self.refuse(LARGE if self._aside > self.limits.head_bytes else NOT_HTTP)

    def is_busy(self) -> bool:
        """Whether a request is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    def quiet_since(self) -> float:
        """Since when nobody has asked anything; 0 for a connection that is kept open without a word."""
        return self._waits_since or 0.0

    def refuse(self, refusal: Refusal) -> None:
        """Say it, unless an answer has begun, and end the connection."""
        if self.transport.is_closing():
            return
        begun = self.is_busy() and self.cycle.response_started
        if not begun and not self.flow.write_paused:
            self.transport.write(refusal.answer())
        self.transport.close()

    def pause_writing(self) -> None:
        """The reader does not keep up."""
        self._stuck_since = self.loop.time()
        super().pause_writing()  # type: ignore[misc]

    def resume_writing(self) -> None:
        """The reader has taken most of it."""
        self._stuck_since = None
        super().resume_writing()  # type: ignore[misc]

    def look(self, now: float) -> None:
        """End this connection if one of its deadlines has passed."""
        if self.transport.is_closing() and self._closing_since is None:
            self._closing_since = now
        if _passed(self._stuck_since, self.limits.stuck_seconds, now) or _passed(
            self._closing_since, self.limits.stuck_seconds, now
        ):
            self.transport.abort()  # closing would wait for the reader
        elif not self.is_busy() and _passed(self._waits_since, self.limits.head_seconds, now):
            self.refuse(SLOW)


def _passed(since: float | None, seconds: float, now: float) -> bool:
    return since is not None and now - since > seconds


def connections(state: ServerState) -> Iterable[Watched]:
    """The open connections of a server."""
    return [each for each in state.connections if isinstance(each, Watched)]


def sweep(state: ServerState, now: float) -> None:
    """Look at every open connection."""
    for each in connections(state):
        each.look(now)
