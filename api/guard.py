"""What is refused before any route is asked: foreign callers, large bodies, slow bodies.

Plain ASGI, around every route and method. Buffers nothing, knows no token, and is the only place where errors
become answers, so that nothing else can leave without its security headers.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.origins import Origins
from api.problems import HttpError
from blackboard import tokens
from blackboard.errors import BlackboardError

log = logging.getLogger("api")

# On every answer that does not say its own. What the API answers is no page: it loads nothing and is kept nowhere.
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'"),
    (b"cache-control", b"no-store"),
]
_POLICY = b"content-security-policy"
_WATCHED = frozenset({b"host", b"origin", b"sec-fetch-site", b"content-length"})


class Limits(NamedTuple):
    """What the body of a request may be: bytes, and seconds until the whole has arrived."""

    size: int
    seconds: float


class Guard:
    """Wraps the routes. `of_body` gives the limits of a request's body."""

    def __init__(self, app: ASGIApp, *, origins: Origins, of_body: Callable[[Scope], Limits]) -> None:
        self._app = app
        self._origins = origins
        self._of_body = of_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, _Sender(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: _Sender) -> None:
        try:
            watched = _watched(scope)
            self._check_caller(watched)
            limits = self._of_body(scope)
            _check_length(watched.get(b"content-length", []), limits)
            await self._app(scope, _Body(receive, limits), send)
        except ClientDisconnect:
            pass  # a body that never ended: nothing of it counts, and nobody waits for an answer
        except BlackboardError as error:
            await _answer(error, scope, receive, send)
        except Exception as error:
            _log(error, scope)
            await _answer(HttpError("internal", problems.INTERNAL), scope, receive, send)

    def _check_caller(self, watched: Mapping[bytes, list[str]]) -> None:
        hosts = watched.get(b"host", [])
        if len(hosts) != 1:
            raise HttpError("bad_request", "send exactly one Host header, as every HTTP client does by itself")
        host = self._origins.host(hosts[0])
        if host is None:
            _foreign("Host", hosts[0])
        for origin in watched.get(b"origin", []):
            if not self._origins.origin(origin, host):
                _foreign("Origin", origin)
        for site in watched.get(b"sec-fetch-site", []):
            if not self._origins.fetch_site(site):
                _foreign("Sec-Fetch-Site", site)


def _check_length(lengths: list[str], limits: Limits) -> None:
    """Refuse a body that says it is too large before a byte of it is read."""
    for text in lengths:
        if not (text.isascii() and text.isdigit()):
            raise HttpError("bad_request", "Content-Length must be one number of bytes")
        if len(text) > 15 or int(text) > limits.size:
            raise too_large(limits.size)


def _watched(scope: Scope) -> dict[bytes, list[str]]:
    """The headers the guard looks at, each with all its values as text."""
    found: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        if name in _WATCHED:
            found.setdefault(name, []).append(value.decode("latin-1"))
    return found


def _foreign(header: str, value: str) -> NoReturn:
    raise HttpError(
        "foreign",
        f"{header} names somebody else: call this server by the base URL of your prompt or configuration, "
        "and not from a page of another site",
        header=header,
        found=value[:200],
    )


def too_large(limit: int) -> HttpError:
    """The answer to a body above the limit, in bytes."""
    return HttpError(
        "too_large",
        f"a body may have {limit} bytes: write the content to a file in your workspace and hand in its content_path",
        {"connection": "close"},
        limit=limit,
    )


class _Body:
    """`receive`, with every byte counted before anybody buffers it, and a deadline until the body has ended."""

    __slots__ = ("_deadline", "_done", "_left", "_limit", "_receive", "_seconds")

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive = receive
        self._limit = self._left = limits.size
        self._seconds = limits.seconds
        self._deadline: float | None = None
        self._done = False

    async def __call__(self) -> Message:
        if self._done:
            return await self._receive()
        message = await self._in_time()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise too_large(self._limit)
        self._done = not message.get("more_body", False)
        return message

    async def _in_time(self) -> Message:
        if self._deadline is None:  # the clock starts with the first look at the body, not with the connection
            self._deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError:
            sentence = f"the body did not arrive within {self._seconds:g} seconds: send it again, whole"
            raise HttpError("slow", sentence, {"connection": "close"}) from None


class _Sender:
    """`send`, with the security headers on every answer, remembering whether one has begun."""

    __slots__ = ("_send", "started")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            said = list(message.get("headers", ()))
            # The page of the contract has a policy of its own, and may be kept. A policy that does not say what may be
            # loaded stands beside ours.
            own = {name for name, value in said if name != _POLICY or value.startswith(b"default-src ")}
            message["headers"] = [*said, *(header for header in HEADERS if header[0] not in own)]
        await self._send(message)


async def _answer(error: BlackboardError, scope: Scope, receive: Receive, send: _Sender) -> None:
    if problems.kind_of(error)[0] == "internal" and not isinstance(error, HttpError):
        _log(error, scope)
    if not send.started:
        await problems.answer(error)(scope, receive, send)


def _log(error: BaseException, scope: Scope) -> None:
    """One record for a fault of ours. The path holds no secret; whatever else might, is masked."""
    story = f"{scope['method']} {scope['path']!r}\n" + "".join(traceback.format_exception(error))
    log.error("unexpected error in %s", tokens.redact(story))
