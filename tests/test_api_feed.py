"""The feed over HTTP: opened by the secret in its address and by nothing else, and not written again while it is the same."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api import kept_feeds
from blackboard import feed_text, tokens
from blackboard.board import Tx
from tests.api_house import House, insert_agent, open_house, problem
from tests.feed_reading import short, sound


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


async def task(house: House, title: str, agent: str = "writer") -> None:
    """A task that is due now."""
    number = await house.task(title, agent)
    await house.board.write(lambda tx: tx.run("UPDATE tasks SET due_at = :now WHERE id = :id", now=tx.now, id=number))


def at(secret: str) -> str:
    return f"/calendar/feed/{secret}.ics"


async def test_the_address_is_all_that_a_calendar_program_needs(house: House) -> None:
    await task(house, "mine")
    await task(house, "theirs", "painter")
    answer = await house.client.get(at(await house.feed()))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    assert answer.headers["cache-control"] == "private, no-cache"
    assert short(sound(answer.content), "title") == {"task-1": ("mine",), "task-2": ("theirs",)}
    answer = await house.client.get(at(await house.feed("painter")))
    assert short(sound(answer.content), "title") == {"task-2": ("theirs",)} and b"Blackboard: painter" in answer.content


async def test_whatever_is_wrong_with_a_secret_is_the_same_404(house: House) -> None:
    secret, revoked = await house.feed(), await house.feed()
    await house.board.write(lambda tx: tx.run("UPDATE tokens SET revoked_at = :now WHERE hash = :hash", now=tx.now, hash=tokens.feed_digest(revoked)))  # fmt: skip
    others = [await house.operator("admin"), await house.agent_token(), (await house.attempt()).token]
    told = [
        problem(await house.client.get(at(each)), 404, "not_found")
        for each in (revoked, tokens.mint(), *others, "x", secret[:-1], secret + "x", "feed:" + secret)
    ]
    assert all(each == told[0] for each in told)
    for name in ("authorization", "x-token"):
        answer = await house.client.get(at("x"), headers={name: f"Bearer {secret}"})
        assert problem(answer, 404, "not_found") == told[0]


async def test_the_secret_of_a_feed_opens_nothing_else(house: House) -> None:
    for secret in (await house.feed(), await house.feed("writer") if await house.agent_token() else ""):
        for path in ("/api/events", "/calendar/sync", "/calendar/day", "/api/agents/writer/status"):
            problem(await house.get(path, secret), 401, "unauthorized")
        assert (await house.client.get(f"/api/events?token={secret}")).status_code == 401


async def test_the_same_feed_is_304_by_its_tag_or_its_time(house: House) -> None:
    await task(house, "mine")
    url = at(await house.feed())
    first = await house.client.get(url)
    tag, when = first.headers["etag"], first.headers["last-modified"]
    for asked in (
        {"if-none-match": tag},
        {"if-none-match": f'"x", W/{tag}'},
        {"if-modified-since": when},
        {"if-none-match": "*"},
    ):
        answer = await house.client.get(url, headers=asked)
        assert (answer.status_code, answer.content) == (304, b"")
        assert (answer.headers["etag"], answer.headers["cache-control"]) == (tag, "private, no-cache")
    for other in ({"if-none-match": '"x"', "if-modified-since": when}, {"if-modified-since": "Sat, 31 Jan 2015 09:00:00 GMT"}, {"if-modified-since": "x"}):  # fmt: skip
        assert (await house.client.get(url, headers=other)).status_code == 200
    head = await house.client.head(url)
    assert (head.status_code, head.headers["etag"], head.headers["content-length"]) == (
        200,
        tag,
        str(len(first.content)),
    )
    await task(house, "another")
    changed = await house.client.get(url, headers={"if-none-match": tag})
    assert changed.status_code == 200 and changed.headers["etag"] != tag and b"another" in changed.content


async def test_an_unchanged_feed_is_neither_read_nor_written_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await task(house, "mine")
    written: list[str | None] = []
    monkeypatch.setattr(feed_text, "rendered", lambda found, agent: written.append(agent) or b"text")  # type: ignore[func-returns-value]
    url = at(await house.feed())
    for _ in range(3):
        assert (await house.client.get(url)).content == b"text"
    assert written == [None]
    await task(house, "another")
    await house.client.get(url)
    assert written == [None, None]
    monkeypatch.setattr(kept_feeds, "FRESH_SECONDS", 0.0)
    await house.client.get(url)
    assert written == [None] * 3


async def test_so_many_feeds_are_kept_and_no_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_feeds, "MOST", 2)
    written: list[str | None] = []
    monkeypatch.setattr(feed_text, "rendered", lambda found, agent: written.append(agent) or b"text")  # type: ignore[func-returns-value]

    def team(tx: Tx) -> None:
        for agent in "abc":
            insert_agent(tx, agent)

    await house.board.write(team)
    urls = {agent: at(await house.feed(agent)) for agent in "abc"}
    for agent in "abaca":
        await house.client.get(urls[agent])
    assert written == ["a", "b", "c"]
    await house.client.get(urls["b"])
    assert written == ["a", "b", "c", "b"]


async def test_another_program_writes_the_same_bytes(house: House, tmp_path: Path) -> None:
    """After a restart a reader still has what it has."""
    attempt = await house.attempt()
    await house.post(f"{attempt.url}/status", attempt.token, {"status": "working"})
    url = at(await house.feed())
    first = await house.client.get(url)
    await house.board.close()
    feed_text._event.cache_clear()
    async with open_house(tmp_path) as again:
        house.board = again.board
        assert (await again.client.get(url, headers={"if-none-match": first.headers["etag"]})).status_code == 304


async def test_the_log_of_a_fault_holds_no_secret(house: House, caplog: pytest.LogCaptureFixture) -> None:
    secret = await house.feed()

    async def breaks(*_: object) -> None:
        raise RuntimeError("no")

    house.board.read = breaks  # type: ignore[method-assign,assignment]
    with caplog.at_level(logging.DEBUG, "api"):
        assert (await house.client.get(at(secret))).status_code == 500
    assert secret[4:] not in caplog.text and "bbt_***" in caplog.text
