"""How late the loop is: measured from when a step was wanted, shown by /healthz, and told when it goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestrator.punctuality import PATIENCE, Punctuality
from tests.daemon import House
from tests.test_tick import eventually, kinds, running


class Hand:
    """A clock wound by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def punctuality(hand: Hand) -> Punctuality:
    return Punctuality(0.5, hand)


def late(punctuality: Punctuality) -> tuple[float, float]:
    told = punctuality.told()
    return told["late_seconds"], told["worst_late_seconds"]


def test_a_step_is_late_by_what_passed_between_the_first_wish_and_its_end(punctuality: Punctuality, hand: Hand) -> None:
    punctuality.want(30.0)
    hand.now += 1.0
    punctuality.want()
    hand.now += 0.25
    punctuality.want()
    with punctuality.step():
        hand.now += 0.5
        punctuality.want()  # meanwhile: it is for the next step
        hand.now += 0.125
    assert late(punctuality) == (0.875, 0.875)
    with punctuality.step():
        hand.now += 0.125
    assert late(punctuality) == (0.25, 0.875)


def test_a_step_that_nobody_wished_for_or_that_is_early_is_not_late(punctuality: Punctuality, hand: Hand) -> None:
    with punctuality.step():
        hand.now += 5
    punctuality.want(10.0)
    with punctuality.step():
        hand.now += 5
    assert late(punctuality) == (0.0, 0.0)


def test_a_pause_that_lasts_longer_is_late_by_the_rest(punctuality: Punctuality, hand: Hand) -> None:
    with punctuality.after(2.0):
        hand.now += 2.75
    assert late(punctuality) == (0.75, 0.75)


def test_the_alarm_is_raised_once_until_a_step_was_in_time_again(punctuality: Punctuality, hand: Hand) -> None:
    def steps(*seconds: float) -> list[bool]:
        told = []
        for each in seconds:
            punctuality.want()
            with punctuality.step():
                hand.now += each
            told.append(punctuality.alarm() is not None)
        return told

    assert PATIENCE == 3
    assert steps(1, 1, 0.5, 1, 1, 1, 1, 1) == [False] * 5 + [True, False, False]
    assert steps(0.1, 1, 1, 1) == [False] * 3 + [True]


async def test_a_loop_that_cannot_keep_up_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path / "house", tick={"foreign_poll_seconds": 0.05})
    house.agent("prints", "echo done\n", calls_back=False)
    async with running(house) as room:
        reconcile = room.orchestrator._monitor.reconcile

        async def slow() -> None:
            time.sleep(0.15)  # noqa: ASYNC251 - as a machine that is too busy: nothing of the loop goes on meanwhile
            room.orchestrator.wake()
            await reconcile()

        monkeypatch.setattr(room.orchestrator._monitor, "reconcile", slow)
        room.orchestrator.wake()
        await eventually(lambda: kinds(house, "tick_late"))
        assert room.orchestrator.lateness()["worst_late_seconds"] >= 0.15
        monkeypatch.undo()
    (event,) = kinds(house, "tick_late")
    assert "more than 0.05 s late" in event["reason"]


def test_healthz_shows_how_late_the_loop_of_a_real_daemon_is(tmp_path: Path) -> None:
    house = House(tmp_path / "house", tick={"foreign_poll_seconds": 0.2})
    try:
        house.start()
        told = house.http("/healthz")["tick"]
        house.ends()
    finally:
        house.clear()
    assert told["interval_seconds"] == 0.2
    assert 0 <= told["late_seconds"] <= told["worst_late_seconds"] < 40
