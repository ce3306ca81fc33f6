"""Calendars as sources of slots: each asked in its own loop, its last good text kept, its events put on the board.

A text that is the same still moves the window on: tomorrow's occurrences become tasks without a new answer. What an
event that left or was cancelled does to its tasks is the affair of blackboard/slots.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from blackboard import feed, journal, slots, sources
from blackboard.board import Board, Tx
from blackboard.clock import from_text, to_text
from orchestrator import calendar_reading, calendar_slots, config_calendars, web
from orchestrator.asking import NoAnswer
from orchestrator.bearer import authorization
from orchestrator.config import Settings
from orchestrator.config_calendars import CalendarConfig
from orchestrator.sources import stamp

BEHIND = timedelta(days=1)  # what began earlier is not looked at any more
AHEAD = timedelta(days=35)
LOOK_SECONDS = 5.0  # between two looks whether a file has changed
AGAIN_SECONDS = 6 * 3600.0  # a calendar that stays the same: until its window moves on
MOST_BYTES = 32 * 1024 * 1024
MOST_SECONDS = 120.0
ACCEPT = {"Accept": "text/calendar, */*;q=0.5"}


class CalendarSource:
    """One calendar of the configuration."""

    def __init__(self, name: str, config: CalendarConfig, board: Board, settings: Settings) -> None:
        self.name = f"calendar:{name}"
        self.every = config.every_seconds if config.url else AGAIN_SECONDS
        self.look_every = LOOK_SECONDS if config.file else float("inf")
        self.most_seconds = MOST_SECONDS
        self._short = name
        self._config = config
        self._board = board
        self._settings = settings
        self._stamp: tuple[int, int, int] | None = None  # of the file, when it was read last
        self._kept = config_calendars.folder(settings.state_dir) / f"{name}.ics"

    def changed(self) -> bool:
        """Whether its file is another one than it was."""
        return self._config.file is not None and stamp(self._config.file) != self._stamp

    async def ask(self) -> bool:
        """Read it, and bring the board up to it where it or its window is another one."""
        state = await self._board.read(sources.state_of, self.name)
        text, headers = await self._text(state)
        now = from_text(self._board.clock.now())
        known = {"sha256": hashlib.sha256(text).hexdigest(), "config": self._fingerprint(), **headers}
        expanded = state.get("expanded_at")
        fresh = expanded is not None and 0 <= (now - from_text(expanded)).total_seconds() < AGAIN_SECONDS
        if fresh and {**state, **known} == state:
            await self._board.write(_unchanged, self.name, state, self.every, self._config.max_schedule_age_seconds)
            return False
        found = await calendar_reading.read(
            text, zone=ZoneInfo(self._config.time_zone), begin=now - BEHIND, until=now + AHEAD,
            all_day_at=self._config.day_begins,
        )  # fmt: skip
        if self._config.url:
            await asyncio.to_thread(_keep, self._kept, text)
        records, refused = calendar_slots.slots_of(
            self._short, found, self._config, self._settings.agents, await self._board.read(feed.mark)
        )
        project = self._config.project or self._settings.slots.project or self._settings.projects[0].id
        schedule = slots.Schedule(
            self.name, list(records), project, self._config.time_zone, complete=True, since=to_text(now - BEHIND)
        )
        state = {**known, "expanded_at": to_text(now), "refused": [f"{which}: {why}" for which, why in refused]}
        taken = await self._board.write(
            _answered, schedule, self._settings, state, self.every, self._config.max_schedule_age_seconds
        )
        return bool(taken.tasks or taken.changed or taken.removed)

    async def _text(self, state: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
        """The calendar's text as it is now, and what to ask with the next time."""
        if self._config.file is not None:
            self._stamp = await asyncio.to_thread(stamp, self._config.file)
            return await asyncio.to_thread(_read, self._config.file), {}
        kept = await asyncio.to_thread(_kept, self._kept)
        headers = dict(ACCEPT) | await asyncio.to_thread(authorization, self._config.token_file)
        if kept is not None and state.get("sha256") == hashlib.sha256(kept).hexdigest():
            headers |= {
                name: state[key]
                for name, key in (("If-None-Match", "etag"), ("If-Modified-Since", "modified"))
                if key in state
            }
        answer = await web.ask(
            "GET", str(self._config.url), headers=headers, seconds=self.most_seconds / 2, most_bytes=MOST_BYTES
        )
        if answer.status == 304 and kept is not None:
            return kept, {key: state[key] for key in ("etag", "modified") if key in state}
        if answer.status != 200:
            raise NoAnswer(f"it answers {answer.status}{_hint(answer.status)}")
        told = {"etag": answer.headers.get("etag"), "modified": answer.headers.get("last-modified")}
        return answer.body, {key: word for key, value in told.items() if (word := web.sendable(value)) is not None}

    def _fingerprint(self) -> str:
        """What else decides on the slots: another configuration is another schedule."""
        said = f"{self._config.model_dump_json(exclude={'url', 'token_file'})} {sorted(self._settings.agents)}"
        return hashlib.sha256(said.encode()).hexdigest()


def _answered(
    tx: Tx, schedule: slots.Schedule, settings: Settings, state: dict[str, Any], every: float, good_for: float | None
) -> slots.Taken:
    """Bring the board up to a calendar. Events that cannot be slots are told once as long as they are the same."""
    former = set(sources.state_of(tx, schedule.source).get("refused", []))
    sources.answered(tx, schedule.source, state=state, every=every, stale_after=good_for)
    for sentence in state["refused"]:
        if sentence not in former:
            journal.tell(tx, "slot_refused", actor=sources.ENGINE, reason=f"{schedule.source}: {sentence}")
    return slots.take_in(tx, schedule, settings.policies(), sources.ENGINE)


def _unchanged(tx: Tx, name: str, state: dict[str, Any], every: float, good_for: float | None) -> None:
    sources.answered(tx, name, state=state, every=every, stale_after=good_for)


async def fetched(config: CalendarConfig, seconds: float) -> bytes:
    """A calendar's text, asked for once; NoAnswer with a sentence."""
    if config.file is not None:
        return await asyncio.to_thread(_read, config.file)
    headers = dict(ACCEPT) | await asyncio.to_thread(authorization, config.token_file)
    answer = await web.ask("GET", str(config.url), headers=headers, seconds=seconds, most_bytes=MOST_BYTES)
    if answer.status != 200:
        raise NoAnswer(f"it answers {answer.status}{_hint(answer.status)}")
    return answer.body


def _hint(status: int) -> str:
    if status in (401, 403):
        return ": the address or its token is not good (any more)"
    return ": there is no calendar at this address" if status in (404, 410) else ""


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            text = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise NoAnswer(f"{file} cannot be read: {error.strerror}") from None
    if len(text) > MOST_BYTES:
        raise NoAnswer(f"{file} has more than {MOST_BYTES} bytes: that is no calendar")
    return text


def _kept(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _keep(file: Path, text: bytes) -> None:
    """Keep the last good text, for this user only and whole: it may be what a restart works with."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.tmp")
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(temporary, file)
