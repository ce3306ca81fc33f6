"""Telling others where agents stand: each server of `[presence.NAME]` with a url, each agent, whenever it changes.

Each server has a loop of its own: one that hangs or fails holds nobody up, and its own rounds never overlap. What it
was told stands on the board, written after it said yes. Whatever is told late or lost changes no claim.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping

from blackboard import presence, presence_pushes
from blackboard.board import Board
from blackboard.errors import BlackboardError
from orchestrator import config_presence, web
from orchestrator.asking import NoAnswer
from orchestrator.bearer import Bearer
from orchestrator.config import Settings
from orchestrator.config_presence import PresenceConfig
from orchestrator.machine import room
from orchestrator.waiting import first_of

log = logging.getLogger(__name__)

AT_ONCE = 8  # calls of one server
LEAST_SECONDS = 1.0  # between two rounds
FAREWELL_SECONDS = 5.0  # for telling that all are offline, however many servers there are
MOST_BYTES = 1024 * 1024  # of an answer that nobody reads


class Sink:
    """One server that is told."""

    def __init__(self, name: str, config: PresenceConfig, board: Board, settings: Settings) -> None:
        self.name = name
        self.called = config.called(settings.agents)  # by agent: its name there
        self._config = config
        self._board = board
        self._settings = settings
        self._bearer = Bearer(config.token_file, config.token_command)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._changed = asyncio.Event()
        self._in_round = False
        self._began = False
        self._fault = ""

    def kick(self) -> None:
        """Somebody's presence has changed: look now."""
        self._changed.set()

    async def run(self) -> None:
        """Tell it until cancelled, the first time at once."""
        self._began = True
        while True:
            self._changed.clear()
            try:
                await self.round()
                self._fault = ""
            except Exception as error:
                if self._fault != str(error):
                    expected = isinstance(error, BlackboardError | sqlite3.Error)
                    log.warning("presence:%s: a round failed: %s", self.name, error, exc_info=not expected)
                self._fault = str(error)
            await asyncio.sleep(min(LEAST_SECONDS, self._config.every_seconds))
            await first_of(self._changed.wait(), within=self._config.every_seconds)

    async def round(self) -> None:
        """Tell what has changed, what failed before, and what it has not heard for long. Does nothing beside another round."""
        if self._in_round:
            return
        self._in_round = True
        try:
            now = self._board.clock.now()
            found = await self._board.read(presence.to_tell, now, room(self._settings, now))
            config = self._config
            wanted = {
                agent: config.word(found[agent].word)
                for agent in self.called
                if agent in found and found[agent].word in config.push
            }
            due = await self._board.read(presence_pushes.due, self.name, wanted, now, config.full_every_seconds)
            await self._tell(due)
        finally:
            self._in_round = False

    async def farewell(self) -> None:
        """Tell it that all it knows of are offline. Bounded by the caller."""
        if not self._began or "offline" not in self._config.push:
            return
        self._began = False
        known = await self._board.write(presence_pushes.leaving, self.name)
        await self._tell({agent: self._config.word("offline") for agent in known if agent in self.called})

    async def _tell(self, words: Mapping[str, str]) -> None:
        done = await asyncio.gather(
            *(self._tell_one(agent, word) for agent, word in words.items()), return_exceptions=True
        )
        for each in done:  # all of them are over by now: the next round meets none of this one
            if isinstance(each, BaseException):
                raise each

    async def _tell_one(self, agent: str, word: str) -> None:
        """Tell one word; what fails is told and tried again, and holds nobody else up."""
        async with self._places:
            try:
                await self._push(agent, word)
            except NoAnswer as error:
                every = self._config.every_seconds
                await self._board.write(presence_pushes.failed, self.name, agent, str(error), every)
            else:
                await self._board.write(presence_pushes.taken, self.name, agent, word)

    async def _push(self, agent: str, word: str) -> None:
        """One call; a second one at once when the token is refused, with what the token is by then."""
        header, number = await self._bearer.header()
        answer = await self._call(agent, word, header)
        if answer.status in (401, 403) and self._bearer.can_be_renewed:
            header, _ = await self._bearer.header(refused=number)
            answer = await self._call(agent, word, header)
        if not 200 <= answer.status < 300:
            hint = ": it does not take the token" if answer.status in (401, 403) else ""
            raise NoAnswer(f"it answers {answer.status}{hint}")

    async def _call(self, agent: str, word: str, header: Mapping[str, str]) -> web.Answered:
        url = config_presence.filled(str(self._config.url), self.called[agent])
        body = {"status": word, "source": self._config.source}
        headers = {**self._config.named(self.called[agent]), **header}
        return await web.ask(
            self._config.method, url, headers=headers, body=body, seconds=self._config.timeout_seconds, most_bytes=MOST_BYTES
        )  # fmt: skip


class Sinks:
    """All servers that are told."""

    def __init__(self, board: Board, settings: Settings) -> None:
        self._board = board
        self.all = [Sink(name, each, board, settings) for name, each in settings.presence.items() if each.url]

    def __bool__(self) -> bool:
        return bool(self.all)

    def kick(self) -> None:
        """Somebody's presence has changed."""
        for sink in self.all:
            sink.kick()

    async def start(self) -> None:
        """Forget what targets were told that the configuration does not name any more."""
        named = {(agent, sink.name) for sink in self.all for agent in sink.called}
        await self._board.write(presence_pushes.forget_others, named)

    async def run(self) -> None:
        """Tell all of them until cancelled."""
        await asyncio.gather(*(sink.run() for sink in self.all))

    async def farewell(self) -> None:
        """Tell all of them that nobody is there any more, as far as they listen."""
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await asyncio.gather(*(sink.farewell() for sink in self.all))
        except (TimeoutError, BlackboardError, sqlite3.Error) as error:
            log.warning("not all that are told presences heard that this daemon ends: %s", error or "no answer in time")
