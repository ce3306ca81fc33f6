"""Tells a calendar backend where its agents stand: each when its word has changed, all of them now and then.

What was told is on the board, so that a restart tells nothing twice. Where an agent stands is blackboard/presence.py.
"""

from __future__ import annotations

from blackboard import presence, sources
from blackboard.board import Board
from blackboard.clock import seconds_between
from orchestrator.asking import NoAnswer
from orchestrator.backend_calls import SECONDS, Calls, ThisRefused
from orchestrator.config import Settings
from orchestrator.config_backends import BackendConfig
from orchestrator.machine import room

ALL_SECONDS = 3600.0  # after so long everybody's word is told again: the backend may have lost it


class Agents:
    """Where the agents stand that one backend plans for."""

    look_every = float("inf")

    def __init__(self, name: str, config: BackendConfig, board: Board, settings: Settings) -> None:
        self._schedule = f"backend:{name}"
        self.name = f"{self._schedule}:agents"
        self.every = config.heartbeat_seconds
        self.most_seconds = 3 * SECONDS
        self._config = config
        self._calls = Calls(config)
        self._board = board
        self._settings = settings

    def changed(self) -> bool:
        """It is looked at when its time has come."""
        return False

    async def ask(self) -> bool:
        """Tell every word that is another one than it was told last. NoAnswer after all that could be told was."""
        now = self._board.clock.now()
        state = await self._board.read(sources.state_of, self.name)
        all_at = state.get("all_at")
        fresh = all_at is not None and 0 <= seconds_between(all_at, now) < ALL_SECONDS
        told = dict(state.get("told", {})) if fresh else {}
        refused = []
        try:
            for theirs, word in (await self._words(now)).items():
                if told.get(theirs) != word:
                    try:
                        await self._calls.put_status(theirs, word)
                        told[theirs] = word
                    except ThisRefused as refusal:
                        refused.append(f"{refusal} to agent {theirs} is {word}")
        finally:  # what was told was told
            state = {"told": told, "all_at": all_at if fresh else now}
            await self._board.write(sources.keep_state, self.name, state)
        if refused:
            raise NoAnswer(refused[0])
        await self._board.write(sources.answered, self.name, state=state, every=self.every)
        return False

    async def _words(self, now: str) -> dict[str, str]:
        """Where each agent stands that the last schedule names, by its name there."""
        schedule = await self._board.read(sources.state_of, self._schedule)
        found = await self._board.read(presence.to_tell, now, room(self._settings, now))
        named = [(theirs, self._config.ours(theirs)) for theirs in schedule.get("schedules", {})]
        return {theirs: str(found[ours].word) for theirs, ours in named if ours in found}
