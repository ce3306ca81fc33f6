"""Asking others where agents stand: each server of `[presence.NAME]` with a read_url, each agent in its turn.

A word holds for three rounds, so that two lost answers change nothing and a server that is gone for good holds nobody
up. An agent of whom it gives no word we know, it says nothing of. How often is asked is orchestrator/asking.py.
"""

from __future__ import annotations

import asyncio
import json

from blackboard import presence_reports, sources
from blackboard.board import Board, Tx
from blackboard.presence_reports import Word
from orchestrator import config_presence, web
from orchestrator.asking import NoAnswer
from orchestrator.bearer import Bearer
from orchestrator.config import Settings
from orchestrator.config_presence import PresenceConfig
from orchestrator.presence_sinks import AT_ONCE

ROUNDS = 3  # for so many a word holds
MOST_BYTES = 256 * 1024


class PresenceSource:
    """One server that is asked."""

    def __init__(self, name: str, config: PresenceConfig, board: Board, settings: Settings) -> None:
        self.name = f"{presence_reports.KIND}:{name}"
        self.every = config.every_seconds
        self.look_every = float("inf")
        self._called = config.called(settings.agents)
        self.most_seconds = 2 * config.timeout_seconds * (1 + len(self._called) // AT_ONCE) + 30.0
        self._config = config
        self._board = board
        self._bearer = Bearer(config.token_file, config.token_command)
        self._places = asyncio.Semaphore(AT_ONCE)

    def changed(self) -> bool:
        """Only asking can tell."""
        return False

    async def ask(self) -> bool:
        """Ask for every agent, and keep each answer; whether somebody's word is another one."""
        answers = await asyncio.gather(*(self._one(agent) for agent in self._called))
        words = {agent: answer for agent, answer in answers if not isinstance(answer, NoAnswer)}
        failures = {agent: str(answer) for agent, answer in answers if isinstance(answer, NoAnswer)}
        changed = await self._board.write(_keep, self.name, words, self.every, not failures)
        if failures:
            sentence = next(iter(failures.values()))
            whom = "" if len(failures) == len(answers) else f" of {', '.join(failures)}"
            raise NoAnswer(f"{sentence}{whom}")
        return changed

    async def _one(self, agent: str) -> tuple[str, Word | NoAnswer | None]:
        async with self._places:
            try:
                return agent, await self._read(agent)
            except NoAnswer as error:
                return agent, error

    async def _read(self, agent: str) -> Word | None:
        url = config_presence.filled(str(self._config.read_url), self._called[agent])
        seconds = self._config.timeout_seconds
        named = self._config.named(self._called[agent])
        header, number = await self._bearer.header()
        answer = await web.ask("GET", url, headers={**named, **header}, seconds=seconds, most_bytes=MOST_BYTES)
        if answer.status in (401, 403) and self._bearer.can_be_renewed:
            header, _ = await self._bearer.header(refused=number)
            answer = await web.ask("GET", url, headers={**named, **header}, seconds=seconds, most_bytes=MOST_BYTES)
        if answer.status == 404:
            return None  # it does not know the agent
        if answer.status != 200:
            hint = ": it does not take the token" if answer.status in (401, 403) else ""
            raise NoAnswer(f"it answers {answer.status}{hint}")
        try:
            told = json.loads(answer.body)
            return self._config.read(told["status"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise NoAnswer('its answer is not {"status": "..."}') from None


def _keep(tx: Tx, source: str, words: dict[str, Word | None], every: float, whole: bool) -> bool:
    """Keep what a server said; whether it is another word for somebody."""
    before = {agent: each.status for agent in words for each in presence_reports.of_agent(tx, agent, tx.now) if each.source == source}  # fmt: skip
    for agent, word in words.items():
        presence_reports.put(tx, agent, source, word, actor=sources.ENGINE, good_for=ROUNDS * every)
    if whole:
        sources.answered(tx, source, every=every)
    return before != {agent: word for agent, word in words.items() if word is not None}
