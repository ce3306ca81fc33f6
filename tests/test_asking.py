"""Sources that are asked: one that fails or hangs is told once, backed off, and never holds another up."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from blackboard import sources
from blackboard.board import Board, Tx
from blackboard.clock import plus
from orchestrator import web
from orchestrator.asking import Asking, NoAnswer
from tests.fake_clock import START, FakeClock

MINUTE = 60


class Hub:
    """A source that does what it is told: says something, fails, or hangs."""

    def __init__(self, board: Board, name: str = "hub", every: float = 300, most_seconds: float = 5) -> None:
        self.name = f"backend:{name}"
        self.every = every
        self.most_seconds = most_seconds
        self.look_every = float("inf")
        self.asked = 0
        self.does: Exception | str = "answers"
        self._board = board

    def changed(self) -> bool:
        return False

    async def ask(self) -> bool:
        self.asked += 1
        if isinstance(self.does, Exception):
            raise self.does
        if self.does == "hangs":
            await asyncio.sleep(3600)
        await self._board.write(_said, self.name, self.every, self.asked)
        return True


def _said(tx: Tx, name: str, every: float, count: int) -> None:
    sources.answered(tx, name, every=every, stale_after=3600, state={"count": count})


async def told(board: Board) -> list[str]:
    rows = await board.all("SELECT verb || ' ' || reason AS said FROM events WHERE verb GLOB 'source_*' ORDER BY id")
    return [row["said"] for row in rows]


async def row_of(board: Board, hub: Hub) -> dict[str, object]:
    row = await board.one(sources.FOUND, name=hub.name)
    assert row is not None
    return dict(row)


async def test_a_source_is_asked_when_its_time_has_come_and_not_before(board: Board, clock: FakeClock) -> None:
    hub, woken = Hub(board), []
    asking = Asking(board, [hub], lambda: woken.append(1))
    await asking.once()
    clock.go_on(299)
    await asking.once()
    assert (hub.asked, woken) == (1, [1])
    clock.go_on(1)
    await Asking(board, [hub], lambda: None).once()  # a restart asks nobody early
    assert hub.asked == 2
    row = await row_of(board, hub)
    assert (row["ok_at"], row["next_at"]) == (plus(START, 300), plus(START, 600))
    assert await board.read(sources.state_of, hub.name) == {"count": 2}


async def test_failures_are_counted_told_once_and_backed_off(board: Board, clock: FakeClock) -> None:
    hub = Hub(board)
    asking = Asking(board, [hub], lambda: None)
    await asking.once()
    waits = []
    hub.does = NoAnswer("the hub is down")
    for _ in range(10):
        clock.go_on(300)
        before = hub.asked
        await asking.once()
        assert hub.asked == before + 1
        row = await row_of(board, hub)
        waits.append(round(await asking._left(hub)))
    assert waits[0] <= 5 and waits[:6] == sorted(waits[:6]) and all(225 <= wait <= 300 for wait in waits[6:])
    assert (row["failures"], row["failed"], row["error"], row["ok_at"]) == (10, 10, "the hub is down", START)
    assert await told(board) == ["source_failed backend:hub: the hub is down; what it said before stays"]

    hub.does = NoAnswer("it speaks no JSON")
    clock.go_on(300)
    await asking.once()
    hub.does = "answers"
    clock.go_on(300)
    await asking.once()
    assert (await told(board))[1:] == [
        "source_failed backend:hub: it speaks no JSON; what it said before stays",
        "source_back backend:hub answers again after 11 tries without an answer",
    ]
    row = await row_of(board, hub)
    assert (row["failures"], row["failed"], row["error"], row["state"]) == (0, 11, None, json.dumps({"count": 13}))


async def test_one_that_hangs_or_breaks_holds_no_other_up(board: Board) -> None:
    hangs, breaks, good = Hub(board, "hangs", most_seconds=0.05), Hub(board, "breaks"), Hub(board, "good")
    hangs.does, breaks.does = "hangs", KeyError("slots")
    running = asyncio.create_task(Asking(board, [hangs, breaks, good], lambda: None).run())
    try:
        async with asyncio.timeout(10):
            while len(await told(board)) < 2 or not good.asked:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
    assert sorted(await told(board)) == [
        "source_failed backend:breaks: KeyError: 'slots'; what it said before stays",
        "source_failed backend:hangs: no answer within 0.05 s; what it said before stays",
    ]


async def test_a_clock_that_was_set_back_does_not_silence_a_source(board: Board, clock: FakeClock) -> None:
    hub = Hub(board)
    asking = Asking(board, [hub], lambda: None)
    await asking.once()
    clock.go_on(-86400)
    await asking.once()
    assert hub.asked == 2


@pytest.mark.parametrize("written", ["2026-01-31 09:00:00", "now", "", "9"])
async def test_a_time_written_by_hand_that_is_none_silences_nobody(board: Board, written: str) -> None:
    wrong, good = Hub(board, "wrong"), Hub(board, "good")
    asking = Asking(board, [wrong, good], lambda: None)
    await asking.once()
    await board.write(_by_hand, wrong.name, written)
    await asking.once()
    assert (wrong.asked, good.asked) == (2, 1)
    assert round(await asking._left(wrong)) == 300


def _by_hand(tx: Tx, name: str, next_at: str) -> None:
    tx.run("UPDATE sources SET next_at = :at WHERE name = :name", at=next_at, name=name)


# --- the web ----------------------------------------------------------------------------------------------------------


@contextmanager
def serving(answers: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def says(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


async def test_an_answer_is_given_whatever_its_status() -> None:
    with serving(says(404, b"no such calendar", ETag='"7"')) as url:
        found = await web.ask("GET", url)
    assert (found.status, found.headers["etag"], found.body) == (404, '"7"', b"no such calendar")


async def test_an_answer_without_end_is_left_at_the_limit() -> None:
    with serving(says(200, b"x" * 5000)) as url, pytest.raises(NoAnswer, match="more than 4999 bytes"):
        await web.ask("GET", url, most_bytes=4999)


async def test_a_redirect_leads_on_only_on_the_same_host() -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path == "/old":
            says(302, Location="/new")(request)
        elif request.path == "/away":
            says(302, Location=f"http://localhost:{request.server.server_address[1]}/new")(request)  # type: ignore[str-bytes-safe]
        elif request.path == "/round":
            says(302, Location="/round")(request)
        else:
            says(200, request.headers.get("Authorization", "").encode())(request)

    with serving(answer) as url:
        secret = {"Authorization": "Bearer s"}
        assert (await web.ask("GET", f"{url}/old", headers=secret)).body == b"Bearer s"
        with pytest.raises(NoAnswer, match="another host, localhost"):
            await web.ask("GET", f"{url}/away", headers=secret)
        with pytest.raises(NoAnswer, match="more than 3 times"):
            await web.ask("GET", f"{url}/round")


async def test_a_redirect_never_leads_out_of_https(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(302, headers={"Location": "http://calendar.example.org/plain"})

    client = functools.partial(httpx.AsyncClient, transport=httpx.MockTransport(answer))
    monkeypatch.setattr(web.httpx, "AsyncClient", client)
    with pytest.raises(NoAnswer, match="leads from https to http"):
        await web.ask("GET", "https://calendar.example.org/", headers={"X-Claw-Identifier": "me"})
    assert [str(request.url) for request in asked] == ["https://calendar.example.org/"]


async def test_an_answer_that_only_trickles_is_left_at_the_limit() -> None:
    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        with suppress(OSError):
            for _ in range(1000):
                request.wfile.write(b"x")
                time.sleep(0.05)

    with serving(trickle) as url, pytest.raises(NoAnswer, match=r"no whole answer within 0\.5 s"):
        async with asyncio.timeout(20):
            await web.ask("GET", url, seconds=0.5)


PACKED = gzip.compress(b"plain words")


async def test_a_packed_answer_is_unpacked() -> None:
    with serving(says(200, PACKED, **{"Content-Encoding": "gzip"})) as url:
        assert (await web.ask("GET", url)).body == b"plain words"
    for status in (200, 304):
        with serving(says(status, b"", **{"Content-Encoding": "gzip"})) as url:
            assert (await web.ask("GET", url)).body == b""


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [
        (gzip.compress(b"x" * 64_000_000), "gzip", "more than 1000 bytes"),
        (gzip.compress(gzip.compress(b"x" * 64_000_000)), "gzip, gzip", "encoded as 'gzip, gzip'"),
        (b"no gzip at all", "gzip", "no whole gzip"),
        (gzip.compress(b"12345" * 20)[:-9], "gzip", "no whole gzip"),
        (gzip.compress(b"12345")[:-14], "gzip", "no whole gzip"),
        (PACKED, "br", "encoded as 'br'"),
    ],
    ids=["gzip", "gzip of gzip", "no gzip", "cut", "cut early", "another packing"],
)
async def test_a_few_bytes_never_become_many(body: bytes, encoding: str, words: str) -> None:
    with serving(says(200, body, **{"Content-Encoding": encoding})) as url:
        await asyncio.to_thread(web._trust)
        tracemalloc.start()
        try:
            with pytest.raises(NoAnswer, match=words):
                await web.ask("GET", url, most_bytes=1000)
            assert tracemalloc.get_traced_memory()[1] < 8_000_000
        finally:
            tracemalloc.stop()


async def test_whom_to_trust_is_read_once_and_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    made, plain = [], httpx.create_ssl_context

    def create(**given: Any) -> ssl.SSLContext:
        made.append(threading.current_thread())
        return plain(**given)

    for module in (httpx, httpx._config):
        monkeypatch.setattr(module, "create_ssl_context", create)
    web._trust.cache_clear()
    with serving(says(200)) as url:
        for _ in range(3):
            await web.ask("GET", url)
    assert len(made) == 1
    assert made[0] is not threading.main_thread()


@pytest.mark.parametrize(
    ("url", "words"),
    [("http://127.0.0.1:1/x?token=s", "127.0.0.1 gave no answer"), ("http://a\0b/", "the server gave no")],
)
async def test_no_answer_is_one_sentence_without_what_the_address_holds(url: str, words: str) -> None:
    with pytest.raises(NoAnswer, match=words) as caught:
        await web.ask("GET", url)
    assert "token=s" not in str(caught.value)


@contextmanager
def saying(raw: bytes) -> Iterator[str]:
    """A server that says these very bytes, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with suppress(OSError), listening.accept()[0] as caller:
                caller.recv(65536)
                caller.sendall(raw)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(5)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 " + b"\x01\x02z" * 25_000 + b"\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://" + b"a." * 30_000 + b"b/\r\n\r\n",
    ],
    ids=["no status", "a long host"],
)
async def test_what_a_server_babbles_is_told_only_in_part(raw: bytes) -> None:
    with saying(raw) as url, pytest.raises(NoAnswer) as caught:
        await web.ask("GET", url, seconds=5)
    assert len(str(caught.value)) < 500


async def test_a_redirect_to_a_host_that_can_be_none_is_no_answer() -> None:
    nowhere = b"HTTP/1.1 302 Found\r\nLocation: http://xn--/\r\nContent-Length: 0\r\n\r\n"
    with saying(nowhere) as url, pytest.raises(NoAnswer, match=r"127\.0\.0\.1 gave no answer"):
        await web.ask("GET", url, seconds=5)
    with pytest.raises(NoAnswer, match="the server gave no answer"):
        await web.ask("GET", "http://xn--/", seconds=5)
