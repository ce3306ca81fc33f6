"""Slots become tasks: every form of a time, one task an occurrence, and what follows when a slot moves or leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from blackboard import agents, claims, move, slots, tokens, verbs
from blackboard.board import Board, Tx
from blackboard.errors import Invalid
from blackboard.gates import Room
from blackboard.policy import Policies, Policy
from blackboard.slot_records import due
from blackboard.slots import Schedule, Taken, read_schedule
from tests import scenes
from tests.fake_clock import START, FakeClock
from tests.scenes import status_of, tried

# A slot as the seed gives it (HF-04), with fields nobody told us of.
RECORD = {
    "id": 17, "slot_type": "task", "estimated_duration": 45, "scheduled_at": "10:30", "status": "not_started", "priority": 7,
    "event_type": "write_article", "event_data": {"title": "Nägel 🔨", "project": "forge", "topic": ["iron", {"deep": None}]},
    "color": "red", "recurrence": {"every": "day", "count": 3}, "started_at": None,
}  # fmt: skip


def take(tx: Tx, *records: Mapping[str, Any], agent: str = "ada", **given: Any) -> Taken:
    """Take records of one agent in, as a file's whole schedule unless said otherwise."""
    policies = given.pop("policies", Policies())
    told = {"source": "file:a.toml", "project": scenes.PROJECT, "complete": True, **given}
    return slots.take_in(tx, Schedule(slots=[(agent, record) for record in records], **told), policies)


def slot(number: int = 1, at: str = "10:00", **more: Any) -> dict[str, Any]:
    return {"id": number, "scheduled_at": at, **more}


def tasks(tx: Tx) -> list[tuple[str, str, str]]:
    return [(row["occurrence"], row["due_at"], row["status"]) for row in tx.all("SELECT * FROM tasks ORDER BY id")]


def told(tx: Tx, verb: str) -> list[str]:
    return [row["reason"] for row in tx.all("SELECT reason FROM events WHERE verb = :verb ORDER BY id", verb=verb)]


# --- The record ---------------------------------------------------------------------------------------------------------


async def test_the_seeds_record_becomes_one_task_with_all_it_says(board: Board) -> None:
    def life(tx: Tx) -> tuple[Taken, dict[str, Any], dict[str, Any]]:
        return take(tx, RECORD), dict(tx.all("SELECT * FROM slots")[0]), dict(tx.all("SELECT * FROM tasks")[0])

    taken, kept, task = await board.write(life)
    assert (taken.added, taken.tasks, taken.refused) == (1, [1], [])
    assert kept.items() >= {
        "uid": "id:17", "slot_type": "task", "estimated_duration": 45.0, "scheduled_at": "10:30", "status": "not_started",
        "priority": 7, "event_type": "write_article", "agent_id": "ada", "project_id": "forge", "source": "file:a.toml",
    }.items()  # fmt: skip
    assert json.loads(kept["event_data"]) == RECORD["event_data"]
    assert json.loads(kept["extra"]) == {"color": "red", "recurrence": {"every": "day", "count": 3}, "started_at": None}
    assert task.items() >= {
        "title": "Nägel 🔨", "priority": 7, "due_at": "2026-01-31T10:30:00.000Z", "wall_seconds": 2700.0, "agent_id": "ada",
        "slot_id": kept["id"], "occurrence": "2026-01-31", "status": "pending", "actor": "engine:slots",
    }.items()  # fmt: skip
    assert json.loads(task["data"]) == RECORD["event_data"]


@pytest.mark.parametrize(
    ("record", "title"),
    [
        ({"event_type": "write", "slot_type": "task"}, "write id:1"),
        ({"slot_type": "task"}, "task id:1"),
        ({}, "slot id:1"),
        ({"event_data": {"title": "Nails"}}, "Nails"),
    ],
)
async def test_a_task_is_called_what_its_slot_can_tell(board: Board, record: dict[str, Any], title: str) -> None:
    await board.write(take, slot(**record))
    assert (await board.all("SELECT title FROM tasks"))[0][0] == title


async def test_what_event_data_says_of_the_task_is_obeyed(board: Board) -> None:
    said = {
        "description": "long", "must_haves": "sharp", "review": "auto", "max_tries": 9, "backoff_seconds": 1.5, "wall_seconds": 5,
        "idle_seconds": 6, "startup_seconds": 7, "settle_seconds": 0, "max_rejections": 0, "needs_output": False,
        "waits_for_children": False, "backoff_cap_seconds": 8,
    }  # fmt: skip
    await board.write(take, slot(event_data=said | {"type": "code"}, estimated_duration=45))
    row = dict((await board.all("SELECT * FROM tasks"))[0])
    assert row.items() >= (said | {"task_type": "code", "needs_output": 0, "waits_for_children": 0}).items()


async def test_the_planned_duration_is_the_limit_and_else_the_agents_policy(board: Board) -> None:
    policies = Policies(Policy(wall_seconds=100), {"ada": Policy(wall_seconds=200, max_tries=8)})

    def life(tx: Tx) -> list[tuple[float, int]]:
        take(
            tx,
            slot(1, estimated_duration=0.5),
            slot(2),
            slot(3, event_data={"wall_seconds": 3}, estimated_duration=1),
            policies=policies,
        )
        take(tx, slot(1), agent="bob", source="api", policies=policies)
        return [(row["wall_seconds"], row["max_tries"]) for row in tx.all("SELECT * FROM tasks ORDER BY id")]

    assert await board.write(life) == [(30.0, 8), (200.0, 8), (3.0, 8), (100.0, 3)]


# --- Times --------------------------------------------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 1, 31)


@pytest.mark.parametrize(
    ("written", "instant", "occurrence"),
    [
        ("10:30", "2026-01-31T09:30:00.000Z", "2026-01-31"),
        ("10:30:15", "2026-01-31T09:30:15.000Z", "2026-01-31"),
        ("00:00", "2026-01-30T23:00:00.000Z", "2026-01-31"),
        ("23:59:59", "2026-01-31T22:59:59.000Z", "2026-01-31"),
        ("2026-02-03T10:30", "2026-02-03T09:30:00.000Z", "once"),
        ("2026-02-03T10:30:15", "2026-02-03T09:30:15.000Z", "once"),
        ("2026-02-03 10:30", "2026-02-03T09:30:00.000Z", "once"),
        ("2026-02-03t10:30", "2026-02-03T09:30:00.000Z", "once"),
        ("2026-02-03T10:30:15.1239", "2026-02-03T09:30:15.123Z", "once"),
        ("2026-02-03T10:30Z", "2026-02-03T10:30:00.000Z", "once"),
        ("2026-02-03T10:30:00+05:30", "2026-02-03T05:00:00.000Z", "once"),
        ("2026-02-03T10:30:00-0800", "2026-02-03T18:30:00.000Z", "once"),
        ("20260203T103000Z", "2026-02-03T10:30:00.000Z", "once"),
        ("2026-07-03T10:30", "2026-07-03T08:30:00.000Z", "once"),  # summer time
    ],
)
def test_a_time_in_any_of_its_forms(written: str, instant: str, occurrence: str) -> None:
    assert due(written, BERLIN, DAY) == (instant, occurrence)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("24:00", "no time of a day"), ("12:60", "no time of a day"), ("99:99:99", "no time of a day"), ("9:30", "is not a time"),
        ("10:30\n", "no time of a day"), ("\u0661\u0660:\u0663\u0660", "no time of a day"), ("", "is not a time"), ("noon", "is not a time"),
        ("10:30+01:00", "is not a time"), ("2026-02-03", "is not a time"), ("2026-02-30T10:00", "is not a time"),
        ("2026-13-01T10:00", "is not a time"), ("0001-01-01T00:00+14:00", "is not a time"), ("9999-12-31T23:59-12:00", "is not a time"),
        ("T10:30", "is not a time"), ("10:30Z", "is not a time"), ("1e3", "is not a time"), ("10:30\x00", "is not a time"),
    ],
)  # fmt: skip
def test_what_is_no_time_says_how_to_write_one(written: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refusal:
        due(written, BERLIN, DAY)
    assert "write HH:MM" in refusal.value.sentence


@pytest.mark.parametrize(("day", "zone"), [(date(1, 1, 1), "Asia/Tokyo"), (date(9999, 12, 31), "America/New_York")])
def test_a_day_at_the_end_of_the_calendar_is_no_time_either(day: date, zone: str) -> None:
    wall = "00:30" if day.year == 1 else "23:30"
    with pytest.raises(Invalid):
        due(wall, ZoneInfo(zone), day)


# Both change days of a year, worked out by hand: a time before the change, one in it, one after it.
CHANGES = [
    ("Europe/Berlin", "2026-03-29", {"01:59": "2026-03-29T00:59", "02:00": "2026-03-29T01:00", "02:30": "2026-03-29T01:30", "03:00": "2026-03-29T01:00"}),
    ("Europe/Berlin", "2026-10-25", {"01:59": "2026-10-24T23:59", "02:30": "2026-10-25T00:30", "03:00": "2026-10-25T02:00"}),
    ("America/New_York", "2026-03-08", {"01:59": "2026-03-08T06:59", "02:30": "2026-03-08T07:30", "03:00": "2026-03-08T07:00"}),
    ("America/New_York", "2026-11-01", {"00:59": "2026-11-01T04:59", "01:30": "2026-11-01T05:30", "02:00": "2026-11-01T07:00"}),
    ("Australia/Lord_Howe", "2026-10-04", {"01:59": "2026-10-03T15:29", "02:15": "2026-10-03T15:45", "02:30": "2026-10-03T15:30"}),
    ("Australia/Lord_Howe", "2026-04-05", {"01:29": "2026-04-04T14:29", "01:45": "2026-04-04T14:45", "02:00": "2026-04-04T15:30"}),
    ("America/Santiago", "2026-09-06", {"00:30": "2026-09-06T04:30", "01:00": "2026-09-06T04:00", "12:00": "2026-09-06T15:00"}),
    ("America/Santiago", "2026-04-04", {"22:59": "2026-04-05T01:59", "23:30": "2026-04-05T02:30"}),
    ("America/St_Johns", "2026-03-08", {"01:59": "2026-03-08T05:29", "02:30": "2026-03-08T06:00", "03:00": "2026-03-08T05:30"}),
    ("America/St_Johns", "2026-11-01", {"00:59": "2026-11-01T03:29", "01:30": "2026-11-01T04:00", "02:00": "2026-11-01T05:30"}),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "day", "times"), CHANGES, ids=[f"{zone} {day}" for zone, day, _ in CHANGES])
def test_a_day_on_which_the_clocks_change_goes_by_the_rule(zone: str, day: str, times: dict[str, str]) -> None:
    for written, instant in times.items():
        assert due(written, ZoneInfo(zone), date.fromisoformat(day)) == (f"{instant}:00.000Z", day)
        assert due(f"{day}T{written}", ZoneInfo(zone), DAY) == (f"{instant}:00.000Z", "once")


@pytest.mark.parametrize(
    ("zone", "now", "day"),
    [
        ("Asia/Tokyo", "2026-01-31T14:59:59.999Z", "2026-01-31"),
        ("Asia/Tokyo", "2026-01-31T15:00:00.000Z", "2026-02-01"),
        ("America/Los_Angeles", "2026-01-31T07:59:00.000Z", "2026-01-30"),
    ],
)
async def test_today_is_the_day_where_the_schedule_is_meant(
    board: Board, clock: FakeClock, zone: str, now: str, day: str
) -> None:
    clock.jump_to(now)
    await board.write(take, slot(at="12:00"), time_zone=zone)
    assert (await board.all("SELECT occurrence FROM tasks"))[0][0] == day


async def test_a_schedule_may_name_its_day(board: Board) -> None:
    await board.write(take, slot(at="12:00"), day="2026-12-24", time_zone="Europe/Berlin")
    assert await board.write(tasks) == [("2026-12-24", "2026-12-24T11:00:00.000Z", "pending")]


# --- One task an occurrence -----------------------------------------------------------------------------------------------


async def test_however_often_it_is_taken_in_it_makes_one_task(board: Board) -> None:
    def again(tx: Tx) -> tuple[int, int, int]:
        taken = take(tx, slot(1), {"virtual_id": "v1", "scheduled_at": "11:00"}, slot(2, "2026-02-03T10:00"))
        return taken.added, taken.changed, len(taken.tasks)

    seen = [await board.write(again) for _ in range(4)]
    assert seen == [(3, 0, 3), (0, 0, 0), (0, 0, 0), (0, 0, 0)]
    assert len(await board.all("SELECT * FROM tasks")) == 3
    assert [row["uid"] for row in await board.all("SELECT uid FROM slots ORDER BY id")] == [
        "id:1",
        "virtual:v1",
        "id:2",
    ]


async def test_the_same_again_leaves_no_trace(board: Board) -> None:
    await board.write(take, RECORD)
    before = await board.read(scenes.everything)
    await board.write(take, RECORD)
    assert await board.read(scenes.everything) == before


async def test_the_same_slot_twice_in_one_schedule_is_one(board: Board) -> None:
    taken = await board.write(take, slot(1, "10:00"), slot(1, "11:00"))
    assert (taken.added, taken.changed, len(taken.tasks)) == (1, 1, 1)
    assert [when for _, when, _ in await board.write(tasks)] == ["2026-01-31T11:00:00.000Z"]


async def test_the_same_id_of_another_source_or_agent_is_another_slot(board: Board) -> None:
    def life(tx: Tx) -> int:
        take(tx, slot(1))
        take(tx, slot(1), source="file:b.toml")
        take(tx, slot(1), agent="bob", source="file:c.toml")
        return len(tx.all("SELECT * FROM tasks"))

    assert await board.write(life) == 3


async def test_the_next_day_is_the_next_occurrence(board: Board, clock: FakeClock) -> None:
    for _ in range(3):
        await board.write(take, slot(1, "10:00"), slot(2, "2026-02-03T10:00"))
        clock.go_on(86400)
    assert await board.write(tasks) == [
        ("2026-01-31", "2026-01-31T10:00:00.000Z", "pending"), ("once", "2026-02-03T10:00:00.000Z", "pending"),
        ("2026-02-01", "2026-02-01T10:00:00.000Z", "pending"), ("2026-02-02", "2026-02-02T10:00:00.000Z", "pending"),
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["not_started", "deferred"])
async def test_a_slot_that_is_open_makes_a_task(board: Board, word: str) -> None:
    assert len((await board.write(take, slot(status=word))).tasks) == 1


@pytest.mark.parametrize("word", ["in_progress", "completed", "cancelled", "canceled", "aborted", "skipped", "done"])
async def test_a_slot_that_is_not_open_makes_none(board: Board, word: str) -> None:
    taken = await board.write(take, slot(status=word))
    assert (taken.added, taken.tasks, taken.refused) == (1, [], [])


# --- Moved and left -------------------------------------------------------------------------------------------------------


async def test_a_slot_that_moves_takes_its_pending_task_along(board: Board, clock: FakeClock) -> None:
    def life(tx: Tx) -> Taken:
        take(tx, slot(1, "10:00", priority=1))
        assert claims.promote(later(tx)) == 1
        return take(tx, slot(1, "16:45", priority=2))

    taken = await board.write(life)
    assert (taken.added, taken.changed, taken.tasks) == (0, 1, [])
    row = (await board.all("SELECT due_at, priority, ready FROM tasks"))[0]
    assert tuple(row) == ("2026-01-31T16:45:00.000Z", 2, 0)
    assert await board.read(scenes.story, 1) == ["engine:slots post", "engine:slots replan"]
    assert await board.write(told, "slot_changed") == ["id:1 at 16:45"]


def later(tx: Tx) -> Tx:
    return Tx(tx._connection, "2026-01-31T12:00:00.000Z", tx.boot)


@pytest.mark.parametrize("status", [state for state in scenes.STATES if state != "pending"])
async def test_once_its_task_is_claimed_a_slot_moves_and_leaves_it_alone(board: Board, status: str) -> None:
    def life(tx: Tx) -> list[object]:
        [task] = take(tx, slot(1, "10:00")).tasks
        scenes.reach(tx, task, status)
        before = tuple(move.get(tx, task)), len(scenes.story(tx, task))
        take(tx, slot(1, "16:45", priority=3))
        take(tx, slot(1, "16:45", status="cancelled"))
        take(tx)
        return [before == (tuple(move.get(tx, task)), len(scenes.story(tx, task))), len(tx.all("SELECT * FROM tasks"))]

    assert await board.write(life) == [True, 1]


async def test_a_slot_that_leaves_its_source_cancels_its_pending_task(board: Board) -> None:
    def life(tx: Tx) -> Taken:
        take(tx, slot(1), slot(2))
        take(tx, slot(3), source="file:b.toml")
        return take(tx, slot(2))

    taken = await board.write(life)
    assert taken.removed == 1
    assert [status for _, _, status in await board.write(tasks)] == ["cancelled", "pending", "pending"]
    assert (await board.all("SELECT reason FROM tasks WHERE id = 1"))[0][0] == "its slot id:1 left file:a.toml"
    assert await board.write(told, "slot_removed") == ["id:1 left file:a.toml"]
    assert [row["uid"] for row in await board.read(lambda rows: list(slots.listed(rows)))] == ["id:2", "id:3"]
    assert (await board.write(take, slot(2))).removed == 0  # told once


async def test_a_slot_that_comes_back_is_known_again(board: Board) -> None:
    def life(tx: Tx) -> list[object]:
        take(tx, slot(1))
        take(tx)
        taken = take(tx, slot(1))
        return [taken.added, taken.changed, [row["removed_at"] for row in tx.all("SELECT * FROM slots")]]

    assert await board.write(life) == [0, 1, [None]]


async def test_what_an_incomplete_schedule_does_not_name_stays(board: Board) -> None:
    def life(tx: Tx) -> Taken:
        take(tx, slot(1), complete=False)
        return take(tx, slot(2), complete=False)

    assert (await board.write(life)).removed == 0
    assert [status for _, _, status in await board.write(tasks)] == ["pending", "pending"]


@pytest.mark.parametrize("word", ["cancelled", "canceled", "aborted", "skipped"])
async def test_a_slot_called_off_cancels_its_pending_task(board: Board, word: str) -> None:
    def life(tx: Tx) -> str:
        take(tx, slot(1))
        take(tx, slot(1, status=word))
        return status_of(tx, 1)

    assert await board.write(life) == "cancelled"


async def test_a_source_that_says_done_does_not_finish_a_task(board: Board) -> None:
    def life(tx: Tx) -> str:
        take(tx, slot(1))
        take(tx, slot(1, status="completed"))
        return status_of(tx, 1)

    assert await board.write(life) == "pending"


async def test_the_slots_of_a_task_claimed_by_the_tick_are_told_apart(board: Board, clock: FakeClock) -> None:
    await board.write(take, slot(1, "09:00"), slot(2, "09:30"))
    [attempt] = await board.write(claims.claim_due, [tokens.digest("bbt_1"), tokens.digest("bbt_2")], Room(9))
    await board.write(take)
    assert [status for _, _, status in await board.write(tasks)] == ["claimed", "cancelled"]
    assert attempt == 1


# --- Bad ones ---------------------------------------------------------------------------------------------------------------

BAD = [
    ({"scheduled_at": "10:00"}, "needs an id or a virtual_id"),
    ({"id": 9}, "scheduled_at"),
    ({"id": 9, "scheduled_at": "25:00"}, "no time of a day"),
    ({"id": 9, "scheduled_at": 10}, "scheduled_at"),
    ({"id": "nine", "scheduled_at": "10:00"}, "id"),
    ({"id": 9, "scheduled_at": "10:00", "estimated_duration": 0}, "estimated_duration"),
    ({"id": 9, "scheduled_at": "10:00", "estimated_duration": float("nan")}, "estimated_duration"),
    ({"id": 9, "scheduled_at": "10:00", "priority": 2**40}, "priority"),
    ({"id": 9, "scheduled_at": "10:00", "event_data": [1]}, "event_data"),
    ({"id": 9, "scheduled_at": "10:00", "event_data": {"max_tries": 0}}, "max_tries"),
    ({"id": 9, "scheduled_at": "10:00", "event_data": {"max_rejections": 10**30}}, "max_rejections"),
    ({"id": 9, "scheduled_at": "10:00", "event_data": {"wall_seconds": float("inf")}}, "wall_seconds"),
    ({"id": 9, "scheduled_at": "10:00", "event_data": {"review": "never"}}, "review"),
    ({"id": 9, "scheduled_at": "10:00", "event_data": {"title": ""}}, "title"),
    ({"id": 9, "scheduled_at": "10:00", "event_data": {"project": "nowhere"}}, "no project 'nowhere'"),
    ({"id": 9, "scheduled_at": "10:00", "event_data": {"x": float("nan")}}, "not JSON"),
    ({"id": 9, "scheduled_at": "10:00", "x": float("inf")}, "not JSON"),
    ({"id": 9, "scheduled_at": "10:00", "slot_type": "\ud800"}, "not JSON"),
    ({"virtual_id": "\ud800", "scheduled_at": "10:00"}, "not JSON"),
    ({"id": 9, "scheduled_at": "\ud800"}, "not JSON"),
    ({"id": 9, "scheduled_at": "10:00", "event_data": {"must_haves": "\ud800"}}, "not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "words"), BAD, ids=[words for _, words in BAD])
async def test_a_bad_slot_is_refused_with_a_sentence_and_the_others_go_in(
    board: Board, bad: dict[str, Any], words: str
) -> None:
    def life(tx: Tx) -> Taken:
        return take(tx, slot(1), bad, slot(2))

    taken = await board.write(life)
    assert (taken.added, len(taken.tasks), len(taken.refused)) == (2, 2, 1)
    [(which, why)] = taken.refused
    assert words in why and "of agent ada (file:a.toml)" in which
    [reason] = await board.write(told, "slot_refused")
    assert reason == f"{which}: {why}"
    [data] = await board.all("SELECT data FROM events WHERE verb = 'slot_refused'")
    assert json.loads(data["data"])["slot"]  # what it was is kept


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"agent": "nobody"}, "there is no agent 'nobody'"), ({"agent": ""}, "there is no agent ''"),
        ({"agent": "\ud800"}, "there is no agent"), ({"project": "nowhere"}, "there is no project 'nowhere'"),
        ({"project": "\ud800"}, "there is no project"),
    ],
)  # fmt: skip
async def test_a_slot_of_nobody_or_for_nothing_is_refused(board: Board, given: dict[str, str], words: str) -> None:
    taken = await board.write(take, slot(1), **given)
    assert taken.tasks == [] and words in taken.refused[0][1]
    assert await board.write(told, "slot_refused") == [": ".join(taken.refused[0])]


async def test_dates_of_a_toml_file_in_its_data_are_kept_as_text(board: Board) -> None:
    taken = await board.write(take, slot(1, event_data={"until": date(2026, 2, 1)}, since=date(2026, 1, 1)))
    assert taken.refused == []
    row = (await board.all("SELECT t.data, s.event_data, s.extra FROM tasks t JOIN slots s ON s.id = t.slot_id"))[0]
    assert [json.loads(text) for text in row] == [
        {"until": "2026-02-01"},
        {"until": "2026-02-01"},
        {"since": "2026-01-01"},
    ]


@pytest.mark.parametrize(
    "bad", [{"scheduled_at": "25:00"}, {"estimated_duration": 0}, {"event_data": {"max_tries": 0}}]
)
async def test_a_slot_that_went_bad_has_not_left(board: Board, bad: dict[str, Any]) -> None:
    def life(tx: Tx) -> list[object]:
        virtual = {"virtual_id": "v", "scheduled_at": "11:00"}
        take(tx, slot(1), virtual)
        taken = take(tx, slot(1) | bad, virtual | bad)
        return [taken.removed, len(taken.refused), [status for _, _, status in tasks(tx)]]

    assert await board.write(life) == [0, 2, ["pending", "pending"]]


async def test_an_agent_may_be_disabled_and_still_have_a_calendar(board: Board) -> None:
    await board.write(agents.put_agent, "ada", enabled=False)
    assert len((await board.write(take, slot(1))).tasks) == 1


# --- The document ---------------------------------------------------------------------------------------------------------------


def read(document: Mapping[str, Any]) -> Schedule:
    return read_schedule(document, source="file:a.toml", project="forge", time_zone="UTC", complete=True)


def test_a_schedule_is_read_in_both_of_its_forms() -> None:
    listed = read(
        {"slots": [{"agent": "ada", "id": 1, "scheduled_at": "10:00"}], "time_zone": "Asia/Tokyo", "date": "2026-02-01"}
    )
    by_agent = read({"schedules": {"ada": [{"id": 1, "scheduled_at": "10:00"}]}, "project": "other"})
    assert listed == Schedule(
        "file:a.toml",
        [("ada", {"id": 1, "scheduled_at": "10:00"})],
        "forge",
        "Asia/Tokyo",
        "2026-02-01",
        True,
        ("slots[0]",),
    )
    assert by_agent == Schedule(
        "file:a.toml", [("ada", {"id": 1, "scheduled_at": "10:00"})], "other", "UTC", None, True, ("schedules.ada[0]",)
    )
    assert read({}).slots == []


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"slot": []}, "unknown key 'slot'"),
        ({"slots": {}}, "slots is a list"),
        ({"schedules": []}, "schedules is a list: it is an object"),
        ({"schedules": {"ada": {}}}, "schedules.ada is an object: it is the list"),
        ({"slots": ["10:00"]}, "a slot is a table of fields, not str"),
        ({"schedules": {"ada": [7]}}, r"schedules.ada\[0\] is a number: a slot is an object"),
        ({"time_zone": "Mars/Olympus"}, "'Mars/Olympus' is not an IANA time zone"),
        ({"time_zone": "../../etc/passwd"}, "not an IANA time zone"),
        ({"time_zone": ""}, "not an IANA time zone"),
        ({"time_zone": "Europe"}, "not an IANA time zone"),
        ({"time_zone": "x" * 5000}, "not an IANA time zone"),
        ({"time_zone": "UTC\x00"}, "not an IANA time zone"),
        ({"time_zone": "\ud800"}, "not an IANA time zone"),
        ({"time_zone": None}, "not an IANA time zone"),
        ({"date": "2026-02-30"}, "is not a day"),
        ({"date": "tomorrow"}, "is not a day"),
        ({"date": 7}, "is not a day"),
    ],
)
def test_a_document_that_is_no_schedule_says_why(document: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        read(document)


async def test_a_tasks_verbs_do_not_care_where_it_came_from(board: Board) -> None:
    def life(tx: Tx) -> str:
        [task] = take(tx, slot(1, "09:00")).tasks
        scenes.submit(tx, task)
        return verbs.approve(tx, task, actor="person:root")

    assert await tried(board, life) == "done"
    assert START == "2026-01-31T09:00:00.000Z"  # 09:00 is due at once
