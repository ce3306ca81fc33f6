"""The API as agents meet it: a real server, a real shell, a real curl. Every line of the contract is run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from api import ApiConfig, create_app
from blackboard import abroad, heartbeats, watches
from blackboard.board import Tx
from blackboard.watches import Watch
from prompts import bb_script, curl_config
from tests.api_house import Attempt, House, open_house, with_a_check_that_could_not_be_run

ROOT = Path(__file__).resolve().parent.parent
NEVER = Path("/tmp/never-made-by-a-report")
HARD = 'it\'s "quoted" $(touch /tmp/never-made-by-a-report) `touch /tmp/never-made-by-a-report` \\n real\nnewline\r\n\ttab 100% a+b&c=d;e 🎉 \u202e é ﷽ \x7f\x01'


@dataclass
class Served:
    """A house with its API on a real port."""

    house: House
    base: str
    port: int
    folder: Path

    async def sh(self, script: str, cwd: str | Path = "/", **names: str | Path) -> tuple[int, str, str]:
        """Run a script in a real shell with an empty environment but for `names`: exit code, stdout, stderr."""
        prelude = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in names.items())
        process = await asyncio.create_subprocess_exec(
            "/usr/bin/env", "-i", "/bin/sh", "-c", prelude + script, cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    def conf(self, token: str, name: str = "curl.conf") -> Path:
        path = self.folder / name
        path.write_text(curl_config(token))
        path.chmod(0o600)
        return path

    async def raw(self, request: bytes) -> bytes:
        """Write bytes to the server and read until it hangs up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        await writer.drain()
        try:
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(path: Path, config: ApiConfig | None = None) -> AsyncIterator[Served]:
    async with open_house(path, config) as house:
        app = create_app(house.board, config)
        server = uvicorn.Server(
            uvicorn.Config(app, port=0, lifespan="off", ws="none", access_log=False, log_level="critical")
        )
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup()  # without its signal handlers and its ticking loop
        port = server.servers[0].sockets[0].getsockname()[1]
        folder = path / "folder"
        folder.mkdir()
        try:
            yield Served(house, f"http://127.0.0.1:{port}", port, folder)
        finally:
            await server.shutdown()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as up:
        yield up


async def prepared(served: Served, route: str) -> Attempt:
    """An attempt whose task is in the state that the route is for."""
    attempt = await served.house.attempt()
    before: list[dict[str, object]] = []
    if route.endswith(("/approve", "/reject", "/recheck")):
        before = [{"status": "review", "output": {"type": "data", "title": "T", "content": "C"}}]
    elif route.endswith("/answer"):
        before = [{"status": "blocked", "detail": "?"}]
    elif route.endswith("/reopen") or route.endswith("/gone"):
        before = [{"status": "failed", "final": True, "detail": "no"}]
    for report in before:
        assert (await served.house.post(f"{attempt.url}/status", attempt.token, report)).status_code == 200
    if route.endswith("/recheck"):
        await served.house.board.write(with_a_check_that_could_not_be_run, attempt.task)
    if route.endswith("/heartbeat/wake"):
        await served.house.board.write(heartbeats.change, "writer", {"enabled": True}, actor="person:test")
    if route.startswith(("/calendar/slots/", "PATCH /calendar/slots/")):
        await served.house.board.write(with_slots)
    if route.endswith("/permissions/{permission}/revoke"):
        await served.house.board.write(with_a_permission)
    if "/watches" in route:
        await served.house.board.write(with_a_watch)
    if route.endswith("/gone"):
        await served.house.board.write(abroad.left, attempt.id, until=None, sentence="it may go on")
    return attempt


def with_a_permission(tx: Tx) -> int:
    """One more of them, as an operator's SQL grants it; its number."""
    sql = "INSERT INTO permissions (subject, type, scope) SELECT 'group:r' || count(*), 'slots', '*' FROM permissions"
    return tx.insert(sql)


def with_a_watch(tx: Tx) -> None:
    """A watch that has seen a change since its baseline."""
    watch = Watch("tickets", "agent:writer", "tickets")
    for items in ({}, {"7": '{"status":"open"}'}):
        watches.take_in(tx, watch, items)


def with_slots(tx: Tx) -> tuple[int, int]:
    """A slot that is once and one of every day, each with a task that waits; their numbers."""
    once, daily = (
        tx.insert(
            "INSERT INTO slots (source, agent_id, project_id, uid, scheduled_at, day)"
            " SELECT 'api', 'writer', 'demo', 'id:' || (count(*) + 1), '09:00', :day FROM slots",
            day=day,
        )
        for day in ("2026-01-31", None)
    )
    for slot in (once, daily):
        tx.run(
            "INSERT INTO tasks (project_id, agent_id, title, slot_id, occurrence, actor)"
            " VALUES ('demo', 'writer', 'A slot', :slot, '2026-01-31', 'engine:slots')",
            slot=slot,
        )
    return once, daily


def examples() -> list[tuple[str, str]]:
    """Every shell block of the contract, with the route it stands under."""
    text = (ROOT / "docs" / "api-contract.md").read_text(encoding="utf-8")
    found = []
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        route = section.splitlines()[0]
        found += [(route, block) for block in re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)]
    return found


@pytest.mark.parametrize(("route", "script"), examples(), ids=lambda text: text[:60])
async def test_every_line_of_the_contract_works(served: Served, route: str, script: str) -> None:
    attempt = await prepared(served, route)
    if "content_path=result.txt" in script:
        (attempt.workspace / "result.txt").write_text("a line\n")
    names = {
        "conf": served.conf(attempt.token),
        "operator": served.conf(await served.house.operator("admin"), "operator.conf"),
        "base": served.base,
        "task": served.base + attempt.url,
        "feed": await served.house.feed(),
    }
    code, out, err = await served.sh(script, attempt.workspace, **names)
    if route.endswith("/stream"):  # it has no end but curl's time limit
        assert (code, "timed out" in err) == (28, True)
        out = "".join(re.findall(r"^data: (.*)\r$", out, re.MULTILINE)[:1])
    else:
        assert (code, err) == (0, "")
    assert out.startswith(("<!doctype html>", "BEGIN:VCALENDAR")) or json.loads(out)


async def test_from_the_root_with_nothing_but_the_file(served: Served) -> None:
    attempt = await served.house.attempt()
    names = {"conf": served.conf(attempt.token), "task": served.base + attempt.url}
    code, out, _ = await served.sh("/usr/bin/curl --config $conf --data status=working $task/status", **names)
    assert (code, json.loads(out)["status"]) == (0, "working")


async def test_a_refusal_is_exit_22_with_the_sentence(served: Served) -> None:
    attempt = await served.house.attempt()
    names = {"conf": served.conf(attempt.token), "task": served.base + attempt.url}
    code, out, _ = await served.sh("curl --config $conf --data status=done $task/status", **names)
    assert code == 22
    assert json.loads(out)["found"] == "claimed"
    assert "does not allow approve" in json.loads(out)["detail"]


WAYS = {
    "json": "-H 'Content-Type: application/json' --data-binary @$folder/report.json $task/outputs",
    "json without a type": "--data-binary @$folder/report.json $task/outputs",
    "form": "--data type=document --data-urlencode title@$folder/title --data-urlencode content@$folder/text $task/outputs",
    "raw": "-H 'Content-Type: text/plain' --data-binary @$folder/text \"$task/outputs?type=document&title=$title\"",
    "raw in chunks": "-H 'Content-Type: text/plain' -H 'Transfer-Encoding: chunked' --data-binary @$folder/text"
    ' "$task/outputs?type=document&title=$title"',
    "raw without a type": '-X POST -T $folder/text "$task/outputs?type=document&title=$title"',
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_megabyte_of_hard_text_arrives_byte_for_byte(served: Served, way: str) -> None:
    attempt = await served.house.attempt()
    text = (HARD * 20_000).encode()[:1_000_000].decode(errors="ignore")
    (served.folder / "text").write_bytes(text.encode())
    (served.folder / "title").write_bytes(HARD.encode())
    report = {"type": "document", "title": HARD, "content": text}
    (served.folder / "report.json").write_text(json.dumps(report))
    title = "".join(f"%{byte:02x}" for byte in HARD.encode())
    names = {"conf": served.conf(attempt.token), "task": served.base + attempt.url, "folder": served.folder}
    code, out, err = await served.sh(f"curl --config $conf {WAYS[way]}", title=title, **names)
    assert code == 0, out + err
    row = await served.house.board.one("SELECT title, content FROM outputs")
    assert row is not None
    assert tuple(row) == (HARD, text)
    assert not NEVER.exists()  # noqa: ASYNC240


async def test_the_helper_of_the_prompt_takes_a_task_to_review(served: Served) -> None:
    attempt = await served.house.attempt()
    conf = served.conf(attempt.token)
    bb = served.folder / "bb"
    bb.write_text(bb_script(served.base, "demo", attempt.task, str(conf)))
    bb.chmod(0o700)
    (attempt.workspace / "out.txt").write_bytes(HARD.encode())
    script = f"$bb start && $bb output document - {attempt.workspace}/out.txt <$title && $bb submit"
    (served.folder / "title").write_text("It's $(a) title\nand a summary\n")
    code, out, err = await served.sh(script, bb=bb, title=served.folder / "title")
    assert (code, err) == (0, ""), out
    late = await served.sh("$bb fail late", bb=bb)
    assert late[0] == 1
    assert "has ended" in late[2]
    row = await served.house.board.one("SELECT title, content FROM outputs")
    assert row is not None
    assert tuple(row) == ("It's $(a) title", HARD)


@pytest.mark.parametrize("extra", ["", "-H Expect:", "-H 'Transfer-Encoding: chunked'"])
async def test_a_body_too_large_still_gets_its_sentence(served: Served, extra: str) -> None:
    attempt = await served.house.attempt()
    names = {"conf": served.conf(attempt.token), "task": served.base + attempt.url, "folder": served.folder}
    with (served.folder / "big").open("wb") as big:
        big.truncate(20 * 1024 * 1024)
    script = (
        f"curl --config $conf --retry 0 -H 'Content-Type: text/plain' {extra} --data-binary @$folder/big $task/outputs"
    )
    code, out, err = await served.sh(script, **names)
    assert code == 22, (code, out, err)
    assert "content_path" in json.loads(out)["detail"]


async def test_a_body_that_stalls_is_answered_and_hung_up_on(tmp_path: Path) -> None:
    async with serving(tmp_path, ApiConfig(body_seconds=0.05)) as up:
        attempt = await up.house.attempt()
        head = f"POST {attempt.url}/status HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {attempt.token}\r\n"
        answer = await up.raw(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert answer.startswith(b"HTTP/1.1 408 ")
        row = await up.house.board.one("SELECT status FROM tasks")
        assert row is not None
        assert row["status"] == "claimed"


WIRE = [
    ("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", 200),
    ("HEAD /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", 200),
    ("GET http://evil.example/healthz HTTP/1.1\r\nHost: evil.example\r\n", 403),
    ("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n", 403),
    ("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n", 400),
    ("GET /healthz HTTP/1.1\r\n", 400),
    ("GET /healthz HTTP/1.0\r\n", 400),
    ("DELETE /healthz HTTP/1.1\r\nHost: evil.example\r\n", 403),
    ("OPTIONS /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n", 403),
    ("GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n", 403),
    ("GET /api/events?x=%zz HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer bbt_x\r\n", 401),
    ("GET /%00%ff%zz HTTP/1.1\r\nHost: 127.0.0.1\r\n", 404),
]


async def test_what_comes_over_the_wire_is_judged_as_it_came(served: Served) -> None:
    for head, status in WIRE:
        answer = await served.raw(f"{head}Connection: close\r\n\r\n".encode())
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (head, answer)
        # A request without a usable Host may not even reach us.
        assert status == 400 or b"content-security-policy: default-src 'none'" in answer
