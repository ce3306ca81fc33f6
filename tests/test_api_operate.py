"""Operators' routes: posting tasks and slots, and the verbs of a person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api import ApiConfig
from blackboard.policy import Policies, Policy
from tests.api_house import Attempt, House, open_house

OUTPUT = {"type": "data", "title": "T", "content": "C"}
CONFIG = ApiConfig(project="demo", time_zone="Europe/Berlin", policies=Policies(Policy(max_tries=7)))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, CONFIG) as opened:
        await opened.task()  # brings the project and the agent
        yield opened


async def in_review(house: House) -> Attempt:
    attempt = await house.attempt()
    report = {"status": "review", "output": OUTPUT}
    assert (await house.post(f"{attempt.url}/status", attempt.token, report)).status_code == 200
    house.wakes.clear()
    return attempt


async def test_an_operator_posts_a_task_with_the_configured_policy(house: House) -> None:
    body = {"title": "Paint", "agent": "writer", "priority": 9, "data": {"colour": "red"}, "review": "auto"}
    answer = await house.post("/api/projects/demo/tasks", await house.operator(), body)
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    row = await house.board.one("SELECT * FROM tasks WHERE id = :id", id=answer.json()["task"])
    assert row is not None
    assert (row["priority"], row["data"], row["review"], row["max_tries"]) == (9, '{"colour": "red"}', "auto", 7)
    assert row["actor"] == "person:ann"
    assert len(house.wakes) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"title": "T"},
        {"title": "T", "agent": "writer", "role": "smith"},
        {"title": "", "agent": "writer"},
        {"title": "T", "agent": "writer", "due_at": "tomorrow"},
        {"title": "T", "agent": "writer", "priority": 10**30},
        {"title": "T", "agent": "writer", "wall_seconds": -1},
        {"title": "T", "agent": "writer", "data": [1]},
        {"title": "T", "agent": "a b"},
    ],
)
async def test_a_task_that_makes_no_sense_is_not_posted(house: House, body: dict[str, object]) -> None:
    answer = await house.post("/api/projects/demo/tasks", await house.operator(), body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert house.wakes == []


@pytest.mark.parametrize(("verb", "detail", "status"), [("approve", None, "done"), ("reject", "again", "pending")])
async def test_a_person_reviews(house: House, verb: str, detail: str | None, status: str) -> None:
    attempt = await in_review(house)
    body = {"detail": detail} if detail else None
    answer = await house.post(f"{attempt.url}/{verb}", await house.operator(), body)
    assert (answer.status_code, answer.json()["status"]) == (200, status)
    assert len(house.wakes) == 1


async def test_a_person_answers_cancels_and_reopens(house: House) -> None:
    operator = await house.operator()
    attempt = await house.attempt()
    await house.post(f"{attempt.url}/status", attempt.token, {"status": "blocked", "detail": "which colour?"})
    answers = {"content-type": "text/plain"}
    answered = await house.post(f"{attempt.url}/answer", operator, content=b"it's $(red)\n", headers=answers)
    assert answered.json()["status"] == "pending"
    assert (await house.post(f"{attempt.url}/cancel", operator)).json()["status"] == "cancelled"
    assert (await house.post(f"{attempt.url}/reopen", operator)).json()["status"] == "pending"
    row = await house.board.one("SELECT answer FROM tasks WHERE id = :id", id=attempt.task)
    assert row is not None
    assert row["answer"] == "it's $(red)\n"


async def test_the_seeds_path_works_for_a_person_too(house: House) -> None:
    attempt = await in_review(house)
    answer = await house.post(f"{attempt.url}/status", await house.operator(), {"status": "done"})
    assert (answer.status_code, answer.json()["status"]) == (200, "done")


@pytest.mark.parametrize("verb", ["reject", "answer"])
async def test_a_verb_that_needs_words_is_refused_without(house: House, verb: str) -> None:
    attempt = await in_review(house)
    answer = await house.post(f"{attempt.url}/{verb}", await house.operator(), {})
    assert answer.status_code == 422


async def test_a_verb_from_the_wrong_state_says_what_is_allowed(house: House) -> None:
    attempt = await in_review(house)
    answer = await house.post(f"{attempt.url}/reopen", await house.operator(), {})
    assert (answer.status_code, answer.json()["code"], answer.json()["found"]) == (409, "illegal_move", "review")
    assert "approve" in answer.json()["allowed"]


@pytest.mark.parametrize("project", ["demo", "other"])
async def test_a_task_that_is_not_in_the_project_is_not_found(house: House, project: str) -> None:
    attempt = await in_review(house)
    task = attempt.task if project == "other" else 999
    operator = await house.operator()
    for url in (f"/api/projects/{project}/tasks/{task}", f"/api/projects/{project}/tasks/{task}/approve"):
        answer = await (house.get(url, operator) if url.endswith(str(task)) else house.post(url, operator))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


SLOT = {"id": 1, "agent": "writer", "scheduled_at": "09:00", "event_data": {"title": "Stand-up"}, "extra": {"x": 1}}


@pytest.mark.parametrize(
    "body",
    [
        {"slots": [SLOT], "date": "2026-01-31"},
        {"schedules": {"writer": [{k: v for k, v in SLOT.items() if k != "agent"}]}, "date": "2026-01-31"},
    ],
)
async def test_slots_become_tasks_once(house: House, body: dict[str, object]) -> None:
    operator = await house.operator()
    first = await house.post("/api/slots", operator, body)
    assert first.status_code == 200, first.text
    assert (first.json()["added"], len(first.json()["tasks"])) == (1, 1)
    again = await house.post("/api/slots", operator, body)
    assert (again.status_code, again.json()["tasks"]) == (200, [])
    row = await house.board.one("SELECT due_at, title FROM tasks WHERE slot_id IS NOT NULL")
    assert row is not None
    assert tuple(row) == ("2026-01-31T08:00:00.000Z", "Stand-up")  # nine o'clock in Berlin


async def test_a_caller_cannot_pose_as_a_file(house: House) -> None:
    body = {"source": "file", "slots": [SLOT], "date": "2026-01-31"}
    assert (await house.post("/api/slots", await house.operator(), body)).status_code == 200
    rows = await house.board.all("SELECT source FROM slots")
    assert [row["source"] for row in rows] == ["file"]
    bad = await house.post("/api/slots", await house.operator(name="bob"), {"source": "file:x", "slots": [SLOT]})
    assert bad.status_code == 422


async def test_a_bad_slot_is_told_and_the_good_one_goes_in(house: House) -> None:
    body = {"slots": [SLOT, {**SLOT, "id": 2, "scheduled_at": "25:99"}]}
    answer = await house.post("/api/slots", await house.operator(), body)
    assert (answer.status_code, len(answer.json()["tasks"]), len(answer.json()["refused"])) == (200, 1, 1)


@pytest.mark.parametrize(
    ("status", "code", "body"),
    [
        (409, "refused", {"slots": [{**SLOT, "scheduled_at": "25:99"}]}),
        (409, "refused", {"slots": [{**SLOT, "agent": "nobody"}]}),
        (404, "not_found", {"slots": [], "time_zone": "Mars/Olympus"}),
        (422, "invalid", {"slots": "x"}),
        (422, "invalid", {"slots": [1]}),
        (422, "invalid", {"schedules": []}),
        (422, "invalid", {"nonsense": 1}),
        (422, "invalid", {"slots": [], "date": "soon"}),
        (422, "invalid", {"slots": [{**SLOT, "event_data": {"n": 2**64}}]}),
    ],
)
async def test_slots_that_make_no_sense_are_one_sentence(
    house: House, status: int, code: str, body: dict[str, object]
) -> None:
    answer = await house.post("/api/slots", await house.operator(), body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_slots_by_raw_body_are_unsupported(house: House) -> None:
    kind = {"content-type": "text/csv"}
    answer = await house.post("/api/slots", await house.operator(), content=b"a,b", headers=kind)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported")
