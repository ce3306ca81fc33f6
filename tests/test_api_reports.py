"""Agents' routes over a real board: what a report does, what is refused, and what of it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api import hearing
from tests.api_house import Attempt, House, open_house, problem

OUTPUT = {"type": "document", "title": "Report", "content": "text"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def attempt(house: House) -> Attempt:
    return await house.attempt()


async def state(house: House, task: int) -> str:
    row = await house.board.one("SELECT status FROM tasks WHERE id = :task", task=task)
    assert row is not None
    return str(row["status"])


async def refusals(house: House) -> list[tuple[str, str, int, str | None]]:
    rows = await house.board.all("SELECT route, reason, count, body FROM refusals ORDER BY route, reason")
    return [(row["route"], row["reason"], row["count"], row["body"]) for row in rows]


async def test_a_task_goes_from_claimed_to_review(house: House, attempt: Attempt) -> None:
    started = await house.post(f"{attempt.url}/status", attempt.token, {"status": "working", "agent": "writer"})
    assert started.status_code == 200
    assert started.json().items() >= {"task": attempt.task, "status": "working", "attempt": 1}.items()
    handed = await house.post(f"{attempt.url}/outputs", attempt.token, OUTPUT)
    assert handed.status_code == 201
    ended = await house.post(f"{attempt.url}/status", attempt.token, {"status": "review"})
    assert ended.json()["status"] == "review"
    assert await state(house, attempt.task) == "review"


async def test_one_call_carries_status_outputs_and_a_comment(house: House, attempt: Attempt) -> None:
    report = {"status": "review", "outputs": [OUTPUT, OUTPUT], "comment": "look here", "detail": "done"}
    answer = await house.post(f"{attempt.url}/status", attempt.token, report)
    assert (answer.status_code, len(answer.json()["outputs"]), answer.json()["comment"]) == (200, 2, 1)


async def test_a_form_carries_the_same_in_one_call(house: House, attempt: Attempt) -> None:
    fields = {"status": "review", "output.type": "data", "output.title": "T", "output.content": "C", "comment": "x"}
    answer = await house.post(f"{attempt.url}/status", attempt.token, data=fields)
    assert (answer.status_code, answer.json()["status"]) == (200, "review")


@pytest.mark.parametrize("report", [{"status": "failed", "detail": "no"}, {"status": "blocked", "detail": "who?"}])
async def test_failing_and_blocking_end_the_attempt_and_wake_the_tick(
    house: House, attempt: Attempt, report: dict[str, str]
) -> None:
    await house.post(f"{attempt.url}/heartbeat", attempt.token)
    house.wakes.clear()
    answer = await house.post(f"{attempt.url}/status", attempt.token, report)
    assert answer.status_code == 200
    assert len(house.wakes) == 1
    problem(await house.post(f"{attempt.url}/heartbeat", attempt.token), 409, "fenced")


async def test_only_what_the_tick_must_see_wakes_it(house: House, attempt: Attempt) -> None:
    await house.post(f"{attempt.url}/status", attempt.token, {"status": "sleeping"})
    assert house.wakes == []
    await house.post(f"{attempt.url}/heartbeat", attempt.token)
    assert len(house.wakes) == 1, "a first word may prove an account"
    house.wakes.clear()
    await house.post(f"{attempt.url}/status", attempt.token, {"status": "working"})
    await house.post(f"{attempt.url}/heartbeat", attempt.token)
    await house.post(f"{attempt.url}/comments", attempt.token, {"body": "hm"})
    await house.post(f"{attempt.url}/outputs", attempt.token, OUTPUT)
    await house.post(f"{attempt.url}/status", attempt.token, {"status": "sleeping"})
    await house.post(f"{attempt.url}/status", attempt.token, {"status": "done"})
    assert house.wakes == []
    assert (await house.post(f"{attempt.url}/children", attempt.token, {"title": "c"})).status_code == 201
    assert len(house.wakes) == 1


def test_who_was_heard_is_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "MOST", 2)
    heard = hearing.Heard()
    assert [heard.first(token) for token in (b"a", b"a", b"b", b"c", b"b", b"a")] == [
        True,
        False,
        True,
        True,
        False,
        True,
    ]


async def test_the_report_that_ended_the_attempt_may_be_repeated(house: House, attempt: Attempt) -> None:
    await house.post(f"{attempt.url}/heartbeat", attempt.token)
    house.wakes.clear()
    report = {"status": "review", "output": OUTPUT, "detail": "all done"}
    await house.post(f"{attempt.url}/status", attempt.token, report)
    again = await house.post(f"{attempt.url}/status", attempt.token, report)
    assert (again.status_code, again.json()["already"]) == (200, True)
    assert len(house.wakes) == 1
    assert await refusals(house) == []


async def test_a_repeated_report_does_not_need_its_file_any_more(house: House, attempt: Attempt) -> None:
    file = attempt.workspace / "out.txt"
    file.write_text("text")
    output = {"type": "data", "title": "T", "content_path": "out.txt"}
    report = {"status": "review", "output": output}
    await house.post(f"{attempt.url}/status", attempt.token, report)
    file.unlink()
    again = await house.post(f"{attempt.url}/status", attempt.token, report)
    assert (again.status_code, again.json().get("already")) == (200, True)


async def test_a_late_report_changes_nothing_and_is_kept(house: House, attempt: Attempt) -> None:
    await house.post(f"{attempt.url}/status", attempt.token, {"status": "review", "output": OUTPUT})
    late = await house.post(f"{attempt.url}/status", attempt.token, {"status": "failed", "detail": "late"})
    problem(late, 409, "fenced")
    problem(await house.post(f"{attempt.url}/outputs", attempt.token, OUTPUT), 409, "fenced")
    problem(await house.post(f"{attempt.url}/outputs", attempt.token, OUTPUT), 409, "fenced")
    assert await state(house, attempt.task) == "review"
    kept = await refusals(house)
    assert [(route, reason, count) for route, reason, count, _ in kept] == [
        ("outputs", "fenced", 2),
        ("status", "fenced", 1),
    ]
    assert '"late"' in str(kept[1][3])


async def test_a_move_the_state_does_not_allow_says_what_is(house: House, attempt: Attempt) -> None:
    told = problem(await house.post(f"{attempt.url}/status", attempt.token, {"status": "done"}), 409, "illegal_move")
    assert told["found"] == "claimed"
    assert "submit" in str(told["allowed"])


async def test_no_output_no_review(house: House, attempt: Attempt) -> None:
    answer = await house.post(f"{attempt.url}/status", attempt.token, {"status": "review"})
    assert "output" in str(problem(answer, 409, "refused")["detail"])


async def test_what_was_refused_is_counted_once_a_reason_without_tokens(house: House, attempt: Attempt) -> None:
    for _ in range(3):
        body = f'{{"status": "{attempt.token}"}}\0'.encode() + b"x" * 100_000
        refused = await house.post(
            f"{attempt.url}/status", attempt.token, content=body, headers={"content-type": "application/json"}
        )
        problem(refused, 422, "invalid")
    (kept,) = await refusals(house)
    assert kept[:3] == ("status", "invalid", 3)
    assert kept[3] is not None
    assert len(kept[3]) <= 65536
    assert attempt.token not in kept[3]


@pytest.mark.parametrize("where", ["query", "cookie", "body", "basic", "twice", "bare", "short", "missing"])
async def test_a_token_counts_only_in_its_header(house: House, attempt: Attempt, where: str) -> None:
    token, url = attempt.token, f"{attempt.url}/status"
    headers: list[tuple[str, str]] = []
    body: dict[str, str] = {"status": "working"}
    match where:
        case "query":
            url += f"?token={token}&access_token={token}"
        case "cookie":
            headers = [("cookie", f"token={token}")]
        case "body":
            body["token"] = token
        case "basic":
            headers = [("authorization", f"Basic {token}")]
        case "twice":
            headers = [("authorization", f"Bearer {token}")] * 2
        case "bare":
            headers = [("authorization", token)]
        case "short":
            headers = [("authorization", f"Bearer {token[:-1]}")]
    answer = await house.client.post(url, json=body, headers=headers)
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert token not in answer.text
    assert await state(house, attempt.task) == "claimed"


async def test_who_is_not_known_learns_nothing_else(house: House, attempt: Attempt) -> None:
    unknown = "bbt_" + "x" * 43
    for url in (attempt.url, "/api/projects/none/tasks/999", "/api/projects/demo/tasks/zero"):
        problem(await house.post(f"{url}/status", unknown, {"status": "working"}), 401, "unauthorized")
        problem(await house.post(f"{url}/status", unknown, {"nonsense": 1}), 401, "unauthorized")
        problem(await house.get(url, unknown), 401, "unauthorized")
    assert await refusals(house) == []


async def test_a_large_body_is_not_read_for_a_token_that_is_not_known(house: House, attempt: Attempt) -> None:
    taken = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield b"x" * 10_000

    url = f"{attempt.url}/outputs?type=data&title=T"
    refused = await house.post(url, "bbt_" + "x" * 43, content=stream(), headers={"content-type": "text/plain"})
    problem(refused, 401, "unauthorized")
    assert taken == 0
    handed = await house.post(url, attempt.token, content=stream(), headers={"content-type": "text/plain"})
    assert handed.status_code == 201


@pytest.mark.parametrize(
    "report",
    [
        {"status": "working", "detail": "\0"},
        {"status": "working", "final": 2**70},
        {"status": 2**70},
        {"status": None},
        {},
        {"status": "review", "outputs": [{**OUTPUT, "content_path": "x"}]},
        {"status": "review", "outputs": [OUTPUT] * 101},
        {"status": "failed"},
        {"status": "blocked", "detail": ""},
    ],
)
async def test_a_report_that_makes_no_sense_is_one_sentence(
    house: House, attempt: Attempt, report: dict[str, object]
) -> None:
    problem(await house.post(f"{attempt.url}/status", attempt.token, report), 422, "invalid")


@pytest.mark.parametrize("project", ["demo%00", "demo%0A", "..", "a%2Fb", "%ff", "x" * 65, "demo%20", "-", "d%C3%A9mo"])
async def test_a_project_that_cannot_be_is_not_found(house: House, attempt: Attempt, project: str) -> None:
    url = f"/api/projects/{project}/tasks/{attempt.task}"
    assert (await house.get(url, attempt.token)).status_code == 404


@pytest.mark.parametrize(
    "task", ["0", "-1", "01", "1.0", "1e3", "0x1", "x", "%31%00", "%31%0A", "٣", "9" * 19, "9" * 5000, "1%20", "+1"]
)
async def test_a_task_that_cannot_be_is_not_found(house: House, attempt: Attempt, task: str) -> None:
    problem(await house.get(f"/api/projects/demo/tasks/{task}", attempt.token), 404, "not_found")
    problem(await house.post(f"/api/projects/demo/tasks/{task}/status", attempt.token), 404, "not_found")


async def test_many_reports_at_once_each_get_their_own_answer(house: House) -> None:
    attempts = [await house.attempt(agent=f"agent{number}") for number in range(20)]
    answers = await asyncio.gather(
        *(house.post(f"{each.url}/status", each.token, {"status": "working"}) for each in attempts)
    )
    assert [answer.json()["task"] for answer in answers] == [each.task for each in attempts]
    assert {answer.json()["status"] for answer in answers} == {"working"}


async def test_children_belong_to_the_task_and_can_be_read_by_it(house: House, attempt: Attempt) -> None:
    made = await house.post(f"{attempt.url}/children", attempt.token, {"title": "part", "priority": 7})
    child = made.json()["child"]
    read = await house.get(f"/api/projects/demo/tasks/{child}", attempt.token)
    assert (read.status_code, read.json()["parent_id"], read.json()["priority"]) == (200, attempt.task, 7)


async def test_a_heartbeat_needs_no_body_and_is_seen(house: House, attempt: Attempt) -> None:
    assert (await house.post(f"{attempt.url}/heartbeat", attempt.token)).status_code == 200
    row = await house.board.one("SELECT seen_at FROM attempts WHERE id = :id", id=attempt.id)
    assert row is not None
    assert row["seen_at"] is not None


async def test_a_board_that_cannot_be_written_says_when_to_come_back(house: House, attempt: Attempt) -> None:
    pages = (await house.board.all("SELECT page_count FROM pragma_page_count"))[0][0]
    house.board._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = {**OUTPUT, "content": "x" * 1_500_000}
    answer = await house.post(f"{attempt.url}/outputs", attempt.token, big)
    problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
