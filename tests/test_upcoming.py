"""The terminal of `run` says which slots come next: the first three, each once, again when it moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from blackboard import slots, verbs
from blackboard.board import Board, Tx
from blackboard.policy import Policies
from orchestrator import upcoming
from orchestrator.narration import next_line
from orchestrator.upcoming import Upcoming
from tests import scenes
from tests.fake_clock import FakeClock


class Terminal:
    """What was said, as a person reads it; its programs' values."""

    def __init__(self, board: Board) -> None:
        self.lines: list[str] = []
        self.values: list[Any] = []
        self.says = Upcoming(board, self._keep)

    def _keep(self, value: object, line: str) -> None:
        self.values.append(value)
        self.lines.append(line)

    async def news(self) -> list[str]:
        """What it says when it looks now."""
        self.lines.clear()
        await self.says.look()
        return list(self.lines)


def plans(*times: str, source: str = "calendar:team") -> Callable[[Tx], Any]:
    """Slots numbered from 1, all there are of this source."""
    records = [
        ("ada", {"id": number, "scheduled_at": f"2026-{time}:00Z", "event_data": {"title": f"S{number}"}})
        for number, time in enumerate(times, 1)
    ]
    return lambda tx: slots.take_in(tx, slots.Schedule(source, records, scenes.PROJECT, complete=True), Policies())


async def test_the_first_three_are_said_once_and_the_next_one_when_one_is_due(board: Board, clock: FakeClock) -> None:
    terminal = Terminal(board)
    assert await terminal.news() == []
    await board.write(plans("01-31T08:00", "01-31T09:30", "01-31T10:00", "02-01T09:00", "02-02T09:00"))
    assert await terminal.news() == [
        "next: 09:30:00 ada — S2 (calendar team)", "next: 10:00:00 ada — S3 (calendar team)", "next: 2026-02-01 09:00 ada — S4 (calendar team)",
    ]  # fmt: skip
    assert terminal.values[0] == {
        "next": {"task": 2, "due_at": "2026-01-31T09:30:00.000Z", "agent": "ada", "title": "S2", "source": "calendar:team"}
    }  # fmt: skip
    assert await terminal.news() == []
    clock.go_on(1800)
    assert await terminal.news() == ["next: 2026-02-02 09:00 ada — S5 (calendar team)"]


async def test_one_that_moves_is_said_again_and_one_that_is_cancelled_makes_place(board: Board) -> None:
    terminal = Terminal(board)
    await board.write(plans("01-31T09:30", "01-31T10:00", "01-31T11:00", "01-31T12:00"))
    assert len(await terminal.news()) == 3
    await board.write(plans("01-31T09:45", "01-31T10:00", "01-31T11:00", "01-31T12:00"))
    assert await terminal.news() == ["next: 09:45:00 ada — S1 (calendar team)"]
    await board.write(lambda tx: verbs.cancel(tx, 2, actor="person:root", reason="no"))
    assert await terminal.news() == ["next: 12:00:00 ada — S4 (calendar team)"]


async def test_tasks_without_a_slot_are_not_the_calendars(board: Board) -> None:
    await board.write(lambda tx: scenes.post(tx, due_at="2026-01-31T10:00:00.000Z"))
    assert await Terminal(board).news() == []


async def test_it_looks_when_the_board_has_changed(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upcoming, "PAUSE_SECONDS", 0.0)
    terminal = Terminal(board)
    looking = asyncio.create_task(terminal.says.run())
    try:
        for number, time in enumerate(("10:00", "11:00"), 1):
            await board.write(plans(f"01-31T{time}"))
            async with asyncio.timeout(20):
                while len(terminal.lines) < number:
                    await asyncio.sleep(0.01)
    finally:
        looking.cancel()
    assert terminal.lines == ["next: 10:00:00 ada — S1 (calendar team)", "next: 11:00:00 ada — S1 (calendar team)"]


def test_a_title_is_one_short_line() -> None:
    slot = {"due_at": "2026-01-31T10:00:00.000Z", "agent": "ada", "title": "a\nb " + "c" * 99, "source": "api"}
    line = next_line(slot, "2026-01-31T09:00:00.000Z")
    assert line.startswith("next: 10:00:00 ada — a b ccc") and line.endswith("c… (api)") and len(line) < 90
