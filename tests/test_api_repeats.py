"""`Idempotency-Key` over HTTP: every POST, one effect; and a kill -9 of the server at any moment."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api import ApiConfig
from api.app import table
from api.endpoints import Endpoint
from blackboard import abroad, heartbeats, tokens
from blackboard.board import ReadOnly
from tests.api_house import House, open_house, problem, with_a_check_that_could_not_be_run
from tests.daemon import free_port, until
from tests.test_api_curl import with_a_permission, with_a_watch
from tests.test_api_reach import BODIES, everything, named

POSTS = [endpoint for endpoint in table(ApiConfig()) if endpoint.method == "POST"]
BEFORE = {
    "approve": {"status": "review", "output": {"type": "data", "title": "T", "content": "C"}},
    "reject": {"status": "review", "output": {"type": "data", "title": "T", "content": "C"}},
    "recheck": {"status": "review", "output": {"type": "data", "title": "T", "content": "C"}},
    "answer": {"status": "blocked", "detail": "?"},
    "reopen": {"status": "failed", "final": True, "detail": "no"},
    "gone": {"status": "failed", "final": True, "detail": "no"},
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


def key(text: str) -> dict[str, dict[str, str]]:
    return {"headers": {"idempotency-key": text}}


@pytest.mark.parametrize("endpoint", POSTS, ids=lambda endpoint: endpoint.name)
async def test_every_post_has_one_effect_however_often_it_is_sent(house: House, endpoint: Endpoint) -> None:
    attempt = await house.attempt()
    if endpoint.name in BEFORE:
        assert (await house.post(f"{attempt.url}/status", attempt.token, BEFORE[endpoint.name])).is_success
    scope = "admin" if endpoint.who == ("admin",) else "operate"
    token = attempt.token if "executor" in endpoint.who else await house.operator(scope)
    if endpoint.name == "recheck":
        await house.board.write(with_a_check_that_could_not_be_run, attempt.task)
    if endpoint.name == "gone":
        await house.board.write(abroad.left, 1, until=None, sentence="it may go on")
    url = endpoint.path.format(
        project="demo", agent="writer", account="agent:writer", task=attempt.task, token="leaving", permission=1,
        watch="tickets",
    )  # fmt: skip
    if endpoint.name == "revoke":
        await house.operator("read", "leaving")
    if "permission" in endpoint.parts:
        await house.board.write(with_a_permission)
    if "watch" in endpoint.parts:
        await house.board.write(with_a_watch)
    if endpoint.name == "wake":
        await house.board.write(heartbeats.change, "writer", {"enabled": True}, actor="person:test")
    body = BODIES[named(endpoint)]
    if endpoint.name == "slots":
        body = {"project": "demo", "slots": [{"id": 1, "agent": "writer", "scheduled_at": "2026-01-31T09:00:00Z"}]}

    first = await house.post(url, token, body, **key("one"))
    after = await everything(house)
    again = await house.post(url, token, body, **key("one"))

    assert first.is_success, first.text
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert await everything(house) == after
    other = await house.post(
        url,
        token,
        {**body, "detail": "x", "title": "y", "body": "z", "claw_identifier": "zoe", "message": "w"},
        **key("one"),
    )
    assert other.status_code == 422


async def test_the_answer_stays_when_the_attempt_has_ended(house: House) -> None:
    attempt = await house.attempt()
    said = await house.post(f"{attempt.url}/comments", attempt.token, {"body": "hm"}, **key("c"))
    await house.post(f"{attempt.url}/status", attempt.token, {"status": "failed", "detail": "no", "final": True})
    again = await house.post(f"{attempt.url}/comments", attempt.token, {"body": "hm"}, **key("c"))
    assert (again.status_code, again.content) == (201, said.content)
    problem(await house.post(f"{attempt.url}/comments", attempt.token, {"body": "hm"}, **key("d")), 409, "fenced")


async def test_the_answer_stays_when_the_file_it_handed_in_is_gone(house: House) -> None:
    attempt = await house.attempt()
    (attempt.workspace / "out.txt").write_text("a line\n")
    body = {"type": "data", "title": "T", "content_path": "out.txt"}
    said = await house.post(f"{attempt.url}/outputs", attempt.token, body, **key("o"))
    ended = {"status": "review", "output": body}
    review = await house.post(f"{attempt.url}/status", attempt.token, ended, **key("s"))
    (attempt.workspace / "out.txt").unlink()
    again = await house.post(f"{attempt.url}/outputs", attempt.token, body, **key("o"))
    assert (again.status_code, again.content) == (201, said.content)
    again = await house.post(f"{attempt.url}/status", attempt.token, ended, **key("s"))
    assert (again.status_code, again.content) == (200, review.content)


async def test_json_a_form_and_a_raw_body_that_say_the_same_are_the_same(house: House) -> None:
    attempt = await house.attempt()
    url = f"{attempt.url}/comments"
    first = await house.post(url, attempt.token, {"body": "hm"}, **key("c"))
    form = await house.post(url, attempt.token, data={"body": "hm"}, **key("c"))
    headers = {"idempotency-key": "c", "content-type": "text/plain"}
    raw = await house.post(url, attempt.token, content=b"hm", headers=headers)
    assert {answer.content for answer in (first, form, raw)} == {first.content}


async def test_a_key_for_another_content_or_route_is_refused_and_counted(house: House) -> None:
    attempt = await house.attempt()
    await house.post(f"{attempt.url}/comments", attempt.token, {"body": "hm"}, **key("c"))
    told = problem(
        await house.post(f"{attempt.url}/comments", attempt.token, {"body": "ha"}, **key("c")), 422, "key_reused"
    )
    assert "other content" in str(told["detail"])
    told = problem(await house.post(f"{attempt.url}/heartbeat", attempt.token, {}, **key("c")), 422, "key_reused")
    assert told["found"] == f"POST {attempt.url}/comments"
    rows = await house.board.all("SELECT route FROM refusals WHERE reason = 'key_reused' ORDER BY route")
    assert [row["route"] for row in rows] == ["comments", "heartbeat"]


async def test_a_refusal_may_be_mended_under_its_key(house: House) -> None:
    attempt = await house.attempt()
    url = f"{attempt.url}/status"
    problem(await house.post(url, attempt.token, {"status": "failed"}, **key("s")), 422, "invalid")
    said = await house.post(url, attempt.token, {"status": "failed", "detail": "no"}, **key("s"))
    assert said.status_code == 200


@pytest.mark.parametrize(
    ("values", "word"),
    [(["a", "b"], "twice"), ([""], "empty"), (["x" * 256], "256"), (["\xe9"], "ASCII"), (["a\tb"], "ASCII")],
)
async def test_a_key_that_cannot_be_kept_is_refused_before_anything_is_done(
    house: House, values: list[str], word: str
) -> None:
    attempt = await house.attempt()
    headers = [("authorization", f"Bearer {attempt.token}")]
    headers += [("idempotency-key", value.encode("latin-1")) for value in values]
    told = problem(
        await house.client.post(f"{attempt.url}/comments", json={"body": "b"}, headers=headers), 422, "invalid"
    )
    assert word in str(told["detail"])
    assert not await house.board.all("SELECT 1 FROM comments")


async def test_a_key_of_255_characters_is_kept(house: House) -> None:
    attempt = await house.attempt()
    for _ in range(2):
        said = await house.post(f"{attempt.url}/comments", attempt.token, {"body": "b"}, **key("~" * 254 + " !"[1]))
        assert said.status_code == 201
    assert len(await house.board.all("SELECT 1 FROM comments")) == 1


SERVER = """
import asyncio, sys, uvicorn
from pathlib import Path
from api import create_app
from blackboard.board import Board
async def main():
    board = await Board.open(Path(sys.argv[1]))
    app = create_app(board)
    await uvicorn.Server(uvicorn.Config(app, port=int(sys.argv[2]), lifespan="off", log_level="critical")).serve()
asyncio.run(main())
"""


class Served:
    """A server in a process of its own, which is killed and started again."""

    def __init__(self, board: Path) -> None:
        self.board, self.port = board, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", SERVER, str(self.board), str(self.port)])

    def killed_and_back(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process = self._started()
        until(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None
        try:
            return httpx.get(f"{self.url}/healthz", trust_env=False).is_success
        except httpx.TransportError:
            return False


ROUNDS, CALLS = 8, 25


def storm(server: Served, url: str, token: str) -> tuple[list[int], int]:
    """Calls, each repeated with its key until it is answered, while the server dies once a round.

    The comments' numbers as they were answered, and how many calls were sent.
    """
    chance, answered, sent = random.Random(5), list[int](), 0
    with httpx.Client(base_url=server.url, trust_env=False, timeout=5) as client:
        for number in range(ROUNDS * CALLS):
            if number % CALLS == 0:
                server.killed_and_back()
                threading.Timer(chance.random() * 0.03, server.process.kill).start()
            headers = {"authorization": f"Bearer {token}", "idempotency-key": f"k-{number}"}
            while True:
                sent += 1
                try:
                    said = client.post(url, json={"body": str(number)}, headers=headers)
                    break
                except httpx.TransportError:
                    server.killed_and_back()
            assert said.status_code == 201, said.text
            answered.append(said.json()["comment"])
    return answered, sent


async def test_a_kill_at_any_moment_leaves_one_effect_for_one_key(tmp_path: Path) -> None:
    token = tokens.mint()
    async with open_house(tmp_path) as house:
        task = await house.task()
        await house.board.write(tokens.create, token, kind="operator", name="ann", scope="operate")
    server = Served(tmp_path / "board.sqlite")
    try:
        answered, sent = await asyncio.to_thread(storm, server, f"/api/projects/demo/tasks/{task}/comments", token)
    finally:
        server.process.kill()
        server.process.wait()
    with ReadOnly(server.board) as board:
        kept = [(row["id"], row["body"]) for row in board.all("SELECT id, body FROM comments ORDER BY id")]
    assert kept == [(answered[number], str(number)) for number in range(ROUNDS * CALLS)]
    assert sent > len(answered), "no call was cut off: the test has shown nothing"
