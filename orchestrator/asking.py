"""Sources that must be asked: each in a loop of its own, with a time limit, backed off while it does not answer.

When it is asked next stands on the board, so that a restart asks nobody early and nothing twice. One that hangs or
fails never holds another up, nor the tick. What is asked and what an answer means is the source's own affair.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable
from typing import Protocol

from blackboard import sources
from blackboard.board import Board, Tx
from blackboard.clock import seconds_until
from blackboard.errors import BlackboardError, Unavailable

log = logging.getLogger(__name__)

FIRST_WAIT = 5.0  # seconds after the first failure; it doubles
LOOK_AGAIN = 5.0  # when the board itself cannot be read or written


class NoAnswer(Exception):
    """A source gave no good answer: str() says why, in a sentence for people."""


class Source(Protocol):
    """What is asked. `every`: seconds between two good answers; `most_seconds`: for one of them, all in all.

    `look_every`: seconds between two questions whether it has changed; infinite where only asking can tell.
    """

    @property
    def name(self) -> str: ...
    @property
    def every(self) -> float: ...
    @property
    def most_seconds(self) -> float: ...
    @property
    def look_every(self) -> float: ...

    def changed(self) -> bool:
        """Whether asking before its time would give another answer. Blocking, cheap."""
        ...

    async def ask(self) -> bool:
        """Ask, bring the board up to the answer and say `sources.answered`, in one write; whether a task may have changed.

        NoAnswer, or an error of the board, when there was no good answer.
        """
        ...


class Asking:
    """Asks every source of one board."""

    def __init__(self, board: Board, all_sources: Iterable[Source], wake: Callable[[], None]) -> None:
        self._board = board
        self._sources = list(all_sources)
        self._wake = wake

    async def run(self) -> None:
        """Ask until cancelled."""
        await asyncio.gather(*(self._keep_asking(source) for source in self._sources))

    async def once(self) -> None:
        """Ask each one now, if its time has come."""
        await asyncio.gather(*(self._turn(source) for source in self._sources))

    async def _keep_asking(self, source: Source) -> None:
        while True:
            await self._turn(source)
            await asyncio.sleep(min(await self._left(source) or 0.05, source.look_every))

    async def _turn(self, source: Source) -> None:
        if await self._left(source) > 0 and not await asyncio.to_thread(source.changed):
            return
        try:
            async with asyncio.timeout(source.most_seconds):
                changed = await source.ask()
        except TimeoutError:
            await self._failed(source, f"no answer within {source.most_seconds:g} s")
        except (NoAnswer, BlackboardError) as error:
            await self._failed(source, str(error))
        except Exception as error:
            log.exception("%s: asking it failed", source.name)
            await self._failed(source, f"{type(error).__name__}: {error}")
        else:
            if changed:
                self._wake()

    async def _failed(self, source: Source, sentence: str) -> None:
        """Say so on the board. Where even that fails, the next look tries again."""
        try:
            await self._board.write(_failed, source.name, sentence, source.every)
        except (Unavailable, sqlite3.Error) as error:
            log.warning("%s: %s, and the board could not be told: %s", source.name, sentence, error)
            await asyncio.sleep(LOOK_AGAIN)

    async def _left(self, source: Source) -> float:
        """Seconds until it is to be asked."""
        try:
            row = await self._board.one(sources.FOUND, name=source.name)
        except sqlite3.Error:
            return LOOK_AGAIN
        if row is None or row["next_at"] is None:
            return 0.0
        left = seconds_until(self._board.clock.now(), row["next_at"])
        return left if left <= 2 * source.every else 0.0  # a clock that was set back must not silence it for days


def _failed(tx: Tx, name: str, sentence: str, every: float) -> None:
    sources.failed(tx, name, sentence, base=min(FIRST_WAIT, every), cap=every)
