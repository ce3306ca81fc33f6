"""A thousand agents' heartbeats through the two days on which a clock changes: spread, inside their hours, none doubled,
none while its agent is at work. Once as times alone, at the usual interval; once on a board, as tasks."""

from __future__ import annotations

import statistics
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from blackboard import agents, attempts, claims, contracts, heartbeat_runs, heartbeats, verbs
from blackboard.board import Board, Tx
from blackboard.clock import from_text, plus, seconds_between
from blackboard.days import Day, day
from blackboard.gates import Room
from blackboard.heartbeat_times import hours, next_run, offset, within
from blackboard.policy import Policies, Policy
from tests import scenes
from tests.fake_clock import FakeClock

ZONE = "Europe/Berlin"
DAYS = [date(2026, 3, 29), date(2026, 10, 25)]  # of 23 and of 25 hours
NAMES = [f"agent-{number}" for number in range(1000)]
HOURS = "07:00-22:00"


def is_in_hours(now: str) -> bool:
    """The rule in other words: the wall clock's hour."""
    return 7 <= from_text(now).astimezone(ZoneInfo(ZONE)).hour < 22


def beats_of(agent: str, since: str, until: str) -> list[str]:
    """When an agent beats every half an hour, having begun the day before."""
    found, interval, shift = hours(HOURS, ZONE), 1800, offset(agent, 1800)
    due = within(found, plus(since, shift - 86400), interval, shift)
    beats = []
    while due < until:
        beats.append(due)
        due = within(found, next_run(due, interval, due), interval, shift)
    return [each for each in beats if each >= since]


@pytest.mark.parametrize("which", DAYS, ids=str)
def test_a_day_of_times(which: date) -> None:
    since, until = day(which, ZONE)
    beats = {agent: beats_of(agent, since, until) for agent in NAMES}

    every = [each for mine in beats.values() for each in mine]
    assert all(is_in_hours(each) for each in every)
    assert {len(mine) for mine in beats.values()} == {30}, "fifteen hours, whatever the clock does at night"
    assert all(seconds_between(a, b) == 1800 for mine in beats.values() for a, b in pairwise(mine))

    first = Counter(int(seconds_between(min(every), mine[0])) for mine in beats.values())
    assert max(first) < 180, "within a tenth of the interval"
    assert max(first.values()) <= 18, "about 5.6 of a thousand in each second"
    thirds = Counter(second // 60 for second in first.elements())
    assert statistics.pstdev(thirds.values()) < 50, f"about 333 in each minute: {thirds}"


def furnish(tx: Tx) -> None:
    agents.put_project(tx, scenes.PROJECT)
    for name in NAMES:
        agents.put_agent(tx, name, max_live=2)
        heartbeats.change(
            tx, name, {"enabled": True, "checklist": "look", "interval_seconds": 14400, "active_hours": HOURS, "time_zone": ZONE},
            actor="person:root",
        )  # fmt: skip


BUSY = NAMES[::10]


def go_to_work(tx: Tx) -> None:
    """Every tenth agent begins something that takes hours."""
    for name in BUSY:
        scenes.claim(tx, scenes.post(tx, agent=name, policy=Policy(review="auto", needs_output=False)), name)


def go_home(tx: Tx) -> None:
    for row in attempts.not_gone(tx):
        verbs.submit(tx, row, actor=f"executor:{row['agent_id']}")
        attempts.gone(tx, row["id"])


def tick(tx: Tx) -> list[str]:
    """Beat, claim all that can be claimed, work in no time and be gone; whose heartbeat was run."""
    if contracts.broken(tx, tx.now):
        contracts.keep(tx)
    posted = heartbeat_runs.beat(tx, Room(3000), Policies())
    ran = []
    claims.promote(tx)
    for task in posted:
        row = tx.one("SELECT agent_id FROM tasks WHERE id = :id", id=task)
        assert row is not None
        agent = row["agent_id"]
        assert claims.best(tx, agent)["id"] == task  # type: ignore[index]
        attempt = scenes.claim(tx, task, agent)
        living = tx.one("SELECT count(*) AS n FROM attempts WHERE agent_id = :a AND gone_at IS NULL", a=agent)
        assert living is not None and living["n"] == 1, "nothing of it is at work beside"
        verbs.submit(tx, attempt, actor=f"executor:{agent}", detail="HEARTBEAT_OK")
        attempts.gone(tx, attempt["id"])
        ran.append(agent)
    return ran


@pytest.mark.parametrize("which", DAYS, ids=str)
async def test_a_day_on_the_board(tmp_path: Path, which: date) -> None:
    today: Day = day(which, ZONE)
    clock = FakeClock(plus(day(which - timedelta(days=1), ZONE).since, 12 * 3600))
    board = await Board.open(tmp_path / "board.sqlite", clock=clock)
    await board.write(furnish)
    noon, evening = plus(today.until, -12 * 3600), plus(today.until, -6 * 3600)
    at_work = gone = False
    ran: dict[str, list[str]] = {name: [] for name in NAMES}
    while (due := await board.read(heartbeat_runs.next_time)) is not None or not gone:
        stops = [each for each, passed in ((noon, at_work), (evening, gone)) if not passed]
        now = min(filter(None, (plus(due, 60 - (seconds_between(today.since, due) % 60)) if due else None, *stops)))
        if now >= today.until:
            break
        clock.jump_to(now)
        if now >= noon and not at_work:
            at_work = True
            await board.write(go_to_work)
        if now >= evening and not gone:
            gone = True
            await board.write(go_home)
        for agent in await board.write(tick):
            ran[agent].append(now)
    await board.write(heartbeat_runs.beat, Room(3000), Policies())

    todays = {agent: [each for each in mine if each >= today.since] for agent, mine in ran.items()}
    assert all(is_in_hours(each) for mine in ran.values() for each in mine)
    assert {len(mine) for agent, mine in todays.items() if agent not in BUSY} <= {3, 4}
    assert all(not noon <= each < evening for agent in BUSY for each in todays[agent]), "none while at work"
    assert all(any(each >= evening for each in todays[agent]) for agent in BUSY), "and made up for once, when at rest"
    most = Counter(each for mine in todays.values() for each in mine if each < noon)
    assert max(most.values()) < 90, "about 42 in each minute"
    rows = await board.all("SELECT status, count(*) AS n FROM heartbeat_runs GROUP BY status")
    counted = {row["status"]: row["n"] for row in rows}
    assert counted == {"suppressed": sum(map(len, ran.values())), "skipped": len(BUSY)}
    [doubled] = await board.all(
        "SELECT count(*) AS n FROM (SELECT 1 FROM tasks GROUP BY agent_id, posted_at, series HAVING count(*) > 1)"
    )
    assert doubled["n"] == 0
    await board.close()
