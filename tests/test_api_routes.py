"""The routes themselves: methods, unknown paths, health, and that the contract names every one of them."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api import ApiConfig, problems
from api.app import table
from blackboard.board import Tx
from blackboard.errors import Unavailable
from tests.api_house import House, open_house
from tests.asgi_by_hand import ask

CONTRACT = Path(__file__).resolve().parent.parent / "docs" / "api-contract.md"
TABLE = table(ApiConfig())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


def test_no_two_rows_share_method_and_path() -> None:
    assert len({(endpoint.method, endpoint.path) for endpoint in TABLE}) == len(TABLE)


def test_the_contract_names_every_route_and_none_that_is_not() -> None:
    text = CONTRACT.read_text()
    named = set(re.findall(r"^### (GET|POST|PATCH) (/\S+)$", text, re.MULTILINE))
    assert named == {(endpoint.method, endpoint.path) for endpoint in TABLE}


def test_the_contract_says_of_every_route_who_may() -> None:
    sections = re.split(r"^### ", CONTRACT.read_text(), flags=re.MULTILINE)[1:]
    for endpoint in TABLE:
        (section,) = (each for each in sections if each.startswith(f"{endpoint.method} {endpoint.path}\n"))
        assert f"For: {', '.join(endpoint.who)}.\n" in section


def test_the_contract_names_every_field() -> None:
    sections = re.split(r"^### ", CONTRACT.read_text(), flags=re.MULTILINE)[1:]
    for endpoint in TABLE:
        (section,) = (each for each in sections if each.startswith(f"{endpoint.method} {endpoint.path}\n"))
        for name in endpoint.model.model_fields if endpoint.model else ():
            assert f"`{name}`" in section, (endpoint.path, name)


def test_the_contract_holds_the_error_table() -> None:
    rows = [f"| {kind.status} | `{code}` | {kind.means} |" for code, kind in problems.KINDS.items()]
    assert "\n".join(rows) in CONTRACT.read_text()


@pytest.mark.parametrize("path", sorted({endpoint.path for endpoint in TABLE}))
async def test_another_method_is_told_which_ones_there_are(house: House, path: str) -> None:
    url = path.format(
        project="demo",
        agent="writer",
        task=1,
        output=1,
        slot=1,
        virtual="1-20260131",
        permission=1,
        account="agent:writer",
        token="ann",
        watch="tickets",
        feed="bbt_" + "x" * 43,
    )
    methods = {endpoint.method for endpoint in TABLE if endpoint.path == path} | {"OPTIONS"}
    methods |= {"HEAD"} if "GET" in methods else set()
    for method in ("PUT", "PATCH", "DELETE", "GET", "POST"):
        if method in methods:
            continue
        answer = await house.client.request(method, url)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert set(answer.headers["allow"].split(", ")) == methods
    options = await house.client.request("OPTIONS", url)
    assert (options.status_code, set(options.headers["allow"].split(", "))) == (204, methods)
    assert not [name for name in options.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/api",
        "/api/",
        "/api/projects/demo/tasks/1/",
        "/api/projects/demo/tasks/1/status/",
        "/api/projects/demo/tasks/1/claim",
        "/API/EVENTS",
        "/healthz/",
        "/healthz%0A",
        "/healthz%00",
        "/%2e%2e/healthz",
        "/api%2Fevents/x",
        "/%ff",
        "/docs/",
        "/openapi.json/",
    ],
)
async def test_an_unknown_path_is_a_problem(house: House, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = await house.client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer.headers["content-type"] == "application/problem+json"


async def test_health_needs_no_token_and_head_is_a_get(house: House) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await house.client.get(path)).status_code == 200
        assert (await house.client.head(path)).status_code == 200


async def test_ready_is_not_said_while_the_daemon_has_reasons(tmp_path: Path) -> None:
    reasons = ["no tick for 90 seconds"]
    async with open_house(tmp_path, ready=lambda: reasons) as house:
        answer = await house.client.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.json()["reasons"] == ["no tick for 90 seconds"]
        assert int(answer.headers["retry-after"]) >= 1
        reasons.clear()
        assert (await house.client.get("/readyz")).status_code == 200


async def test_ready_proves_a_real_write_and_not_one_for_every_question(house: House) -> None:
    async def written() -> int:
        return int((await house.board.all("SELECT count(*) FROM meta WHERE key = 'written_at'"))[0][0])

    writes = 0
    write = house.board.write

    async def counting(fn: object, *args: object) -> object:
        nonlocal writes
        writes += 1
        return await write(fn, *args)  # type: ignore[arg-type]

    house.board.write = counting  # type: ignore[method-assign,assignment]
    assert await written() == 0
    answers = await asyncio.gather(*(house.client.get("/readyz") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert (writes, await written()) == (1, 1)


async def test_a_board_that_cannot_be_written_is_not_ready(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(tx: Tx) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr("api.health.prove_writable", fails)
    answer = await house.client.get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["the disk is full"])
    monkeypatch.undo()
    assert (await house.client.get("/readyz")).status_code == 200


async def test_a_board_that_does_not_answer_is_not_ready(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    never = asyncio.Event()

    async def stuck(fn: object) -> None:
        await never.wait()

    write = house.board.write
    house.board.write = stuck  # type: ignore[method-assign,assignment]
    monkeypatch.setattr("api.health.PATIENCE", 0.01)
    assert (await house.client.get("/readyz")).status_code == 503
    assert (await house.client.get("/healthz")).status_code == 200
    never.set()
    house.board.write = write  # type: ignore[method-assign]
    assert (await house.client.get("/readyz")).status_code == 200


async def test_a_fault_of_ours_shows_nothing(house: House, caplog: pytest.LogCaptureFixture) -> None:
    attempt = await house.attempt()

    async def breaks(*_: object) -> None:
        raise RuntimeError(f"secret {attempt.token}")

    house.board.write = breaks  # type: ignore[method-assign,assignment]
    with caplog.at_level(logging.DEBUG, "api"):
        answer = await house.post(f"{attempt.url}/status", attempt.token, {"status": "working"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert len(caplog.records) == 1
    assert attempt.token not in caplog.text


PIECES = (
    b'{"status": "working"', b'{"title":', b'"', b"\\ud800", b"\\u0000", b"\0", b"\xff", b"%", b"%zz", b"%00", b"=", b"&", b"[" * 300,
    b"{" * 300, b"1e999", b"9" * 30, b"-0", b"NaN", b"null", b"true", b"content_path=..", b"output.title=", b"detail=", b"status=working",
    b"status=review", b"}", b"]", b",", b":", "\u202e\U0001f389".encode(), b"\r\n", b"type=data&title=t&content=c", b"bbt_" + b"x" * 43,
)  # fmt: skip
KINDS_OF_BODY = (
    "application/json",
    "application/x-www-form-urlencoded",
    "text/plain",
    "",
    "multipart/form-data",
    ";",
    "\xe9",
)


async def test_whatever_is_sent_is_never_our_fault(house: House, caplog: pytest.LogCaptureFixture) -> None:
    attempt, operator, chance = await house.attempt(), await house.operator("admin"), random.Random(8)
    for _ in range(600):
        endpoint = chance.choice(TABLE)
        url = endpoint.path.format(
            project="demo",
            agent="writer",
            task=attempt.task,
            output=1,
            slot=1,
            virtual="1-20260131",
            permission=1,
            token="nobody",
            watch="nothing",
            feed="bbt_" + "x" * 43,
            account="agent:writer",
        )
        token, kind = chance.choice([attempt.token, operator]), chance.choice(KINDS_OF_BODY)
        headers = [("host", "127.0.0.1"), ("authorization", f"Bearer {token}"), ("content-type", kind)]
        query = b"".join(chance.choices(PIECES, k=chance.randrange(4)))
        body = b"".join(chance.choices(PIECES, k=chance.randrange(7)))
        status, _, answer = await ask(house.app, headers, endpoint.method, url, body, query)
        assert 200 <= status < 500, (endpoint.path, query, body)
        assert status < 300 or json.loads(answer)["detail"]
    assert caplog.records == []
