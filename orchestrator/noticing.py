"""Notices on their way: from events to notices, from notices to the sinks they are for, and from there out.

All of it is on the board first, so that a kill -9 loses nothing: what was being sent is sent again under the same id.
Each sink has a loop of its own: one that hangs or fails holds nobody up, and gets what it missed in order.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3

from blackboard import deliveries, notice_events, notice_routes
from blackboard.board import Board, Rows
from blackboard.clock import plus, seconds_until
from blackboard.errors import BlackboardError
from orchestrator.asking import NoAnswer
from orchestrator.config import Settings
from orchestrator.config_sinks import SinkConfig, folder_of
from orchestrator.sinks import commands
from orchestrator.sinks.message import Message, Part
from orchestrator.sinks.table import way_of
from orchestrator.sinks.way import Closed, Later
from orchestrator.sinks.webhooks import MOST_WAIT

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0  # the longest without a look, whatever wakes it
PAUSE_SECONDS = 0.2  # between two looks, however much happens
TROUBLE_SECONDS = 5.0  # when the board itself cannot be read or written
SETTLING_SECONDS = 30.0  # after a start: what only lasted because nobody looked is over by then
DROP_SECONDS = 3600.0  # between two looks at what is old
BEYOND_SECONDS = 30.0  # that a way may take over its limit, to end what it started
DAY = 86400.0
MOST_QUIET = 27 * 3600.0  # seconds: nearly a day, and what a change of the clock adds


class Noticing:
    """All notices of one board."""

    def __init__(self, board: Board, settings: Settings) -> None:
        self._board = board
        self._keep_days = settings.notices.keep_days
        self._routes = {name: config.route() for name, config in settings.sinks.items()}
        self.sinks = [Sink(name, config, board, settings) for name, config in settings.sinks.items()]
        self._programs = folder_of(settings.state_dir)
        self._seen = 0  # events up to here were looked at
        self._dropped: float | None = None

    async def start(self) -> None:
        """Before anything else happens: from here on nothing that happens is missed."""
        await self._board.write(notice_events.begin)
        await self._board.write(deliveries.forget_others, list(self._routes))
        running = [sink.name for sink in self.sinks if sink.runs_programs]
        await commands.end_unwanted(self._programs, self._board, running)

    async def run(self) -> None:
        """Tell until cancelled."""
        await asyncio.gather(self._posting(), *(sink.run() for sink in self.sinks))

    async def once(self) -> None:
        """Post what is to be told, and tell it as far as it is taken now."""
        await self.post()
        await asyncio.gather(*(sink.turn() for sink in self.sinks))

    async def stop(self) -> None:
        """After `run` was cancelled: leave nothing behind that runs."""
        await asyncio.gather(*(sink.stop() for sink in self.sinks))

    async def _posting(self) -> None:
        began = self._board.clock.boot()
        while True:
            number = self._board.commits.number
            pause = LOOK_SECONDS
            try:
                await self.post(settling=self._board.clock.boot() - began < SETTLING_SECONDS)
            except (BlackboardError, sqlite3.Error) as error:
                log.warning("notices: %s", error)
                pause = TROUBLE_SECONDS
            except Exception:
                log.exception("notices: posting them failed")
                pause = TROUBLE_SECONDS
            await _after(self._board, number, pause)

    async def post(self, *, settling: bool = False) -> None:
        """Post what happened and what lasts too long, decide whom each notice reaches, and drop what is old.

        `settling`: what lasts is not looked at yet.
        """
        board, now = self._board, self._board.clock.now()
        news = await board.read(notice_events.news, self._seen)
        if news.told:
            while (reached := await board.write(notice_events.gather)) is None:
                pass
            self._seen = reached
        else:
            self._seen = max(self._seen, news.last)
        lasts = {} if settling else await board.read(notice_events.lasting, now)
        if lasts:
            await board.write(notice_events.post_lasting)
        if await board.read(notice_routes.waiting):
            while await board.write(notice_routes.route, self._routes):
                pass
        if await board.read(deliveries.unnamed, self._routes):
            await board.write(deliveries.leave, list(self._routes))
        await self._drop_old()

    async def _drop_old(self) -> None:
        boot = self._board.clock.boot()
        if self._dropped is not None and boot - self._dropped < DROP_SECONDS:
            return
        before = plus(self._board.clock.now(), -self._keep_days * DAY)
        while await self._board.read(deliveries.old, before):
            await self._board.write(deliveries.drop_old, before)
        self._dropped = boot


class Sink:
    """One sink: what waits for it goes out, one message after the other."""

    def __init__(self, name: str, config: SinkConfig, board: Board, settings: Settings) -> None:
        self.name = name
        self._config = config
        self._board = board
        self._way = way_of(name, config, board, settings)
        self._quiet = config.route().quiet
        self._turn = asyncio.Lock()

    @property
    def runs_programs(self) -> bool:
        """Whether a message is told by a program, which outlives a killed daemon."""
        return isinstance(self._way, commands.CommandWay)

    async def run(self) -> None:
        """Tell it until cancelled."""
        while True:
            number = self._board.commits.number
            try:
                pause = await self.turn()
            except (BlackboardError, sqlite3.Error) as error:
                log.warning("sink %s: %s", self.name, error)
                pause = TROUBLE_SECONDS
            except Exception:
                log.exception("sink %s: telling it failed", self.name)
                pause = TROUBLE_SECONDS
            await _after(self._board, number, pause)

    async def turn(self) -> float:
        """Tell what its time has come for; seconds until the next look."""
        async with self._turn:
            while True:
                now = self._board.clock.now()
                # What waits since before they began, for a sink that was away or while we were, waits until they end, too.
                quiet = self._quiet is not None and self._quiet.holds(now)
                head = await self._board.read(deliveries.head, self.name, urgent=quiet)
                if head is None:
                    return LOOK_SECONDS
                left = seconds_until(now, head.next_at)
                if 0 < left <= self._longest(head):
                    return min(left, LOOK_SECONDS)
                await self._next(max(now, head.next_at), urgent=quiet)

    def _longest(self, head: deliveries.Head) -> float:
        """The longest wait that we would have said; one that is longer is of a clock that was set back since, and is over."""
        config = self._config
        if head.message is not None:
            return 2 * config.retry_most_seconds + (MOST_WAIT if config.type == "webhook" else 0.0)
        return 2 * config.digest_seconds + (MOST_QUIET if self._quiet is not None else 0.0)

    async def stop(self) -> None:
        """Leave nothing behind that runs."""
        await self._way.stop()

    async def _next(self, until: str, *, urgent: bool) -> None:
        """One try of one message; `urgent`: only of one that is."""
        board, digest = self._board, self._config.digest_seconds > 0
        which = await board.write(
            deliveries.begin, self.name, board.board_id, digest=digest, until=until, urgent=urgent
        )
        message = await board.read(read, self.name, which) if which is not None else None
        if message is None:
            return  # it was settled meanwhile
        try:
            await self._send(message)
        except Closed as error:
            await board.write(deliveries.closed, self.name, message.id, str(error))
        except NoAnswer as error:
            after = error.seconds if isinstance(error, Later) else 0.0
            await board.write(deliveries.failed, self.name, message.id, str(error), self._config.retry, after=after)
        else:
            await board.write(deliveries.delivered, self.name, message.id)

    async def _send(self, message: Message) -> None:
        """NoAnswer when it was not taken, whatever the reason."""
        try:
            async with asyncio.timeout(self._config.timeout_seconds + BEYOND_SECONDS):
                await self._way.send(message)
        except TimeoutError:
            raise NoAnswer(f"it did not take it within {self._config.timeout_seconds:g} s") from None
        except (NoAnswer, sqlite3.Error):
            raise
        except BlackboardError as error:
            raise NoAnswer(error.sentence) from None
        except Exception as error:
            log.exception("sink %s", self.name)
            raise NoAnswer(f"{type(error).__name__}: {error}") from None


def read(rows: Rows, sink: str, which: str) -> Message | None:
    """A message as it stands on the board; None when nothing of it waits any more."""
    found = deliveries.parts(rows, sink, which)
    if not found:
        return None
    parts = [Part(row, deliveries.repeated_before(rows, sink, row)) for row in found]
    head = found[0]
    return Message(which, sink, parts, number=head["delivery"], tries=head["failures"], due=head["next_at"])


async def _after(board: Board, number: int, pause: float) -> None:
    """Until the board has changed, at most so long; not at once, so that what happens together is looked at together."""
    await asyncio.sleep(min(PAUSE_SECONDS, pause))
    try:
        async with asyncio.timeout(pause):
            await board.commits.after(number)
    except TimeoutError:
        pass
