"""Thousands of inputs that are no request, slow ones among them: no 500, no stall, no word too many in the log."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from api import problems
from orchestrator import connections, listening, parsers
from orchestrator.config_api import Api
from orchestrator.connections import Limits
from tests.daemon import House, until
from tests.malformed import Aim, Input, inputs

HEAD_SECONDS = 2.0
SWEEP_SECONDS = 1.0
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
QUICK = 3.0  # seconds for an answer while everything else is going on, on a machine with other things to do
MEMORY = 150 * 1024  # KiB that the daemon may grow by


class Without(House):
    """A daemon for which there is no httptools, so that it takes h11."""

    @property
    def environment(self) -> dict[str, str]:
        hidden = self.folder / "hidden" / "httptools"
        hidden.mkdir(parents=True, exist_ok=True)
        (hidden / "__init__.py").write_text("raise ImportError\n")
        own = super().environment
        return own | {"PYTHONPATH": f"{hidden.parent}:{own['PYTHONPATH']}"}


@pytest.fixture(params=["httptools", "h11"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    made = (House if request.param == "httptools" else Without)(tmp_path, api={"head_seconds": HEAD_SECONDS})
    hand_in = "echo x > f; bb output data T f; bb submit\n"
    made.agent("patient", f"bb start; while [ ! -e go ]; do sleep 0.1; done; {hand_in}")
    made.agent("quick", f"bb start; {hand_in}")
    made.start()
    yield made
    made.ends()


def at_work(house: House) -> tuple[int, Aim]:
    """A task whose agent waits, and its token."""
    task = house.post("patient")
    house.reaches(task, "working")
    (attempt,) = house.attempts(task)
    match = re.search(r"bbt_[\w-]{43}", house.attempt_file(attempt["id"], "curl.conf").read_text())
    assert match is not None
    return task, Aim(f"127.0.0.1:{house.port}", match[0], f"/api/projects/p/tasks/{task}")


def memory(pid: int) -> int:
    """Resident KiB."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


async def said(port: int, each: Input, room: asyncio.Semaphore) -> bytes:
    """Send an input; what came back within a moment."""
    async with room:
        heard = b""
        with suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                for piece in each.pieces:
                    writer.write(piece)
                    await asyncio.wait_for(writer.drain(), 2)
                    await asyncio.sleep(0)
                if each.end == "half":
                    writer.write_eof()
                if each.end in ("read", "half"):
                    async with asyncio.timeout(0.15):
                        while more := await reader.read(65536):
                            heard += more
                if each.end == "reset":
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            finally:
                writer.close()
        return heard


async def asked(port: int, raw: bytes) -> bytes:
    """One answer to a good request, whole; it ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        return await reader.read()
    finally:
        writer.close()


@asynccontextmanager
async def watched(aim: Aim, port: int) -> AsyncIterator[list[float]]:
    """While the block runs, asks for health and gives signs of life; how long each answer took."""
    rest = f"Host: {aim.host}\r\nConnection: close\r\nAuthorization: Bearer {aim.token}\r\n"
    good = (
        f"GET /healthz HTTP/1.1\r\n{rest}\r\n",
        f"POST {aim.task}/heartbeat HTTP/1.1\r\n{rest}Content-Length: 0\r\n\r\n",
    )
    took: list[float] = []

    async def watch() -> None:
        while True:
            for raw in good:
                began = time.monotonic()
                answer = await asked(port, raw.encode())
                took.append(time.monotonic() - began)
                assert answer.startswith(b"HTTP/1.1 200"), answer
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    try:
        yield took
        assert not watching.done() or watching.result()
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def drip(port: int, aim: Aim, number: int) -> float:
    """A head, a byte at a time, without an end; for how many seconds the server listens."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    head = f"GET /healthz HTTP/1.1\r\nHost: {aim.host}\r\nX-Slow: ".encode()
    try:
        writer.write(head[: number % len(head)])
        while time.monotonic() - began < 30:
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), 0.2)
                break
            writer.write(b"G" if number % len(head) == 0 else head[number % len(head) :][:1])
            number += number % len(head) < len(head) - 1
    except OSError:
        pass
    finally:
        writer.close()
    return time.monotonic() - began


@pytest.mark.timeout(150)
async def test_thousands_of_malformed_inputs_and_slow_ones_meet_no_500_and_no_stall(house: House) -> None:
    count = 1500 if isinstance(house, Without) else 5000
    task, aim = await asyncio.to_thread(at_work, house)
    assert house.daemon is not None
    before = memory(house.daemon.pid)
    room = asyncio.Semaphore(64)
    async with watched(aim, house.port) as took:
        slow = [asyncio.create_task(drip(house.port, aim, number)) for number in range(60)]
        made = asyncio.to_thread(house.post, "quick")
        answers = await asyncio.gather(*(said(house.port, each, room) for each in inputs(aim, count, seed=41)))
        await asyncio.gather(*slow)
        quick = await made
        await asyncio.to_thread(house.reaches, quick, "done")
    statuses = Counter(int(status) for answer in answers for status in STATUS.findall(answer))
    assert not [status for status in statuses if status >= 500], statuses
    assert {200, 400, 404, 431} <= set(statuses), statuses
    assert len(took) > 10
    assert max(took) < QUICK, sorted(took)[-5:]
    assert memory(house.daemon.pid) - before < MEMORY
    log = house.told()
    assert "Traceback" not in log
    assert "Invalid HTTP" not in log  # a stranger does not write our log
    house.let_go(task)
    await asyncio.to_thread(house.reaches, task, "done")


@pytest.mark.timeout(120)
async def test_three_hundred_dripping_heads_keep_nobody_from_being_served_and_are_gone_after_the_deadline(
    house: House,
) -> None:
    task, aim = await asyncio.to_thread(at_work, house)
    async with watched(aim, house.port) as took:
        lived = await asyncio.gather(*(drip(house.port, aim, number) for number in range(300)))
    assert max(lived) < HEAD_SECONDS + SWEEP_SECONDS + QUICK
    assert min(lived) > HEAD_SECONDS / 2
    assert max(took) < QUICK
    house.let_go(task)
    await asyncio.to_thread(house.reaches, task, "done")


def test_a_refused_head_is_told_in_the_form_of_every_other_error(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.port)) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\n")
        late = slow.makefile("rb").read()
    with socket.create_connection(("127.0.0.1", house.port)) as large:
        with suppress(OSError):
            large.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 100_000)
        much = b""
        with suppress(OSError):
            while more := large.recv(65536):
                much += more
    with socket.create_connection(("127.0.0.1", house.port)) as odd:
        odd.sendall(b"\0\r\n\r\n")
        wrong = odd.makefile("rb").read()
    assert [STATUS.findall(answer) for answer in (late, much, wrong)] == [[b"408"], [b"431"], [b"400"]]
    assert all(b"application/problem+json" in answer and b"nosniff" in answer for answer in (late, much, wrong))


def test_what_is_said_before_a_request_is_one_has_the_codes_of_the_api() -> None:
    for refusal in (connections.NOT_HTTP, connections.SLOW, connections.LARGE, connections.FULL):
        kind = problems.KINDS[refusal.code]
        assert (refusal.status, refusal.title) == (kind.status, kind.title)


def test_one_connection_too_many_ends_the_one_that_waited_longest(tmp_path: Path) -> None:
    house = House(tmp_path, api={"max_connections": 20})
    house.start()
    try:
        held = [socket.create_connection(("127.0.0.1", house.port)) for _ in range(40)]
        assert house.http("/healthz")["alive"] is True
        held[0].settimeout(5)
        assert held[0].recv(1) == b""
        until(lambda: len(list(Path(f"/proc/{house.daemon.pid}/fd").iterdir())) < 60)  # type: ignore[union-attr]
        for one in held:
            one.close()
    finally:
        house.ends()


async def test_a_body_that_is_never_read_and_a_head_that_drips_behind_it_end_too(house: House) -> None:
    head = f"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nContent-Length: 1000000\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(head)
    began = time.monotonic()
    assert STATUS.match(await reader.readline())
    with suppress(OSError):
        while time.monotonic() - began < 20:
            writer.write(b"x")
            await writer.drain()
            with suppress(TimeoutError):
                if not await asyncio.wait_for(reader.read(65536), 0.1):
                    break
    assert time.monotonic() - began < HEAD_SECONDS + SWEEP_SECONDS + QUICK
    writer.close()


@pytest.mark.parametrize("make", [parsers.protocol, parsers.h11_protocol])
@pytest.mark.parametrize("reads", [True, False])
async def test_a_reader_who_takes_nothing_is_cut_off_and_a_slow_one_is_served(
    make: Callable[[Limits], type[asyncio.Protocol]], reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = b"x" * 65536
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        ended.set()

    monkeypatch.setattr(parsers, "protocol", lambda limits: make(replace(limits, stuck_seconds=1.5)))
    api = Api(port=0)
    listener = listening.bound(api)
    server = listening.server(app, api)
    serving = asyncio.create_task(server.serve([listener]))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        await asyncio.to_thread(client.connect, ("127.0.0.1", listener.getsockname()[1]))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        if reads:
            for _ in range(40):  # for longer than the limit, a little at a time
                assert await asyncio.to_thread(client.recv, 100_000)
                await asyncio.sleep(0.1)
            assert server.server_state.connections
        else:
            await asyncio.wait_for(ended.wait(), 10)
            assert server.server_state.connections == set()
    server.stop()
    await serving
