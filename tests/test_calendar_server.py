"""The calendar's protocol as a plugin meets it: full answers, differences, days, reports, over restarts of the server."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import ApiConfig, create_app
from blackboard import agenda, agents, instances, questions, repeating, slots, sync_chain, tokens, verbs
from blackboard.board import Board, Rows, Tx
from blackboard.policy import Policies
from orchestrator import account
from tests.api_house import BASE_URL, House, claim, problem
from tests.calendar_plugin import Plugin, sorted_
from tests.fake_clock import FakeClock

DAY, NOW = "2026-01-31", "2026-01-31T09:00:00.000Z"
POLICIES = Policies()


@asynccontextmanager
async def served(path: Path, clock: FakeClock, config: ApiConfig | None = None) -> AsyncIterator[House]:
    """A board with its API; opened again on the same path it is the same board after a restart."""
    board = await Board.open(path / "board.sqlite", clock=clock)
    await board.write(team)
    app = create_app(board, config or ApiConfig())
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL) as client:
            yield House(board, app, client, path / "workspaces")
    finally:
        await board.close()


def team(tx: Tx) -> None:
    agents.put_project(tx, "demo")
    for agent in ("ada", "bob"):
        agents.put_agent(tx, agent, max_live=9)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def house(tmp_path: Path, clock: FakeClock) -> AsyncIterator[House]:
    async with served(tmp_path, clock) as opened:
        yield opened


def take(tx: Tx, document: dict[str, Any], source: str = "api", complete: bool = False) -> list[tuple[str, str]]:
    schedule = slots.read_schedule(
        document, source=source, project="demo", time_zone="Europe/Berlin", complete=complete
    )
    return slots.take_in(tx, schedule, POLICIES).refused


async def planned(house: House, *records: dict[str, Any], **more: Any) -> None:
    assert await house.board.write(take, {"slots": list(records), **more}) == []


ONCE = {"id": 41, "agent": "ada", "scheduled_at": "2026-01-31T10:30:00+01:00", "priority": 3, "estimated_duration": 25,
        "event_type": "meeting", "event_data": {"title": "Stand-up"}, "colour": "blue"}  # fmt: skip
HOURLY = {"virtual_id": "plan-1", "agent": "bob", "repeat": "0 * * * *", "slot_type": "watch"}


async def plugin(house: House, name: str = "gateway-1", scope: str = "operate") -> Plugin:
    return Plugin(house.client, await house.operator(scope, name), name)


async def test_the_first_answer_is_everything_in_the_record_shape(house: House) -> None:
    await planned(house, ONCE)
    asks = await plugin(house)
    assert await asks.sync()
    assert asks.heard["date"] == DAY
    assert asks.schedules == {
        "ada": [
            {
                "id": 1, "virtual_id": None, "agent_id": "ada", "slot_type": "", "estimated_duration": 25,
                "scheduled_at": "2026-01-31T09:30:00.000Z", "status": "not_started", "priority": 3, "event_type": "meeting",
                "event_data": {"title": "Stand-up"}, "task_id": 1, "started_at": None, "actual_duration": None, "colour": "blue",
            }
        ],
        "bob": [],
    }  # fmt: skip


async def test_a_wall_time_is_told_as_an_instant_and_a_day_by_itself(house: House) -> None:
    await planned(house, {"id": 1, "agent": "ada", "scheduled_at": "10:30"}, date=DAY, time_zone="Europe/Berlin")
    (slot,) = await (await plugin(house)).day(DAY, "ada")
    assert (slot["scheduled_at"], slot["id"], slot["virtual_id"]) == ("2026-01-31T09:30:00.000Z", 1, None)


async def test_a_slot_that_repeats_has_a_virtual_record_for_each_time_of_the_day(
    house: House, clock: FakeClock
) -> None:
    await planned(house, HOURLY)
    asks = await plugin(house)
    await asks.sync()
    found = asks.schedules["bob"]
    assert [slot["scheduled_at"][11:16] for slot in found] == [f"{hour}:00" for hour in range(10, 24)]
    assert {slot["id"] for slot in found} == {None}
    assert found[0]["virtual_id"] == "1-20260131T100000Z"
    ahead = await asks.day("2026-02-03", "bob")  # has no tasks yet
    assert (len(ahead), ahead[0]["task_id"], ahead[0]["status"]) == (24, None, "not_started")
    clock.go_on(86400)
    await house.board.write(repeating.go_on, POLICIES)
    assert {slot["virtual_id"] for slot in found} == {slot["virtual_id"] for slot in await asks.day(DAY, "bob")}


async def test_what_repeats_is_not_counted_into_a_far_age(house: House) -> None:
    await planned(house, HOURLY)
    asks = await plugin(house)
    assert len(await asks.day("2036-01-30", "bob")) == 24
    assert await asks.day("2037-01-30", "bob") == await asks.day("9999-12-30", "bob") == []


async def test_slots_and_tasks_that_are_over_are_not_read(
    house: House, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots of the API stay for ever: a question a minute must not read all there ever were."""
    await planned(
        house, HOURLY, *({"id": n, "agent": "ada", "scheduled_at": "2026-01-31T10:30:00Z"} for n in range(40))
    )
    await planned(house, *({"id": n, "agent": "ada", "scheduled_at": "23:00"} for n in range(40, 80)))
    asked: list[int] = []
    ask = agenda._without_task

    def counted(rows: Rows, slot: sqlite3.Row, now: str, day: agenda.Day) -> list[tuple[str, str]]:
        asked.append(slot["id"])
        return ask(rows, slot, now, day)

    monkeypatch.setattr(agenda, "_without_task", counted)
    for row in await house.board.all("SELECT id FROM tasks WHERE agent_id = 'ada' AND id % 2"):
        await house.board.write(lambda tx, task=row["id"]: verbs.cancel(tx, task, actor="person:root"))
    asks = await plugin(house)
    assert len(await asks.day(DAY, "ada")) == 80
    clock.go_on(3 * 86400)
    await asks.sync()
    assert len(asks.schedules["ada"]) == 40 and set(asked) == {1}  # the rule of bob alone
    span = {"since": "2026-01-01", "begin": "2026-02-03", "end": "2026-02-04", "agent": "ada"}
    assert len(await house.board.all(agenda.TASKS, **span)) == 40


async def test_only_what_has_changed_is_told_next_and_the_chain_outlives_restarts(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with served(tmp_path, clock) as house:
        await planned(house, ONCE, HOURLY)
        asks = await plugin(house)
        assert await asks.sync()
    async with served(tmp_path, clock) as house:
        asks.client = house.client
        assert not await asks.sync()
        assert asks.heard["diff"] == []
        await planned(house, ONCE | {"priority": 9, "colour": "red"}, ONCE | {"id": 42})
    async with served(tmp_path, clock) as house:
        asks.client, before = house.client, asks.since
        assert not await asks.sync()
        assert asks.since != before
        change, new = asks.heard["diff"]
        assert change == {"op": "update", "agent": "ada", "slotId": 1, "patch": {"priority": 9, "colour": "red"}}
        assert (new["op"], new["slot"]["id"]) == ("add", 3)
        await house.board.write(take, {"slots": []}, "api", True)
    async with served(tmp_path, clock) as house:
        asks.client = house.client
        assert not await asks.sync()
        assert {change["op"] for change in asks.heard["diff"]} == {"remove"}
        assert asks.schedules == {"ada": [], "bob": []}


async def test_a_token_that_is_not_the_last_one_is_answered_in_full(house: House) -> None:
    await planned(house, ONCE)
    asks = await plugin(house)
    await asks.sync()
    first = asks.since
    await planned(house, ONCE | {"id": 42})
    assert not await asks.sync()
    for since in (first, "never given", "", "x" * 255):
        asks.since = since
        assert await asks.sync()
        assert not await asks.sync()


async def test_a_day_that_has_passed_is_answered_in_full_with_what_still_waits(house: House, clock: FakeClock) -> None:
    await planned(house, ONCE, ONCE | {"id": 42})
    asks = await plugin(house)
    await asks.sync()
    assert (await asks.update(asks.schedules["ada"][1], "finished")).status_code == 200
    clock.go_on(86400)
    assert await asks.sync()
    assert (asks.heard["date"], [slot["id"] for slot in asks.schedules["ada"]]) == ("2026-02-01", [1])
    assert [slot["status"] for slot in await asks.day(DAY, "ada")] == ["not_started", "finished"]


async def test_two_instances_have_two_chains(house: House) -> None:
    await planned(house, ONCE)
    one, two = await plugin(house, "one"), await plugin(house, "two")
    assert (await one.sync(), await two.sync()) == (True, True)
    await planned(house, ONCE | {"id": 42})
    assert (await one.sync(), len(one.heard["diff"])) == (False, 1)
    await planned(house, ONCE | {"id": 43})
    assert (await one.sync(), len(one.heard["diff"])) == (False, 1)
    assert (await two.sync(), len(two.heard["diff"])) == (False, 2)
    assert sorted_(one.schedules) == sorted_(two.schedules)


async def test_an_agents_token_sees_its_own_slots_and_has_a_chain_of_its_own(house: House) -> None:
    await planned(house, ONCE, HOURLY)
    everybody, own = await plugin(house), Plugin(house.client, await house.agent_token("ada"))
    assert await everybody.sync()
    assert await own.sync()
    assert own.schedules.keys() == {"ada"}
    assert not await everybody.sync()
    answer = await house.client.get("/calendar/day", headers=own.headers("bob"))
    problem(answer, 403, "forbidden")
    asked = await own.update(everybody.schedules["bob"][0], "finished")
    problem(asked, 403, "forbidden")


async def test_header_and_query_must_agree(house: House) -> None:
    asks = await plugin(house)
    answer = await house.client.get("/calendar/sync?claw_identifier=other", headers=asks.headers())
    assert "differ" in str(problem(answer, 422, "invalid")["detail"])
    same = await house.client.get("/calendar/sync?claw_identifier=gateway-1", headers=asks.headers())
    assert same.json()["full"]
    said = await house.get("/calendar/sync?claw_identifier=gateway-1&since=" + same.json()["syncToken"], asks.token)
    assert said.json()["full"] is False


async def begun(house: House, task: int) -> str:
    token = tokens.mint()
    await house.board.write(claim, task, "ada", token, "executor", None)
    return token


async def test_the_words_follow_the_task(house: House, clock: FakeClock) -> None:
    await planned(house, *(ONCE | {"id": number} for number in range(1, 6)), ONCE | {"id": 6, "status": "finished"})
    asks = await plugin(house)
    await begun(house, 1)
    blocked, failed, again = await begun(house, 2), await begun(house, 3), await begun(house, 4)
    url = "/api/projects/demo/tasks"
    assert (await house.post(f"{url}/2/status", blocked, {"status": "blocked", "detail": "?"})).status_code == 200
    assert (
        await house.post(f"{url}/3/status", failed, {"status": "failed", "detail": "no", "final": True})
    ).status_code == 200
    assert (await house.post(f"{url}/4/status", again, {"status": "failed", "detail": "no"})).status_code == 200
    await house.board.write(lambda tx: verbs.cancel(tx, 5, actor="person:ann", reason="no"))
    words = {slot["id"]: slot["status"] for slot in await asks.day(DAY, "ada")}
    assert words == {1: "ongoing", 2: "paused", 3: "aborted", 4: "deferred", 5: "skipped", 6: "finished"}


async def row(house: House, task: int) -> tuple[str, str | None]:
    found = await house.board.one("SELECT status, reason FROM tasks WHERE id = :task", task=task)
    assert found is not None
    return found["status"], found["reason"]


async def test_what_is_worked_on_elsewhere_is_held_here_given_back_and_settled(house: House) -> None:
    await planned(house, ONCE)
    asks = await plugin(house)
    await asks.sync()
    (slot,) = asks.schedules["ada"]
    said = (await asks.update(slot, "ongoing", started_at="2026-01-31T09:31:00Z")).json()
    assert (said["status"], said["started_at"]) == ("ongoing", "2026-01-31T09:31:00Z")
    status, reason = await row(house, 1)
    assert status == "blocked"
    assert "instance gateway-1 (person:gateway-1) reports it ongoing" in str(reason)
    assert (await asks.update(slot, "paused")).json()["status"] == "paused"
    assert (await row(house, 1))[0] == "blocked"
    assert (await asks.update(slot, "deferred")).json()["status"] == "deferred"
    assert (await row(house, 1))[0] == "pending"
    assert asks.due("2026-01-31T10:00:00Z") == [("ada", 1)]
    done = await asks.update(slot, "finished", actual_duration=31.5)
    assert (done.json()["status"], done.json()["actual_duration"]) == ("finished", 31.5)
    assert (await row(house, 1))[0] == "cancelled"
    assert (await house.board.one("SELECT count(*) AS n FROM attempts"))["n"] == 0  # type: ignore[index]
    events = (await house.board.one("SELECT max(id) AS n FROM events"))["n"]  # type: ignore[index]
    assert (await asks.update(slot, "finished", actual_duration=31.5)).status_code == 200
    assert (await house.board.one("SELECT max(id) AS n FROM events"))["n"] == events  # type: ignore[index]
    late = await asks.update(slot, "aborted")
    assert "is over" in str(problem(late, 409, "illegal_move")["detail"])
    assert not await asks.sync()
    assert asks.schedules["ada"][0]["status"] == "finished"
    assert asks.due("2026-01-31T10:00:00Z") == []


async def test_a_slot_that_an_attempt_has_is_the_attempts_affair(house: House) -> None:
    await planned(house, ONCE)
    await begun(house, 1)
    asks = await plugin(house)
    await asks.sync()
    for status in ("ongoing", "finished", "skipped", "not_started"):
        problem(await asks.update(asks.schedules["ada"][0], status), 409, "illegal_move")
    assert (await row(house, 1))[0] == "claimed"


async def test_a_block_that_somebody_else_made_is_not_lifted_by_a_report(house: House) -> None:
    await planned(house, ONCE)
    token = await begun(house, 1)
    await house.post("/api/projects/demo/tasks/1/status", token, {"status": "blocked", "detail": "which?"})
    asks = await plugin(house)
    await asks.sync()
    problem(await asks.update(asks.schedules["ada"][0], "not_started"), 409, "illegal_move")
    assert await row(house, 1) == ("blocked", "which?")


async def test_one_time_of_a_slot_that_repeats_is_settled_alone(house: House) -> None:
    await planned(house, HOURLY)
    asks = await plugin(house)
    await asks.sync()
    assert (await asks.update(asks.schedules["bob"][2], "skipped")).json()["status"] == "skipped"
    assert not await asks.sync()
    assert [change["op"] for change in asks.heard["diff"]] == ["update"]
    assert [slot["status"] for slot in asks.schedules["bob"]].count("skipped") == 1


@pytest.mark.parametrize(
    ("which", "says"),
    [
        ("99", "there is no such slot: GET /calendar/sync names each"),
        ("virtual/9-20260131T100000Z", "there is no such slot: GET /calendar/sync names each"),
        ("virtual/1-20260131T093000Z", "slot 1-20260131T093000Z has no task on this board"),
        ("virtual/1-20260131", "slot 1-20260131 has no task on this board"),
        ("virtual/x", "there is no such slot: one that repeats has a `virtual_id`"),
        ("0", "there is no such slot: a slot is a number"),
    ],
)
async def test_a_slot_that_is_not_there_is_not_found(house: House, which: str, says: str) -> None:
    await planned(house, HOURLY)
    asks = await plugin(house)
    answer = await house.client.patch(
        f"/calendar/slots/{which}/agent-update", json={"status": "finished"}, headers=asks.headers()
    )
    assert str(problem(answer, 404, "not_found")["detail"]).startswith(says)
    assert await house.board.all("SELECT * FROM slot_reports") == []


async def test_a_notice_is_an_event_and_a_comment_and_starts_nothing(house: House) -> None:
    await planned(house, ONCE)
    asks = await plugin(house)
    body = {
        "agent_id": "ada",
        "message": "You have due slots.",
        "slot_id": 1,
        "task_description": "Stand-up",
        "more": 1,
    }
    told = await house.client.post("/calendar/agent/notify", json=body, headers=asks.headers("ada"))
    assert (told.status_code, told.json()["task"]) == (200, 1)
    found = await house.board.one("SELECT body FROM comments")
    assert found is not None
    assert found["body"] == "Stand-up: You have due slots."
    event = await house.board.one("SELECT agent_id, task_id, reason FROM events WHERE verb = 'notified'")
    assert event is not None
    assert tuple(event) == ("ada", 1, "gateway-1: Stand-up: You have due slots.")
    assert (await row(house, 1))[0] == "pending"
    nobody = await house.client.post(
        "/calendar/agent/notify", json={"agent_id": "eve", "message": "hm"}, headers=asks.headers()
    )
    problem(nobody, 404, "not_found")
    other = await house.client.post("/calendar/agent/notify", json={**body, "agent_id": "bob"}, headers=asks.headers())
    problem(other, 404, "not_found")


async def test_a_beat_is_kept_for_each_instance(house: House, clock: FakeClock) -> None:
    asks = await plugin(house)
    for name in ("gateway-1", "gateway-2", "gateway-1"):
        said = await house.post("/monitor/server/heartbeat", asks.token, {"claw_identifier": name})
        assert (said.status_code, said.json()["instance"]) == (200, name)
        clock.go_on(60)
    rows = await house.board.all("SELECT name, seen_at FROM instances ORDER BY name")
    assert [tuple(each) for each in rows] == [
        ("gateway-1", "2026-01-31T09:02:00.000Z"),
        ("gateway-2", "2026-01-31T09:01:00.000Z"),
    ]


@pytest.mark.parametrize("seed", range(12))
async def test_applying_the_differences_gives_exactly_the_full_answer(
    tmp_path: Path, clock: FakeClock, seed: int
) -> None:
    """Random changes to the board, by sources, attempts, reports and time; two instances that look at their own pace."""
    chance = random.Random(seed)
    async with served(tmp_path, clock, ApiConfig(time_zone="Europe/Berlin")) as house:
        both = [await plugin(house, "one"), await plugin(house, "two")]
        whole = await plugin(house, "whole")
        differences = 0
        for _ in range(40):
            await change(house, chance, clock, both[0])
            for each in both:
                if chance.random() < 0.5:
                    differences += not await each.sync()
                    whole.since = None
                    await whole.sync()
                    assert sorted_(each.schedules) == sorted_(whole.schedules)
        assert differences > 5


async def change(house: House, chance: random.Random, clock: FakeClock, reporter: Plugin) -> None:
    kind = chance.choice(("slots", "slots", "all", "claim", "report", "report", "time", "cancel"))
    if kind in ("slots", "all"):
        records = [random_record(chance) for _ in range(chance.randrange(1, 4))]
        source = chance.choice(("api", "file:a", "other"))
        await house.board.write(take, {"slots": records}, source, kind == "all")
    elif kind == "time":
        clock.go_on(chance.choice((60, 3600, 40000)))
        await house.board.write(repeating.go_on, POLICIES)
    elif kind == "report":
        known = [slot for found in reporter.schedules.values() for slot in found]
        if known:
            answer = await reporter.update(
                chance.choice(known), chance.choice(("ongoing", "paused", "deferred", "finished", "skipped"))
            )
            assert answer.status_code in (200, 404, 409), answer.text
    else:
        waiting = await house.board.all(
            "SELECT id, agent_id FROM tasks WHERE status = 'pending' AND attempt_id IS NULL"
        )
        if waiting:
            task = chance.choice(waiting)
            if kind == "claim":
                await house.board.write(claim, task["id"], task["agent_id"], tokens.mint(), "executor", None)
            else:
                await house.board.write(lambda tx: verbs.cancel(tx, task["id"], actor="person:ann", reason="no"))


def random_record(chance: random.Random) -> dict[str, Any]:
    record: dict[str, Any] = {"agent": chance.choice(("ada", "bob")), "priority": chance.randrange(3)}
    shape = chance.randrange(4)
    if shape == 0:
        record |= {"virtual_id": f"v{chance.randrange(3)}", "repeat": chance.choice(("0 * * * *", "30 9 * * *"))}
    elif shape == 1:
        record |= {"id": chance.randrange(4), "scheduled_at": chance.choice(("09:00", "23:30", "12:15"))}
    else:
        record |= {
            "id": chance.randrange(4, 9),
            "scheduled_at": f"2026-0{chance.choice(('1-31', '2-01', '2-02'))}T1{chance.randrange(9)}:00:00",
        }
    if chance.random() < 0.3:
        record[chance.choice(("colour", "room"))] = chance.choice(("red", None, [1], {"a": "é"}))
    if chance.random() < 0.2:
        record["status"] = chance.choice(("deferred", "finished", "skipped", "cancelled"))
    return record


async def test_the_chain_that_was_not_asked_for_longest_is_forgotten(
    house: House, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_chain, "MOST", 3)
    asks = await plugin(house)
    for number in range(5):
        asks.name, asks.since = f"gateway-{number}", None
        clock.go_on(1)
        await asks.sync()
    rows = await house.board.all("SELECT instance FROM sync_clients ORDER BY instance")
    assert [each["instance"] for each in rows] == ["gateway-2", "gateway-3", "gateway-4"]


async def test_no_token_pushes_out_what_others_are_known_by(
    house: House, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_chain, "MOST", 3)
    monkeypatch.setattr(instances, "MOST", 3)
    everybody, own = await plugin(house), Plugin(house.client, await house.agent_token("ada"))
    assert await everybody.sync()
    await house.post("/monitor/server/heartbeat", everybody.token, {"claw_identifier": "gateway-1"})
    for number in range(5):
        clock.go_on(1)
        own.name, own.since = f"many-{number}", None
        await own.sync()
        await house.post("/monitor/server/heartbeat", own.token, {"claw_identifier": own.name})
    assert not await everybody.sync()  # still the difference
    kept = await house.board.read(instances.listed)
    assert [each["name"] for each in kept] == ["gateway-1", "many-2", "many-3", "many-4"]


OPEN = ApiConfig(calendar_open_to=frozenset({"gateway-1"}))


async def test_without_a_token_nobody_is_let_in(house: House) -> None:
    asks = Plugin(house.client, None)
    for method, path in (("GET", "sync"), ("GET", "day"), ("PATCH", "slots/1/agent-update"), ("POST", "agent/notify")):
        answer = await house.client.request(method, f"/calendar/{path}", headers=asks.headers())
        problem(answer, 401, "unauthorized")


async def test_a_named_instance_on_this_machine_is_let_in_where_the_configuration_says_so(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with served(tmp_path, clock, OPEN) as house:
        await planned(house, ONCE)
        asks = Plugin(house.client, None)
        assert await asks.sync()
        assert (await asks.update(asks.schedules["ada"][0], "finished")).status_code == 200
        assert "instance gateway-1 (instance:gateway-1)" in str((await row(house, 1))[1])
        for headers in (
            {"X-Forwarded-For": "10.0.0.1"},
            {"Forwarded": "for=10.0.0.1"},
            {"Authorization": "Bearer nonsense"},
        ):
            problem(await house.client.get("/calendar/sync", headers=asks.headers() | headers), 401, "unauthorized")
        asks.name = "gateway-2"
        problem(await house.client.get("/calendar/sync", headers=asks.headers()), 401, "unauthorized")
        far = httpx.ASGITransport(house.app, client=("10.0.0.9", 4711))
        async with httpx.AsyncClient(transport=far, base_url=BASE_URL) as client:
            problem(await client.get("/calendar/sync", headers=Plugin(client, None).headers()), 401, "unauthorized")


async def test_the_status_shows_who_was_heard_of(house: House) -> None:
    asks = await plugin(house)
    assert (await house.client.post("/monitor/server/heartbeat", headers=asks.headers())).status_code == 200
    found = await house.board.read(questions.overview)
    assert found["instances"] == [{"name": "gateway-1", "seen_at": NOW}]
    board = {
        **found,
        "board": "b",
        "daemon": None,
        "accounts": [],
        "budgets": [],
        "agents": [],
        "sinks": [],
        "notices": [],
    }
    assert "  gateway-1 heard of at 2026-01-31T09:00:00.000Z" in list(account.of_board(board, "orchestrator"))


async def test_where_an_agent_stands_is_asked_for_and_reported_and_expires(house: House, clock: FakeClock) -> None:
    asks = await plugin(house)

    async def stands(agent: str = "ada") -> object:
        url = f"/calendar/agent/status?agent_id={agent}"
        return (await house.client.get(url, headers=asks.headers(agent))).json().get("status")

    assert await stands() == "idle"
    body = {"agent_id": "ada", "claw_identifier": "gateway-1", "status": "busy"}
    said = await house.client.post("/calendar/agent/status", json=body, headers=asks.headers("ada"))
    assert (said.status_code, said.json()["expires_at"]) == (200, "2026-01-31T10:00:00.000Z")
    assert (await stands(), await stands("bob")) == ("busy", "idle")
    kept = await house.board.one("SELECT source, actor FROM presence_reports")
    assert kept is not None
    assert tuple(kept) == ("instance:gateway-1", "person:gateway-1")
    clock.go_on(3600)
    assert await stands() == "idle"
    await planned(house, ONCE)
    await house.board.write(lambda tx: agents.put_agent(tx, "ada", max_live=1))
    await begun(house, 1)
    assert await stands() == "busy"
    assert await stands("eve") == 404
    await house.board.write(lambda tx: agents.put_agent(tx, "ada", max_live=0))
    assert await stands() == "busy", "its attempt lives on"

    await house.board.write(lambda tx: agents.put_agent(tx, "bob", max_live=0))
    assert await stands("bob") == "idle", "it is woken elsewhere: that it has no place here says nothing"
    body = {"agent_id": "bob", "status": "exhausted"}
    await house.client.post("/calendar/agent/status", json=body, headers=asks.headers())
    assert await stands("bob") == "exhausted"


async def test_an_agents_own_token_says_its_own_word_and_nobody_elses(house: House) -> None:
    own = Plugin(house.client, await house.agent_token("ada"))
    body = {"agent_id": "ada", "status": "offline"}
    assert (await house.client.post("/calendar/agent/status", json=body, headers=own.headers())).status_code == 200
    kept = await house.board.one("SELECT source FROM presence_reports")
    assert kept is not None
    assert kept["source"] == "agent"
    other = await house.client.post("/calendar/agent/status", json=body | {"agent_id": "bob"}, headers=own.headers())
    problem(other, 403, "forbidden")
    wrong = await house.client.post("/calendar/agent/status", json=body | {"status": "asleep"}, headers=own.headers())
    problem(wrong, 422, "invalid")


async def test_what_we_do_not_know_is_passed_over_whatever_it_is(house: House) -> None:
    asks = await plugin(house)
    body = b'{"agent_id": "ada", "message": "hm", "odd": 1e300, "more": {"a": ["x\\u0000"]}}'
    headers = asks.headers() | {"Content-Type": "application/json"}
    assert (await house.client.post("/calendar/agent/notify", content=body, headers=headers)).status_code == 200
    assert (await house.client.get("/calendar/day?_=1&_=2&more.of=it", headers=asks.headers())).status_code == 200
