"""The guard: how much, how slowly, and what leaves the server whatever happens inside."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blackboard.errors import BlackboardError, Unavailable
from tests.asgi_by_hand import LIMIT, ask, ask_in_parts, counting, guarded


async def test_a_body_of_exactly_the_limit_passes() -> None:
    status, _, body = await ask(guarded(), [("Host", "127.0.0.1"), ("Content-Length", "1000")], body=b"x" * LIMIT)
    assert (status, body) == (200, b"1000")


@pytest.mark.parametrize("length", ["1001", "99999999999999999999999999999"])
async def test_a_body_that_says_it_is_too_large_is_refused_before_a_byte_of_it_is_read(length: str) -> None:
    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("the route was asked")

    status, headers, body = await ask(guarded(reads), [("Host", "127.0.0.1"), ("Content-Length", length)])
    assert status == 413
    assert headers["connection"] == "close"
    assert json.loads(body)["limit"] == LIMIT


@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "", "5, 5", "٣"])
async def test_a_length_that_is_no_number_is_a_bad_request(length: str) -> None:
    headers = [("Host", "127.0.0.1"), ("Content-Length", length.encode().decode("latin-1"))]
    assert (await ask(guarded(), headers))[0] == 400


async def test_bytes_are_counted_as_they_arrive_and_not_one_part_more_is_taken() -> None:
    taken: list[int] = []

    async def greedy(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive()).get("more_body"):
            taken.append(len(message["body"]))

    status, _, _ = await ask_in_parts(guarded(greedy), [("Host", "127.0.0.1")], [b"x" * 400] * 50)
    assert status == 413
    assert sum(taken) <= LIMIT


async def test_a_length_that_lies_does_not_help() -> None:
    headers = [("Host", "127.0.0.1"), ("Content-Length", "10")]
    assert (await ask_in_parts(guarded(), headers, [b"x" * 10, b"x" * 5000]))[0] == 413


async def test_a_body_that_never_comes_is_given_up_on() -> None:
    never = asyncio.Event()
    sent: list[Message] = []

    async def receive() -> Message:
        await never.wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"127.0.0.1")]}
    await guarded(seconds=0.01)(scope, receive, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_drops_of_a_body_do_not_wind_the_deadline_up_again() -> None:
    drops = 0

    async def receive() -> Message:
        nonlocal drops
        drops += 1
        await asyncio.sleep(0.004)
        return {"type": "http.request", "body": b"x", "more_body": True}

    statuses: list[int] = []

    async def send(message: Message) -> None:
        statuses.append(message.get("status", 0))

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"127.0.0.1")]}
    await guarded(seconds=0.02)(scope, receive, send)
    assert statuses[0] == 408
    assert drops < 50


async def test_a_caller_who_hangs_up_within_the_body_gets_no_answer_and_nothing_is_done() -> None:
    done: list[str] = []

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ClientDisconnect):
            await receive()
            await receive()
        done.append("told")
        raise ClientDisconnect

    messages = [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError("nobody is there to hear it")

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"127.0.0.1")]}
    await guarded(route)(scope, receive, send)
    assert done == ["told"]


async def test_after_the_body_the_route_may_wait_for_the_hang_up_without_a_deadline() -> None:
    heard: list[str] = []

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        heard.append((await receive())["type"])
        await PlainTextResponse("ok")(scope, receive, send)

    assert (await ask(guarded(route), [("Host", "127.0.0.1")]))[0] == 200
    assert heard == ["http.disconnect"]


def failing(error: Exception) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return app


class Odd(BlackboardError):
    code = "nobody_put_this_in_the_table"


@pytest.mark.parametrize("error", [RuntimeError("secret bbt_" + "a" * 43), Odd("secret")])
async def test_an_unexpected_error_shows_nothing_and_is_logged_once_without_tokens(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        status, _, body = await ask(guarded(failing(error)), [("Host", "127.0.0.1")], path="/a\nforged")
    assert status == 500
    assert b"secret" not in body
    assert len(caplog.records) == 1
    assert "secret" in caplog.text
    assert "a" * 43 not in caplog.text
    assert "/a\nforged" not in caplog.text


async def test_unavailable_says_when_to_come_back() -> None:
    status, headers, _ = await ask(guarded(failing(Unavailable("later", retry_after=7))), [("Host", "localhost")])
    assert (status, headers["retry-after"]) == (503, "7")


REFUSALS: list[tuple[list[tuple[str, str]], ASGIApp]] = [
    ([("Host", "127.0.0.1")], counting),
    ([("Host", "evil.example")], counting),
    ([], counting),
    ([("Host", "127.0.0.1"), ("Content-Length", "9999")], counting),
    ([("Host", "127.0.0.1")], failing(RuntimeError())),
]


@pytest.mark.parametrize(("headers", "app"), REFUSALS)
async def test_every_answer_carries_the_security_headers_and_no_cors(
    headers: list[tuple[str, str]], app: ASGIApp
) -> None:
    _, answered, _ = await ask(guarded(app), headers)
    assert answered["x-content-type-options"] == "nosniff"
    assert answered["content-security-policy"] == "default-src 'none'"
    assert answered["cache-control"] == "no-store"
    assert not [name for name in answered if name.startswith("access-control")]


async def test_an_error_after_the_answer_began_sends_no_second_one() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    status, _, body = await ask(guarded(half), [("Host", "127.0.0.1")])
    assert (status, body) == (200, b"")


async def test_web_sockets_are_closed_unasked() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await guarded()({"type": "websocket", "path": "/", "headers": [(b"host", b"127.0.0.1")]}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_real_client_streams_through_the_guard() -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 300

    transport = httpx.ASGITransport(guarded())
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8083") as client:
        assert (await client.post("/x", content=stream())).text == "900"
