"""What happens next: reconcile, take in slots, claim, spawn; then sleep until something can change.

Each step is isolated: one that fails is told and the others go on. Nothing is polled that can be waited for;
what cannot (another process's commit, a changed slot file) is looked at with the pauses of the configuration.

Read next: orchestrator/spawner.py (the prompt, the program).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from blackboard import (
    claims,
    contracts,
    families,
    heartbeat_runs,
    journal,
    presence,
    repeating,
    reviews,
)
from blackboard.board import Board, Rows, Tx
from blackboard.clock import seconds_between
from blackboard.days import day_of
from blackboard.errors import BlackboardError, Unavailable
from blackboard.tokens import digest, mint
from orchestrator import backends, heartbeating, rehearsal, succession
from orchestrator.asking import Asking, Source
from orchestrator.calendars import CalendarSource
from orchestrator.cleaning import Cleaner
from orchestrator.config import Settings
from orchestrator.machine import room
from orchestrator.monitor import Monitor
from orchestrator.noticing import Noticing
from orchestrator.presence_sinks import Sinks
from orchestrator.presence_sources import PresenceSource
from orchestrator.proving import Proving
from orchestrator.punctuality import Punctuality
from orchestrator.sources import SlotFiles
from orchestrator.spawner import Spawner
from orchestrator.state_folder import keep_to_one_board
from orchestrator.telling import Announce, Telling
from orchestrator.waiting import beside
from orchestrator.watch_pushing import Watches
from orchestrator.write_back import WriteBack

log = logging.getLogger(__name__)

CLAIMS_AT_ONCE = 16
CLEAN_SECONDS = 10.0  # between two looks whether the time of a workspace has come
MEMORY_PAUSE = 5.0  # seconds between two looks while nothing but other programs' memory holds a task
ALIVE_SECONDS = 60.0  # between two signs of life on the board: an outage is what comes after the last


class Orchestrator:
    """The loop over one board. `announce` is called with every event, after its commit, in order."""

    def __init__(self, board: Board, settings: Settings, *, base_url: str, announce: Announce | None = None) -> None:
        self._board = board
        self._settings = settings
        self._base_url = base_url
        self._telling = Telling(board, announce)
        self._woken = asyncio.Event()
        self._spawner = Spawner(board, settings, base_url)
        self._cleaner = Cleaner(board, settings, self._spawner.workspaces)
        self._monitor = Monitor(board, settings, self._spawner, self.wake)
        self._proving = Proving(board, settings, self.wake)
        self._sources = SlotFiles(
            board, settings.slots.files, project=settings.slots.project or settings.projects[0].id,
            time_zone=settings.slots.time_zone, policies=settings.policies(),
        )  # fmt: skip
        asked = [
            PresenceSource(name, each, board, settings) for name, each in settings.presence.items() if each.read_url
        ]
        self._standing = [each.name for each in asked]
        calendars = [CalendarSource(name, each, board, settings) for name, each in settings.calendars.items()]
        self._watches = Watches(board, settings, self.wake)
        every: list[Source] = [*calendars, *asked, *backends.all_of(board, settings), *self._watches.sources]
        self._asking = Asking(board, every, self.wake)
        self._sinks = Sinks(board, settings)
        self._write_back = WriteBack(board, settings)
        self._noticing = Noticing(board, settings)
        self._last_tick: float | None = None
        self._punctuality = Punctuality(settings.tick.foreign_poll_seconds)
        self._faults: dict[str, str] = {}
        self._rehearsing = False
        self._alive: float | None = None  # when the board was told last that somebody ticks
        self._team: list[tuple[object, ...]] | None = None  # as it was when all waiting reviews were looked at last

    def wake(self) -> None:
        """Something changed: look at once."""
        self._punctuality.want()
        self._woken.set()

    def stale_for(self) -> float | None:
        """Seconds since the last whole tick; None before the first."""
        return None if self._last_tick is None else self._board.clock.boot() - self._last_tick

    def lateness(self) -> Mapping[str, float]:
        """How late the loop's steps are, in seconds; late is more than `tick.foreign_poll_seconds`, its shortest period."""
        return self._punctuality.told()

    async def start(self) -> None:
        """Take the board over: fix the address, carry on what was left undone, adopt what lives."""
        await asyncio.to_thread(keep_to_one_board, self._settings, self._board.board_id)
        await succession.fix_base_url(self._board, self._base_url, self._monitor.living)
        await self._telling.begin()
        await self._write_back.start()
        await self._noticing.start()
        await succession.carry_on(self._board, self._settings, presence_of=self._standing)
        await self._sinks.start()
        await self._watches.start()
        await succession.sweep_uploads(self._board, self._settings)
        await self._board.foreign_commits()

    async def run(self) -> None:
        """Tick until cancelled."""
        tick = self._settings.tick
        await self._step("heartbeats", partial(heartbeating.spread, self._board))
        async with beside(
            self._every(tick.foreign_poll_seconds, self._look_around),
            self._every(tick.source_poll_seconds, self._take_in),
            self._sinks.run(),
            self._sweeping(),
            self._asking.run(),
            self._watches.run(),
            self._write_back.run(),
            self._noticing.run(),
        ):
            while True:
                self._woken.clear()
                with self._punctuality.step():
                    more = await self.tick()
                await self._sleep(more=more)

    async def once(self, *, dry_run: bool = False) -> None:
        """One pass; then wait until everything it started is gone. A dry run starts nothing."""
        if dry_run:
            self._rehearsing = True
            await self._step("slots", self._take_in)
            await self._step("dry run", partial(rehearsal.rehearse, self._board, self._settings, self._spawner))
        else:
            await self._step("sources", self._asking.once)
            await self._step("watches", self._watches.once)
            while await self.tick():
                pass
            async with beside(
                self._every(self._settings.tick.foreign_poll_seconds, self._look_around), self._reconciling()
            ):
                await self._monitor.quiet()
                await self._proving.quiet()
            await self._step("heartbeats", partial(heartbeating.settle, self._board))
            await self._step("write back", self._write_back.once)
            await self._step("notices", self._noticing.once)
        await self._telling.tell()

    async def _reconciling(self) -> None:
        """After the one pass: nothing more is claimed, but what ends on the board is seen."""
        while True:
            self._woken.clear()
            await self._step("reconcile", self._monitor.reconcile)
            await self._step("prove", self._proving.reconcile)
            await self._woken.wait()

    async def stop(self, on_exit: str = "stop") -> None:
        """End what lives (`stop`) or leave it for the next start (`leave`). A dry run has nothing of its own to end."""
        ends = on_exit == "stop" and not self._rehearsing
        ending = self._monitor.stop() if ends else self._monitor.leave()
        hooks = [self._cleaner.stop()] if ends else []
        await asyncio.gather(
            self._proving.stop(), ending, self._sinks.farewell(), self._noticing.stop(), *hooks
        )  # checks are never left: the next start runs them again
        self._spawner.close()
        await self._telling.tell()

    async def tick(self) -> bool:
        """One pass. True when there is certainly more to do at once."""
        await self._step("reconcile", self._monitor.reconcile)
        await self._step("prove", self._proving.reconcile)
        if self._last_tick is None or self._sources.new_day():
            await self._step("slots", self._take_in)
        await self._step("contracts", self._keep_contracts)
        await self._step("heartbeats", partial(heartbeating.beat, self._board, self._settings))
        more = bool(await self._step("claim", self._claim))
        await self._step("presence", self._note_presence)
        await self._step("tell", self._telling.tell)
        await self._step("lateness", self._raise_alarm)
        self._last_tick = self._board.clock.boot()
        return more

    async def _sweeping(self) -> None:
        """Clean at the start, and for ever after."""
        while True:
            await self._step("workspaces", self._cleaner.sweep)
            await asyncio.sleep(CLEAN_SECONDS)

    # --- steps ------------------------------------------------------------------------------------------

    async def _step(self, name: str, step: Callable[[], Awaitable[Any]]) -> Any:
        """Run one step. Its failure is an event, once as long as it stays the same, and never ends the loop."""
        try:
            result = await step()
        except Exception as error:
            await self._fault(name, error)
            return None
        self._faults.pop(name, None)
        return result

    async def _fault(self, name: str, error: Exception) -> None:
        sentence = f"{name}: {type(error).__name__}: {error}"
        if self._faults.get(name) == sentence:
            return
        self._faults[name] = sentence
        log.error("a step of the tick failed: %s", sentence, exc_info=not isinstance(error, BlackboardError))
        if not isinstance(error, Unavailable):
            try:
                await self._board.write(_tell_fault, sentence)
            except (BlackboardError, sqlite3.Error):
                log.exception("the fault could not be told")

    async def _keep_contracts(self) -> None:
        """What slots promised: the next day's times, what was missed, what overlaps."""
        now = self._board.clock.now()
        if await self._board.read_first(repeating.ending, now):
            await self._board.write(repeating.go_on, self._settings.policies())
        if await self._board.read_first(contracts.broken, now):
            await self._board.write(contracts.keep)
        if self._alive is None or self._board.clock.boot() - self._alive >= ALIVE_SECONDS:
            await self._board.write(contracts.alive)
            self._alive = self._board.clock.boot()

    async def _note_presence(self) -> None:
        """Tell where agents stand now, if that has changed; those who are told look at it at once."""
        bounds = room(self._settings, self._board.clock.now())
        if await self._board.read_first(presence.to_note, self._board.clock.now(), bounds, bool(self._sinks)):
            await self._board.write(presence.note, bounds, bool(self._sinks))
            self._sinks.kick()

    async def _claim(self) -> bool:
        """Claim for every free agent and begin the attempts; whether more may be claimable at once."""
        tokens = [mint() for _ in range(CLAIMS_AT_ONCE)]
        team = await self._board.read_first(reviews.team)
        sweep, self._team = team != self._team, team  # before the write: a foreign commit beside it makes it None again
        try:
            claimed = await self._board.write(
                claims.claim_due,
                [digest(token) for token in tokens],
                room(self._settings, self._board.clock.now()),
                sweep,
            )
        except BaseException:
            self._team = None
            raise
        for attempt_id, token in zip(claimed, tokens, strict=False):
            self._monitor.begin(attempt_id, token)
        return len(claimed) == CLAIMS_AT_ONCE

    async def _take_in(self) -> None:
        if await self._sources.take_in():
            self.wake()

    async def _look_around(self) -> None:
        """Notice commits of others (an operator's SQL), and tell what happened since."""
        if await self._board.foreign_commits():
            await self._board.write(families.sweep)
            self._team = None  # it may have changed what a review waits for
            self.wake()
        await self._telling.tell()

    async def _raise_alarm(self) -> None:
        """Tell that the loop cannot keep up, once until it can again."""
        if (sentence := self._punctuality.alarm()) is not None:
            log.warning("the tick is late: %s", sentence)
            await self._board.write(_tell_late, sentence)

    # --- sleeping ---------------------------------------------------------------------------------------

    async def _every(self, seconds: float, step: Callable[[], Awaitable[Any]]) -> None:
        while True:
            with self._punctuality.after(seconds):
                await asyncio.sleep(seconds)
                await self._step(step.__name__.strip("_"), step)

    async def _sleep(self, *, more: bool) -> None:
        """Until the next task is due, something wakes us, or the longest pause is over."""
        pause = 0.0 if more else 1.0 if self._faults else await self._pause()
        self._punctuality.want(pause)
        if more:
            return
        try:
            async with asyncio.timeout(pause):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _pause(self) -> float:
        now = self._board.clock.now()
        midnight = day_of(now, self._settings.budget.time_zone).until  # what was spent before it counts no more
        longest = min(
            self._settings.tick.longest_pause_seconds,
            self._sources.next_day_in(),
            seconds_between(now, midnight) + 0.0005,
        )
        try:
            due = await self._board.read_first(_next_time, self._board.clock.now())
            if await self._board.read_first(claims.held_by_memory, now, room(self._settings, now)):
                longest = min(longest, MEMORY_PAUSE)
        except sqlite3.Error:
            return 1.0
        if due is None:
            return longest
        try:
            left = seconds_between(self._board.clock.now(), due)
        except ValueError:  # an operator's SQL has put there what is no time: `orchestrator doctor` says where
            return 1.0
        return min(longest, max(0.0, left + 0.0005))


def _next_time(rows: Rows, now: str) -> str | None:
    found = (claims.next_time(rows, now), heartbeat_runs.next_time(rows))
    return min(filter(None, found), default=None)


def _tell_fault(tx: Tx, sentence: str) -> None:
    journal.tell(tx, "step_failed", actor="engine:tick", reason=sentence)


def _tell_late(tx: Tx, sentence: str) -> None:
    journal.tell(tx, "tick_late", actor="engine:tick", reason=sentence)
