"""A feed that comes in again: another board has the same slots, follows them, and nothing ever makes tasks of itself."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import uvicorn

from api import ApiConfig, create_app
from blackboard import feed, feed_text, repeating, slots, tokens, verbs
from blackboard.board import Board
from blackboard.clock import from_text, to_text
from blackboard.policy import Policies
from blackboard.slots import Schedule
from orchestrator import calendar_check
from orchestrator.calendars import CalendarSource
from orchestrator.config import AgentConfig, Settings
from orchestrator.config_calendars import CalendarConfig
from tests import scenes
from tests.fake_clock import FakeClock
from tests.scenes import furnish

FRIDAY = "2026-03-20T12:00:00.000Z"  # a week later the clocks of Berlin jump
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(FRIDAY)


def config(path: Path, **given: Any) -> Settings:
    agents = {name: AgentConfig(argv=("true",)) for name in ("ada", "bob", "eve")}
    calendars = {"other": CalendarConfig.model_validate(given)}
    return Settings(
        board=path,
        state_dir=path.parent / "state",
        projects=[{"id": scenes.PROJECT}],
        agents=agents,
        calendars=calendars,
    )


@asynccontextmanager
async def another(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Board]:
    folder = tmp_path / "another"
    folder.mkdir()
    board = await Board.open(folder / "board.sqlite", clock=clock)
    await board.write(furnish)
    try:
        yield board
    finally:
        await board.close()


@asynccontextmanager
async def address(board: Board, agent: str | None = None) -> AsyncIterator[str]:
    """Its feed, over a real port."""
    secret = tokens.mint()
    kind, scope = ("agent", None) if agent else ("operator", "read")
    put = {"kind": kind, "scope": scope, "agent_id": agent, "name": "feed:x"}
    await board.write(tokens.put, tokens.feed_digest(secret), **put)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(board, ApiConfig()), port=0, lifespan="off", ws="none", access_log=False, log_level="critical"
        )
    )
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/calendar/feed/{secret}.ics"
    finally:
        await server.shutdown()


async def plan(board: Board, **changed: dict[str, Any]) -> None:
    """A slot of every kind; `changed`: by title, what is said of one this time."""
    ada = [
        {
            "id": 1,
            "scheduled_at": "2026-03-24T09:00:00+01:00",
            "estimated_duration": 90,
            "event_data": {"title": "once"},
        },
        {"id": 2, "scheduled_at": "10:00", "estimated_duration": 25, "event_data": {"title": "each day"}},
        {"id": 3, "repeat": "30 2 * * *", "estimated_duration": 15, "priority": 7, "event_data": {"title": "at night"}},
    ]
    bob = [
        {"id": 4, "repeat": "FREQ=WEEKLY;BYDAY=MO,TH", "scheduled_at": "2026-03-02T17:00", "missed": "skip",
         "event_data": {"title": "no length", "description": "Say; what,\nwas done"}},
        {"id": 5, "scheduled_at": "2026-04-02T08:00:00Z", "estimated_duration": 1440, "event_data": {"title": "a day"}},
    ]  # fmt: skip
    said = [
        (agent, record | changed.get(record["event_data"]["title"].replace(" ", "_"), {}))
        for agent, records in (("ada", ada), ("bob", bob)) for record in records
    ]  # fmt: skip
    schedule = Schedule("file:plan.toml", said, scenes.PROJECT, "Europe/Berlin", complete=True)
    await board.write(slots.take_in, schedule, Policies())


def planned(now: str) -> Counter[tuple[str, str, float | None, str]]:
    """What these slots mean from now for 35 days, worked out by hand: agent, instant, minutes, title."""
    begin, until = from_text(now), from_text(now) + timedelta(days=35)
    days = [begin.astimezone(BERLIN).date() + timedelta(days=number) for number in range(37)]
    found: list[tuple[str, datetime, float | None, str]] = [
        ("ada", datetime(2026, 3, 24, 8, tzinfo=UTC), 90, "once"), ("bob", datetime(2026, 4, 2, 8, tzinfo=UTC), 1440, "a day"),
    ]  # fmt: skip
    found += [("ada", at(day, 10), 25, "each day") for day in days]
    found += [("ada", at(day, 3, 0) if day == date(2026, 3, 29) else at(day, 2, 30), 15, "at night") for day in days]
    found += [("bob", at(day, 17), None, "no length") for day in days if day.weekday() in (0, 3)]
    return Counter(
        (agent, to_text(when), minutes, title) for agent, when, minutes, title in found if begin < when < until
    )


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), BERLIN).astimezone(UTC)


async def slots_of(board: Board, now: str) -> Counter[tuple[str, str, float | None, str]]:
    rows = await board.all(
        "SELECT s.agent_id, t.due_at, s.estimated_duration, t.title FROM tasks t JOIN slots s ON s.id = t.slot_id"
        " WHERE t.status = 'pending' AND t.due_at > :now AND s.source = 'calendar:other'",
        now=now,
    )
    return Counter(tuple(row) for row in rows)


async def test_another_board_has_the_same_slots_once_each_and_keeps_up(
    board: Board, clock: FakeClock, tmp_path: Path
) -> None:
    await plan(board)
    async with another(tmp_path, clock) as other, address(board) as url:
        settings = config(other.path, url=url)
        source = CalendarSource("other", settings.calendars["other"], other, settings)
        for _ in range(3):
            await source.ask()
        assert await slots_of(other, clock.now()) == planned(clock.now()) != Counter()
        row = await other.one(
            "SELECT t.description, s.missed FROM tasks t JOIN slots s ON s.id = t.slot_id WHERE t.title = 'no length'"
        )
        assert row is not None and tuple(row) == ("Say; what,\nwas done", "skip")
        assert {row["priority"] for row in await other.all("SELECT priority FROM tasks WHERE title = 'at night'")} == {
            7
        }
        for day in range(10):  # over the night of the jump, with restarts between
            clock.go_on(86400)
            await plan(board)
            await board.write(repeating.go_on, Policies())
            source = CalendarSource("other", settings.calendars["other"], other, settings) if day % 3 else source
            await source.ask()
            assert await slots_of(other, clock.now()) == planned(clock.now()), day


async def test_what_moves_moves_what_is_cancelled_or_begun_or_done_is_not_begun_again(
    board: Board, clock: FakeClock, tmp_path: Path
) -> None:
    await plan(board)
    async with another(tmp_path, clock) as other, address(board) as url:
        settings = config(other.path, url=url)
        source = CalendarSource("other", settings.calendars["other"], other, settings)
        await source.ask()
        before = await slots_of(other, clock.now())
        made = (await other.all("SELECT count(*) AS n FROM tasks"))[0]["n"]
        await plan(
            board,
            once={"scheduled_at": "2026-03-25T11:00:00+01:00", "estimated_duration": 30},
            a_day={"status": "skipped"},
        )
        await source.ask()
        after = await slots_of(other, clock.now())
        assert before - after == Counter(
            [("ada", "2026-03-24T08:00:00.000Z", 90.0, "once"), ("bob", "2026-04-02T08:00:00.000Z", 1440.0, "a day")]
        )
        assert after - before == Counter([("ada", "2026-03-25T10:00:00.000Z", 30.0, "once")])

        task = (await board.all("SELECT id FROM tasks WHERE title = 'once'"))[0]["id"]
        await board.write(scenes.work, task)
        await source.ask()
        (slot,) = await other.all("SELECT status FROM slots WHERE event_data LIKE '%working: once%'")
        assert slot["status"] == "ongoing"
        await board.write(lambda tx: verbs.submit(tx, scenes.latest(tx, task), actor="executor:ada", detail="did it"))
        await board.write(scenes.see_off, task)
        await board.write(lambda tx: verbs.approve(tx, task, actor="person:root"))
        await source.ask()
        rows = await other.all("SELECT status FROM tasks WHERE title = 'once'")
        assert [row["status"] for row in rows] == ["cancelled"]
        assert (await other.all("SELECT count(*) AS n FROM tasks"))[0]["n"] == made  # what has happened made none


async def test_an_agents_feed_gives_its_slots(board: Board, clock: FakeClock, tmp_path: Path) -> None:
    await plan(board)
    async with another(tmp_path, clock) as other, address(board, "bob") as url:
        settings = config(other.path, url=url)
        await CalendarSource("other", settings.calendars["other"], other, settings).ask()
        found = await slots_of(other, clock.now())
        assert found == Counter({key: count for key, count in planned(clock.now()).items() if key[0] == "bob"})


async def test_a_board_makes_no_tasks_of_its_own_tasks(board: Board, clock: FakeClock, tmp_path: Path) -> None:
    await plan(board)
    count = "SELECT count(*) AS n FROM tasks"
    before = (await board.all(count))[0]["n"]
    async with address(board) as url:
        settings = config(board.path, url=url)
        source = CalendarSource("other", settings.calendars["other"], board, settings)
        for _ in range(3):
            await source.ask()
    assert (await board.all(count))[0]["n"] == before
    told = await board.all("SELECT reason FROM events WHERE verb = 'slot_refused'")
    assert [row["reason"] for row in told] == [
        "calendar:other: events of this board's own feed: they are left out, or its tasks would make tasks of themselves without an end"
    ]


async def test_its_own_events_are_known_when_a_program_dropped_what_it_does_not_know(
    board: Board, tmp_path: Path
) -> None:
    """Many keep the UID and nothing that begins with X-."""
    await plan(board)
    text = feed_text.rendered(await board.read(feed.read, board.clock.now()))
    file = tmp_path / "merged.ics"
    file.write_bytes(b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(b"X-")))
    settings = config(board.path, file=file, agent="eve")
    await CalendarSource("other", settings.calendars["other"], board, settings).ask()
    assert await board.all("SELECT * FROM slots WHERE source = 'calendar:other'") == []


async def test_two_boards_that_read_each_other_come_to_rest(board: Board, clock: FakeClock, tmp_path: Path) -> None:
    await plan(board)
    async with another(tmp_path, clock) as other:
        here, there = tmp_path / "here.ics", tmp_path / "there.ics"
        counts = []
        for _ in range(4):
            for reader, said, file in ((other, board, here), (board, other, there)):
                file.write_bytes(feed_text.rendered(await said.read(feed.read, clock.now())))
                settings = config(reader.path, file=file)
                await CalendarSource("other", settings.calendars["other"], reader, settings).ask()
            counts.append([(await each.all("SELECT count(*) AS n FROM tasks"))[0]["n"] for each in (board, other)])
    assert counts == [counts[0]] * 4
    boards = {json.loads(row["extra"])["boards"] for row in await another_slots(tmp_path, clock)}
    assert boards == {await board.read(feed.mark)}


async def another_slots(tmp_path: Path, clock: FakeClock) -> list[Any]:
    board = await Board.open(tmp_path / "another" / "board.sqlite", clock=clock)
    try:
        return list(await board.all("SELECT extra FROM slots"))
    finally:
        await board.close()


async def test_check_says_what_would_be_left_out(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await plan(board)
    file = tmp_path / "own.ics"
    file.write_bytes(feed_text.rendered(await board.read(feed.read, board.clock.now())))
    monkeypatch.setattr(calendar_check, "datetime", Standing)
    found = await asyncio.to_thread(lambda: list(calendar_check.looked_at("other", config(board.path, file=file))))
    assert [level for level, _ in found] == ["warn", "ok"]
    assert found[0][1].startswith("events of this board's own feed: ") and found[1][1] == "0 planned in the next 7 days"


class Standing(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return from_text(FRIDAY)
