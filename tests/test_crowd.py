"""Many agents at once: none lost, none twice, nothing left, and the daemon as it was before.

The figures are printed by `python -m bench.many_agents`; here stands what must be true of them on any machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import census, processes
from tests.crowd import Crowd, doubled
from tests.daemon import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "house")
    try:
        yield house
        house.ends()
    finally:
        house.clear()


def lives_and_ends(house: House, count: int) -> None:
    """So many agents live at one moment, and of each there is one whole life on the board and in its own words."""
    crowd = Crowd(house, count)
    found = crowd.run()
    print(found)
    log = (house.folder / "agents.log").read_text().splitlines()
    for task in crowd.tasks:
        (attempt,) = house.attempts(task)
        assert (attempt["outcome"], attempt["exit_code"]) == ("submitted", 0), house.story(task)
        own = [line.split() for line in log if line.split()[1] == str(task)]
        assert [line[0] for line in own] == ["begin", "end"]
        assert {int(line[3]) for line in own} == {attempt["agent_pid"]}
    assert doubled(log) == []
    assert found["files_peak"] - found["files_before"] <= 2 * count + 2, "a handle of the launcher and one of the agent"
    assert found["files_after"] <= found["files_before"]
    assert found["zombies_after"] == 0
    assert found["daemon_rss_per_agent_bytes"] < 256 * 1024


@pytest.mark.timeout(300)
def test_sixty_agents_at_once(house: House) -> None:
    lives_and_ends(house, 60)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_hundred_agents_at_once(house: House) -> None:
    lives_and_ends(house, 200)


def test_two_lives_of_one_task_at_one_moment_would_be_seen() -> None:
    log = [
        "begin 1 1 10 5.0",
        "end 1 1 10 6.0",
        "begin 1 2 11 5.5",
        "end 1 2 11 7.0",
        "begin 2 3 12 5.5",
        "end 2 3 12 9.0",
    ]
    assert doubled(log) == ["task 1: 1 1 10 and 1 2 11"]
    assert doubled(["begin 1 1 10 5.0", "end 1 1 10 6.0", "begin 1 2 11 6.0", "end 1 2 11 7.0"]) == []


async def test_who_asks_at_the_same_time_shares_one_look_and_it_begins_after_they_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[census.Census] = []

    def look() -> census.Census:
        looks.append(census.Census({}, {}, {len(looks): []}, {}))
        return looks[-1]

    monkeypatch.setattr(census, "take", look)
    first = [asyncio.create_task(census.shared()) for _ in range(50)]
    await asyncio.sleep(0)
    found = await asyncio.gather(*first)
    assert len(looks) == 1
    assert all(one is looks[0] for one in found)
    assert await census.shared() is looks[1], "what was seen before somebody asked is no answer"


async def test_fifty_stops_at_once_take_a_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def look() -> census.Census:
        nonlocal looks
        looks += 1
        return take()

    take = census.take
    monkeypatch.setattr(census, "take", look)
    proved = await asyncio.gather(*[processes.stop(f"nobody:{n}", None, None, grace=0) for n in range(50)])
    assert all(proved)
    assert looks < 20, "three for each would be a hundred and fifty"


async def test_a_look_that_failed_is_the_error_of_those_who_asked_and_of_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> census.Census:
        raise OSError("no /proc")

    with monkeypatch.context() as patch:
        patch.setattr(census, "take", broken)
        with pytest.raises(OSError, match="no /proc"):
            await census.shared()
    assert (await census.shared()).rows
