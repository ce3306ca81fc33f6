"""What agents hand in: files of their workspace, and hard text by every way a body can take."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.api_house import Attempt, House, open_house, problem

OUTPUT = {"type": "document", "title": "Report", "content": "text"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def attempt(house: House) -> Attempt:
    return await house.attempt()


async def test_a_file_of_the_workspace_is_measured(house: House, attempt: Attempt) -> None:
    content = bytes(range(256)) * 10
    (attempt.workspace / "deep").mkdir()
    (attempt.workspace / "deep" / "out.bin").write_bytes(content)
    output = {"type": "data", "title": "T", "content_path": "deep/out.bin"}
    answer = await house.post(f"{attempt.url}/outputs", attempt.token, output)
    assert answer.status_code == 201
    row = await house.board.one("SELECT content, content_path, size, sha256 FROM outputs")
    assert row is not None
    assert tuple(row) == (None, "deep/out.bin", len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("path", ["../board.sqlite", "/etc/passwd", "link", "linked/x", ".", "none", "a\0b", ""])
async def test_a_path_out_of_the_workspace_is_refused(house: House, attempt: Attempt, path: str) -> None:
    (attempt.workspace / "link").symlink_to("/etc/passwd")
    (attempt.workspace / "linked").symlink_to("/etc")
    output = {"type": "data", "title": "T", "content_path": path}
    problem(await house.post(f"{attempt.url}/outputs", attempt.token, output), 422, "invalid")
    problem(
        await house.post(f"{attempt.url}/status", attempt.token, {"status": "review", "output": output}), 422, "invalid"
    )
    told = (await house.get(f"{attempt.url}?expand=outputs", attempt.token)).json()
    assert (told["status"], told["outputs"]) == ("claimed", [])


HARD = 'it\'s "quoted" $(touch /tmp/x) `id` \\n real\nnewline\r\n\ttab 100% a+b&c=d;e 🎉 \u202e é ﷽ \x7f\x01'


@pytest.mark.parametrize("way", ["json", "form", "raw", "raw without a type", "json sent as a form"])
async def test_a_megabyte_of_hard_text_arrives_byte_for_byte(house: House, attempt: Attempt, way: str) -> None:
    text = (HARD * 20_000)[:1_000_000]
    url, fields = f"{attempt.url}/outputs", {"type": "document", "title": HARD, "summary": HARD}
    query = "&".join(f"{name}={quote(value)}" for name, value in fields.items())
    match way:
        case "json":
            answer = await house.post(url, attempt.token, {**fields, "content": text})
        case "form":
            answer = await house.post(url, attempt.token, data={**fields, "content": text})
        case "json sent as a form":
            body = httpx.Request("POST", "http://x", json={**fields, "content": text}).content
            kind = {"content-type": "application/x-www-form-urlencoded"}
            answer = await house.post(url, attempt.token, content=body, headers=kind)
        case _:
            kind = {"content-type": "text/plain"} if way == "raw" else {}
            answer = await house.post(f"{url}?{query}", attempt.token, content=text.encode(), headers=kind)
    assert answer.status_code == 201, answer.text
    row = await house.board.one("SELECT title, summary, content FROM outputs")
    assert row is not None
    assert tuple(row) == (HARD, HARD, text)


async def test_a_comment_by_raw_body_is_its_text(house: House, attempt: Attempt) -> None:
    kind = {"content-type": "text/plain"}
    answer = await house.post(f"{attempt.url}/comments", attempt.token, content=HARD.encode(), headers=kind)
    assert answer.status_code == 201
    row = await house.board.one("SELECT author, body FROM comments")
    assert row is not None
    assert tuple(row) == ("executor:writer", HARD)


async def test_a_body_above_the_limit_is_refused_and_its_task_untouched(house: House, attempt: Attempt) -> None:
    answer = await house.post(f"{attempt.url}/outputs", attempt.token, content=b"x" * (8 * 1024 * 1024 + 1))
    assert "content_path" in str(problem(answer, 413, "too_large")["detail"])
