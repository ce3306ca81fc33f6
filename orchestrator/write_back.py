"""Tells calendar backends how their slots are doing: what is queued on the board, in order for each slot, until it is taken.

Wakes when the board changes; never holds up the tick. One backend that is away holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from typing import Any

from blackboard import sources, write_backs
from blackboard.board import Board
from blackboard.clock import seconds_between
from blackboard.errors import BlackboardError
from orchestrator.asking import NoAnswer
from orchestrator.backend_calls import Calls, Said, refusal
from orchestrator.config import Settings
from orchestrator.config_backends import BackendConfig

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0  # the longest without a look, whatever wakes it
PAUSE_SECONDS = 0.2  # between two looks, however much happens
AWAY = frozenset({401, 403, 429, 502, 503, 504})  # of the backend, not of this slot
LATER = frozenset({408, 425})  # and every 5xx and 3xx


class WriteBack:
    """All backends of the configuration that want to be told."""

    def __init__(self, board: Board, settings: Settings) -> None:
        self._backends = [
            _Backend(f"backend:{name}", config, board)
            for name, config in settings.backends.items()
            if config.write_back
        ]

    async def start(self) -> None:
        """Before anything else happens: from here on nothing that happens to a slot is missed."""
        for backend in self._backends:
            await backend.start()

    async def run(self) -> None:
        """Tell until cancelled."""
        await asyncio.gather(*(backend.run() for backend in self._backends))

    async def once(self) -> None:
        """Tell what can be told now."""
        await asyncio.gather(*(backend.turn() for backend in self._backends))


class _Backend:
    """One of them."""

    def __init__(self, source: str, config: BackendConfig, board: Board) -> None:
        self._source = source
        self._config = config
        self._board = board
        self._calls = Calls(config)

    async def start(self) -> None:
        await self._board.write(write_backs.begin, self._source)

    async def run(self) -> None:
        while True:
            number = self._board.commits.number
            pause = await self.turn()
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                async with asyncio.timeout(pause):
                    await self._board.commits.after(number)
            except TimeoutError:
                pass

    async def turn(self) -> float:
        """Gather and tell; the longest pause until the next turn, in seconds."""
        try:
            while await self._board.read(write_backs.news, self._source):
                await self._board.write(write_backs.gather, self._source)
            return await self._tell()
        except NoAnswer as error:
            await self._away(str(error))
        except (BlackboardError, sqlite3.Error) as error:
            log.warning("%s: telling it failed: %s", self._source, error)
        except Exception as error:
            log.exception("%s: telling it failed", self._source)
            await self._away(f"{type(error).__name__}: {error}")
        return FAILED_SECONDS

    async def _tell(self) -> float:
        """Tell of every slot what its time has come for; seconds until the next one's. NoAnswer."""
        if (left := await self._left()) > 0:
            return min(left, LOOK_SECONDS)
        pause, told = LOOK_SECONDS, True
        while told:
            told = False
            for row in await self._board.read(write_backs.waiting, self._source):
                wait = seconds_between(self._board.clock.now(), row["next_at"]) if row["next_at"] else 0.0
                if 0 < wait <= 2 * self._config.sync_seconds:
                    pause = min(pause, wait)
                else:
                    told |= await self._one(row)
        return pause

    async def _one(self, row: sqlite3.Row) -> bool:
        """Tell one thing; whether it is off the queue."""
        answer = await self._calls.update(self._config.theirs(row["agent_id"]), row["uid"], write_backs.body(row))
        every = self._config.sync_seconds
        if 200 <= answer.status < 300:
            await self._board.write(write_backs.taken, row["id"], _number(answer), every)
            return True
        if answer.status in AWAY:
            raise NoAnswer(refusal(answer.status))
        sentence = f"it answers {answer.status}{_detail(answer)} to {row['uid']} is {row['status']}"
        making_it = row["uid"].startswith("virtual:") and answer.status in (404, 409, 410)
        if (
            not 400 <= answer.status < 500
            or answer.status in LATER
            or (making_it and row["failures"] < write_backs.VIRTUAL_TRIES)
        ):
            await self._board.write(write_backs.postponed, row["id"], sentence, every)
            return False
        await self._board.write(write_backs.refused, row["id"], sentence)
        return True

    async def _left(self) -> float:
        """Seconds until it may be told anything again."""
        row = await self._board.read(sources.found, write_backs.row_name(self._source))
        if row is None or row["next_at"] is None or not row["failures"]:
            return 0.0
        left = float(seconds_between(self._board.clock.now(), row["next_at"]))
        return left if left <= 2 * self._config.sync_seconds else 0.0  # a clock that was set back

    async def _away(self, sentence: str) -> None:
        try:
            await self._board.write(write_backs.away, self._source, sentence, self._config.sync_seconds)
        except (BlackboardError, sqlite3.Error) as error:
            log.warning("%s: %s, and the board could not be told: %s", self._source, sentence, error)


# Until the next look after one that failed; what is told to the backend is backed off on the board.
FAILED_SECONDS = 1.0


def _number(answer: Said) -> int | None:
    """The id that the slot has now, where the answer says one."""
    document: Any = answer.document
    if isinstance(document, dict) and isinstance(document.get("slot"), dict):
        document = document["slot"]
    number = document.get("id") if isinstance(document, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _detail(answer: Said) -> str:
    detail = answer.document.get("detail") if isinstance(answer.document, dict) else None
    if not isinstance(detail, str):
        return ""
    return f" ({detail[:200].encode('utf-8', 'replace').decode()})"  # half a surrogate pair is no text to keep
