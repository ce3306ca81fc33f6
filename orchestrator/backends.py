"""Calendar backends as sources of slots: asked for what changed, or for everything when that does not fit.

What an answer does to the board is blackboard/backends.py; what is said to a backend is orchestrator/backend_calls.py.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from blackboard import backends, sources, synced
from blackboard.board import Board
from blackboard.errors import Conflict, Invalid
from blackboard.write_backs import row_name
from orchestrator.asking import NoAnswer, Source
from orchestrator.backend_agents import Agents
from orchestrator.backend_calls import SECONDS, Calls, TokenRefused
from orchestrator.config import Settings
from orchestrator.config_backends import BackendConfig

log = logging.getLogger(__name__)

KIND = "backend"
MOST = 5_000  # slots in one answer: the board takes them in at once, and nobody else writes meanwhile


def backend_of(name: str, config: BackendConfig, settings: Settings) -> backends.Backend:
    """A backend as the board needs it."""
    return backends.Backend(
        source=f"{KIND}:{name}", project=config.project or settings.slots.project or settings.projects[0].id,
        time_zone=config.time_zone, every=config.sync_seconds, good_for=config.max_schedule_age_seconds, agents=config.agents,
    )  # fmt: skip


class Schedule:
    """The schedule of one backend."""

    look_every = float("inf")

    def __init__(self, name: str, config: BackendConfig, board: Board, settings: Settings) -> None:
        self._backend = backend_of(name, config, settings)
        self.name = self._backend.source
        self.every = config.sync_seconds
        self.most_seconds = 3 * SECONDS
        self._calls = Calls(config)
        self._board = board
        self._policies = settings.policies()

    def changed(self) -> bool:
        """Only asking can tell."""
        return False

    async def ask(self) -> bool:
        """Ask since the last token; for everything, at once and once, when that answer does not fit."""
        state = await self._board.read(sources.state_of, self.name)
        token = backends.since(state, self._backend, self._board.clock.now())
        if token is not None:
            try:
                return await self._bring(await self._calls.sync(token), token)
            except (TokenRefused, Invalid, Conflict) as error:
                log.info("%s: asked for everything: %s", self.name, error)
        return await self._bring(await self._calls.sync(None), None)

    async def _bring(self, document: Any, token: str | None) -> bool:
        answer = await asyncio.to_thread(synced.read, document)
        if (size := _size(answer)) > MOST:
            raise Invalid(f"it tells of {size} slots at once, and {MOST} are the most: that is no schedule of work")
        if token is None and answer.schedules is None:
            raise NoAnswer("it was asked for everything and answers only with what changed")
        taken = await self._board.write(backends.answered, self._backend, answer, token, self._policies)
        return bool(taken.tasks or taken.changed or taken.removed)


def _size(answer: synced.Answer) -> int:
    return len(answer.changes) + sum(len(slots) for slots in (answer.schedules or {}).values())


class Heartbeat:
    """Says to one backend that we live."""

    look_every = float("inf")
    most_seconds = SECONDS

    def __init__(self, name: str, config: BackendConfig, board: Board) -> None:
        self.name = f"{KIND}:{name}:heartbeat"
        self.every = config.heartbeat_seconds
        self._calls = Calls(config)
        self._board = board

    def changed(self) -> bool:
        """It is said when its time has come."""
        return False

    async def ask(self) -> bool:
        """Say it once."""
        await self._calls.heartbeat()
        await self._board.write(sources.answered, self.name, every=self.every)
        return False


def all_of(board: Board, settings: Settings) -> list[Source]:
    """Everything that is asked or said in turn, for every backend of the configuration."""
    made: list[Source] = []
    for name, config in settings.backends.items():
        made += [
            Schedule(name, config, board, settings),
            Heartbeat(name, config, board),
            Agents(name, config, board, settings),
        ]
    return made


def names(settings: Settings) -> list[str]:
    """What `all_of` calls them, and what is told to them."""
    told = [row_name(f"{KIND}:{name}") for name, config in settings.backends.items() if config.write_back]
    return [*(f"{KIND}:{name}{part}" for name in settings.backends for part in ("", ":heartbeat", ":agents")), *told]
