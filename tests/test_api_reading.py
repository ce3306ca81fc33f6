"""What can be read: a task with its parts, and the events after an id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from blackboard.questions import EXPANSIONS
from tests.api_house import House, open_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("", set()),
        ("?expand=", set()),
        ("?expand=outputs", {"outputs"}),
        ("?expand=outputs,comments", {"outputs", "comments"}),
        ("?expand=links,%20events", {"links", "events"}),
        ("?expand=all", set(EXPANSIONS)),
        ("?expand=comments,all", set(EXPANSIONS)),
    ],
)
async def test_a_task_comes_with_the_parts_asked_for(house: House, query: str, parts: set[str]) -> None:
    attempt = await house.attempt()
    answer = await house.get(attempt.url + query, attempt.token)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert set(EXPANSIONS) & answer.json().keys() == parts


async def test_everything_said_about_a_task_can_be_read_and_no_hash_with_it(house: House) -> None:
    attempt = await house.attempt()
    report = {"status": "working", "output": {"type": "code", "title": "T", "content": "C"}, "comment": "hm"}
    await house.post(f"{attempt.url}/status", attempt.token, report)
    told = (await house.get(f"{attempt.url}?expand=all", attempt.token)).json()
    assert [output["content"] for output in told["outputs"]] == ["C"]
    assert [comment["body"] for comment in told["comments"]] == ["hm"]
    assert [each["number"] for each in told["attempts"]] == [1]
    assert [event["verb"] for event in told["events"]][:2] == ["post", "claim"]
    assert told["links"]["self"] == attempt.url
    assert "token_hash" not in str(told) and "bbt_" not in str(told)


@pytest.mark.parametrize("query", ["?expand=token_hash", "?expand=outputs,x", "?nonsense=1", "?expand=a&expand=b"])
async def test_what_is_not_there_cannot_be_asked_for(house: House, query: str) -> None:
    attempt = await house.attempt()
    answer = await house.get(attempt.url + query, attempt.token)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_events_go_on_where_they_ended(house: House) -> None:
    for _ in range(3):
        await house.attempt()
    token = await house.operator("read")
    seen: list[int] = []
    after, more = 0, True
    while more:
        page = (await house.get(f"/api/events?after={after}&limit=2", token)).json()
        seen += [event["id"] for event in page["events"]]
        after, more = page["next"], page["more"]
    rows = await house.board.all("SELECT id FROM events ORDER BY id")
    assert seen == [row["id"] for row in rows]
    assert (await house.get(f"/api/events?after={after}", token)).json() == {"events": [], "next": after, "more": False}


async def test_an_operator_may_ask_for_the_events_of_one_task(house: House) -> None:
    await house.attempt()
    attempt = await house.attempt()
    page = (await house.get(f"/api/events?task={attempt.task}", await house.operator("read"))).json()
    assert {event["task_id"] for event in page["events"]} == {attempt.task}


async def test_an_attempt_sees_the_events_of_its_own_task_only(house: House) -> None:
    other, attempt = await house.attempt(), await house.attempt()
    for query in ("", f"?task={attempt.task}"):
        page = (await house.get(f"/api/events{query}", attempt.token)).json()
        assert {event["task_id"] for event in page["events"]} == {attempt.task}
    answer = await house.get(f"/api/events?task={other.task}", attempt.token)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        "after=x",
        f"after={2**63}",
        "limit=0",
        "limit=501",
        "limit=1e9",
        "task=-1",
        "after=1&after=2",
        "after=%00",
    ],
)
async def test_a_range_that_cannot_be_is_refused(house: House, query: str) -> None:
    answer = await house.get(f"/api/events?{query}", await house.operator("read"))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
