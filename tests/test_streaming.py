"""The event stream, through a real server on a real port: nothing lost, nothing doubled, nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import streaming
from blackboard import reports, tokens
from blackboard.board import Tx
from blackboard.forms import StatusReport
from tests.api_house import problem
from tests.daemon import House as DaemonHouse
from tests.test_api_curl import Served, serving

STREAM = "/api/events/stream"
PATIENCE = 20


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as up:
        yield up


class Reader:
    """One open stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.text = ""
        self._chunks = response.aiter_text()

    async def messages(self, most: int) -> list[dict[str, str]]:
        """The next messages with an id, as their fields; fewer when the stream ends."""
        found: list[dict[str, str]] = []
        async with asyncio.timeout(PATIENCE):
            while len(found) < most:
                if "\r\n\r\n" not in self.text:
                    try:
                        self.text += await anext(self._chunks)
                    except StopAsyncIteration:
                        break
                    continue
                block, self.text = self.text.split("\r\n\r\n", 1)
                fields = dict(line.split(": ", 1) for line in block.split("\r\n"))
                if "id" in fields:
                    found.append(fields)
        return found

    async def rest(self) -> list[dict[str, str]]:
        """Everything until the stream ends."""
        return await self.messages(10**9)


@contextlib.asynccontextmanager
async def reading(
    served: Served, token: str, query: str = "", last: int | None = None, client: httpx.AsyncClient | None = None
) -> AsyncIterator[Reader]:
    headers = {"authorization": f"Bearer {token}"} | ({"last-event-id": str(last)} if last is not None else {})
    async with contextlib.AsyncExitStack() as stack:
        client = client or await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=PATIENCE))
        response = await stack.enter_async_context(client.stream("GET", served.base + STREAM + query, headers=headers))
        assert response.status_code == 200, await response.aread()
        yield Reader(response)


def notes(tx: Tx, first: int, most: int, size: int = 1) -> None:
    for number in range(first, first + most):
        reason = f"{number} " + "x" * size
        tx.run(
            "INSERT INTO events (at, verb, actor, reason) VALUES (:now, 'note', 'sql', :reason)",
            now=tx.now,
            reason=reason,
        )


def ids(messages: list[dict[str, str]]) -> list[int]:
    return [int(message["id"]) for message in messages]


async def test_a_message_is_the_event_of_the_list(served: Served) -> None:
    attempt = await served.house.attempt()
    hard = "a\u2028b\nc\rd 🎉"
    await served.house.post(f"{attempt.url}/heartbeat", attempt.token, {"detail": hard})
    listed = (await served.house.get("/api/events", attempt.token)).json()["events"]
    async with reading(served, attempt.token) as reader:
        messages = await reader.messages(len(listed))
        assert reader.response.headers["content-type"].startswith("text/event-stream")
        assert reader.response.headers.get_list("cache-control") == ["no-store"]
        assert reader.response.headers["x-content-type-options"] == "nosniff"
    assert [json.loads(message["data"]) for message in messages] == listed
    assert [(message["id"], message["event"]) for message in messages] == [(str(e["id"]), e["verb"]) for e in listed]
    assert listed[-1]["reason"] == hard


async def test_a_stream_broken_off_anywhere_goes_on_without_loss_or_double(served: Served) -> None:
    token, seen, last = await served.house.operator("read"), list[int](), 0
    written = asyncio.create_task(write_on(served))
    while len(seen) < 600:
        async with reading(served, token, "?after=0", last or None) as reader:  # `after` stays, as a browser's does
            seen += ids(await reader.messages(min(7 + len(seen) % 60, 600 - len(seen))))
            last = seen[-1]
    await written
    assert seen == list(range(1, 601))


async def write_on(served: Served) -> None:
    for first in range(0, 600, 30):
        await served.house.board.write(notes, first, 30)
        await asyncio.sleep(0.01)


async def test_after_and_task_narrow_a_stream(served: Served) -> None:
    first, second = await served.house.attempt(), await served.house.attempt()
    token = await served.house.operator("read")
    async with reading(served, token, f"?task={second.task}") as reader:
        told = [json.loads(message["data"]) for message in await reader.messages(2)]
        assert {event["task_id"] for event in told} == {second.task}
        await served.house.post(f"{first.url}/status", first.token, {"status": "working"})
        await served.house.post(f"{second.url}/status", second.token, {"status": "working"})
        (event,) = [json.loads(message["data"]) for message in await reader.messages(1)]
        assert (event["task_id"], event["verb"]) == (second.task, "start")
    async with reading(served, token, f"?after={event['id']}") as reader:
        await served.house.board.write(notes, 0, 1)
        assert ids(await reader.messages(1)) == [event["id"] + 1]


async def test_an_attempt_sees_its_own_task_up_to_its_own_end(served: Served) -> None:
    mine, other = await served.house.attempt(), await served.house.attempt()
    async with reading(served, mine.token) as reader:
        await reader.messages(2)
        await served.house.post(f"{other.url}/status", other.token, {"status": "working"})

        ended = {"status": "failed", "detail": "no"}
        report = StatusReport.model_validate(ended)

        def end_and_go_on(tx: Tx) -> None:  # in one commit: the stream sees both at one look
            reports.status(tx, tokens.digest(mine.token), "demo", mine.task, report)
            tx.run("INSERT INTO events (at, verb, actor, task_id) VALUES (:now, 'note', 'sql', :task)",
                   now=tx.now, task=mine.task)  # fmt: skip

        await served.house.board.write(end_and_go_on)
        told = [json.loads(message["data"]) for message in await reader.rest()]
    assert {event["task_id"] for event in told} == {mine.task}
    assert told[-1]["verb"] == "ended"
    again = await served.house.get(STREAM, mine.token)
    problem(again, 409, "fenced")


async def test_a_revoked_token_reads_no_further(served: Served) -> None:
    token = await served.house.operator("read", "ann")
    async with reading(served, token) as reader:
        await served.house.board.write(notes, 0, 1)
        assert len(await reader.messages(1)) == 1

        def revoke_and_write(tx: Tx) -> None:
            tokens.revoke(tx, kind="operator", name="ann")
            notes(tx, 1, 1)

        await served.house.board.write(revoke_and_write)
        assert await reader.rest() == []


async def test_who_may_not_read_gets_no_stream(served: Served) -> None:
    mine, other = await served.house.attempt(), await served.house.attempt()
    house = served.house
    problem(await house.get(STREAM, None), 401, "unauthorized")
    problem(await house.get(STREAM, await house.agent_token()), 403, "forbidden")
    problem(await house.get(f"{STREAM}?task={other.task}", mine.token), 403, "forbidden")
    problem(await house.get(STREAM, mine.token, headers={"host": "evil.example"}), 403, "foreign")
    problem(await house.get(STREAM, mine.token, headers={"origin": "https://evil.example"}), 403, "foreign")
    problem(await house.get(STREAM, mine.token, headers={"sec-fetch-site": "cross-site"}), 403, "foreign")


@pytest.mark.parametrize("query", ["?after=x", "?after=-1", "?task=x", "?limit=3", "?after=1&after=2", "?after=%zz"])
async def test_a_wrong_question_gets_its_sentence(served: Served, query: str) -> None:
    problem(await served.house.get(STREAM + query, await served.house.operator("read")), 422, "invalid")


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 19, "1 2"])
async def test_a_wrong_last_event_id_gets_its_sentence(served: Served, last: str) -> None:
    said = await served.house.get(STREAM, await served.house.operator("read"), headers={"last-event-id": last})
    assert "Last-Event-ID" in str(problem(said, 422, "invalid")["detail"])


async def test_head_tells_what_it_would_be_and_ends(served: Served) -> None:
    headers = {"authorization": f"Bearer {await served.house.operator('read')}"}
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        said = await client.head(served.base + STREAM, headers=headers)
        assert (said.status_code, said.content) == (200, b"")
        assert said.headers["content-type"].startswith("text/event-stream")


async def test_a_hundred_readers_get_everything_in_order_and_one_more_is_told_to_wait(served: Served) -> None:
    token = await served.house.operator("read")
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE, limits=limits) as client:
        async with contextlib.AsyncExitStack() as stack:
            readers = [await stack.enter_async_context(reading(served, token, client=client)) for _ in range(100)]
            headers = {"authorization": f"Bearer {token}"}
            refused = await client.get(served.base + STREAM, headers=headers)
            problem(refused, 503, "unavailable")
            assert int(refused.headers["retry-after"]) >= 1
            for first in range(0, 100, 10):
                await served.house.board.write(notes, first, 10)
            for told in await asyncio.gather(*(reader.messages(100) for reader in readers)):
                assert ids(told) == list(range(1, 101))
        async with asyncio.timeout(PATIENCE):  # their places are free again once the server has seen them go
            while (await client.head(served.base + STREAM, headers=headers)).status_code != 200:
                await asyncio.sleep(0.05)


async def test_an_attempt_cannot_take_every_place(served: Served) -> None:
    attempt, operator = await served.house.attempt(), await served.house.operator("read")
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(streaming.MOST_OF_AN_ATTEMPT):
            await stack.enter_async_context(reading(served, attempt.token))
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            headers = {"authorization": f"Bearer {attempt.token}"}
            assert (await client.get(served.base + STREAM, headers=headers)).status_code == 503
        async with reading(served, operator) as reader:
            assert len(await reader.messages(1)) == 1


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The `after` of every look a stream takes at the board."""
    found, look = list[int](), streaming._page

    def counted(rows: Any, token: bytes, after: int, task: int | None) -> Any:
        found.append(after)
        return look(rows, token, after, task)

    monkeypatch.setattr(streaming, "_page", counted)
    return found


async def test_a_quiet_stream_does_not_look(served: Served, looks: list[int]) -> None:
    async with reading(served, await served.house.operator("read")) as reader:
        await served.house.board.write(notes, 0, 1)
        assert len(await reader.messages(1)) == 1
        await asyncio.sleep(0.5)
        before = len(looks)
        await served.house.board.write(lambda tx: tx.all("SELECT 1"))  # a transaction that changes nothing
        await asyncio.sleep(0.5)
        assert len(looks) == before


async def test_a_reader_that_takes_nothing_is_not_read_for_and_misses_nothing(served: Served, looks: list[int]) -> None:
    """What waits for it waits on the board: the server reads a page on only as fast as the reader takes it."""
    token, most, size = await served.house.operator("read"), 2000, 20_000
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=4096)
    writer.write(f"GET {STREAM} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    for first in range(0, most, 100):
        await served.house.board.write(notes, first, 100, size)
    await asyncio.sleep(1)
    assert max(looks) < most / 2, "it was read for"
    taken = b""
    async with asyncio.timeout(60):
        while b"id: %d\r\n" % most not in taken:
            taken = taken[-30:] + await reader.read(65536)
    assert max(looks) >= most - streaming.PAGE
    writer.close()


async def test_a_reader_that_stalls_is_left(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "STALLED_SECONDS", 0.2)
    token = await served.house.operator("read")
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=4096)
    writer.write(f"GET {STREAM} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    for first in range(0, 1000, 100):
        await served.house.board.write(notes, first, 100, 20_000)
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            await asyncio.sleep(1)
            while await reader.read(65536):
                pass
    writer.close()


async def test_another_processs_commit_wakes_the_streams(served: Served) -> None:
    board = served.house.board
    await board.foreign_commits()
    async with reading(served, await served.house.operator("read")) as reader:
        await asyncio.sleep(0.3)

        def foreign() -> None:
            with contextlib.closing(sqlite3.connect(board.path)) as other:
                other.execute("INSERT INTO events (at, verb, actor) VALUES ('2026-01-31T09:00:00.000Z', 'note', 'sql')")
                other.commit()

        await asyncio.to_thread(foreign)
        assert await board.foreign_commits()
        assert len(await reader.messages(1)) == 1


async def test_a_quiet_stream_gets_a_ping(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert streaming.PING_SECONDS == 15
    monkeypatch.setattr(streaming, "PING_SECONDS", 0.05)
    async with reading(served, await served.house.operator("read")) as reader, asyncio.timeout(PATIENCE):
        text = ""
        while text.count(": ping\r\n\r\n") < 3:
            text += await anext(reader._chunks)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DaemonHouse]:
    made = DaemonHouse(tmp_path)
    yield made
    made.ends()


def test_term_ends_the_streams_and_the_daemon_at_once(house: DaemonHouse) -> None:
    house.start()
    token = (house.folder / "operator.token").read_text().strip()
    ends: list[str] = []
    opened = threading.Semaphore(0)

    def read() -> None:
        try:
            with httpx.stream(
                "GET",
                f"http://127.0.0.1:{house.port}{STREAM}",
                headers={"authorization": f"Bearer {token}"},
                trust_env=False,
                timeout=PATIENCE,
            ) as response:
                opened.release()
                for _ in response.iter_bytes():
                    pass
            ends.append("whole")
        except httpx.TransportError as error:
            ends.append(repr(error))

    readers = [threading.Thread(target=read) for _ in range(10)]
    for reader in readers:
        reader.start()
    for _ in readers:
        assert opened.acquire(timeout=PATIENCE)
    begun = time.monotonic()
    assert house.stop() == 0, house.told()
    took = time.monotonic() - begun
    for reader in readers:
        reader.join(PATIENCE)
    assert ends == ["whole"] * 10
    assert took < 4, took
    assert "rror" not in house.told()
