"""A calendar that costs too much: its reading ends at its limit or with the daemon, and nothing of it is left."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from blackboard.errors import Invalid
from orchestrator import calendar_reading
from orchestrator.asking import NoAnswer
from tests.test_calendar_week import WEEK, event, ics

WINDOW: dict[str, Any] = {"zone": ZoneInfo("UTC"), "begin": WEEK, "until": WEEK + timedelta(days=36)}
NEVER = "\nRRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30"  # looked for until the year 9999
ENDLESS = ics(*(event(f"e{number}", "19000101T000000Z", NEVER) for number in range(20)))


def readers() -> list[int]:
    """The processes of ours that read a calendar."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(file.read_text().rpartition(")")[2].split()[1])
            words = file.with_name("cmdline").read_bytes()
        except OSError:  # gone meanwhile
            continue
        if parent == os.getpid() and b"orchestrator.calendar_reading" in words:
            found.append(int(file.parent.name))
    return found


@asynccontextmanager
async def reading(text: bytes) -> AsyncIterator[asyncio.Task[Any]]:
    task = asyncio.create_task(calendar_reading.read(text, **WINDOW))
    while not readers():
        await asyncio.sleep(0.01)
    yield task


async def test_a_rule_without_end_is_left_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_reading, "SECONDS", 1.0)
    with pytest.raises(NoAnswer, match="longer than 1 s: a rule in it means too many times"):
        await calendar_reading.read(ENDLESS, **WINDOW)
    assert not readers()


async def test_nothing_reads_on_when_the_daemon_ends_meanwhile() -> None:
    async with reading(ENDLESS) as task:
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not readers()
    assert time.monotonic() - began < 5


async def test_a_reading_that_was_killed_is_one_sentence() -> None:
    async with reading(ENDLESS) as task:
        os.kill(readers()[0], signal.SIGKILL)
        with pytest.raises(NoAnswer, match="it could not be read: the reading ended with -9"):
            await task


async def test_a_long_text_counts_with_each_of_its_times() -> None:
    text = ics(event("e", "20260323T000000Z", "\nRRULE:FREQ=DAILY\nDESCRIPTION:" + "x" * 1_000_000))
    with pytest.raises(Invalid, match="say more than 16000000 characters in this window"):
        await calendar_reading.read(text, **WINDOW)


async def test_what_it_reads_is_what_is_there() -> None:
    text = ics(event("e", "20260323T090000Z", "\nDTEND:20260323T093000Z\nCATEGORIES:ada,bob\nX-BLACKBOARD-AGENT:ada"), event("bad", "no"))  # fmt: skip
    found = await calendar_reading.read(text, **WINDOW)
    (one,) = found.occurrences
    assert (one.uid, one.minutes, one.categories, dict(one.own)) == ("e", 30.0, ("ada", "bob"), {"agent": "ada"})
    assert datetime.fromisoformat(one.starts) == datetime(2026, 3, 23, 9, tzinfo=UTC)
    assert [which for which, _ in found.refused] == ["event bad (bad)"]
