"""Watches as sources: each `[watches.NAME]` is asked in a loop of its own, and what has changed goes on the board.

An answer is a good one when it is well formed and all of it can be kept; an empty list is one. Whatever else comes is a
failure with its sentence, and what was seen before stays. How often is asked is orchestrator/asking.py.
"""

from __future__ import annotations

import asyncio
import hashlib

from blackboard import sources, watches
from blackboard.board import Board
from blackboard.watch_diff import canonical
from blackboard.watch_gate import Lane
from blackboard.watches import Watch
from orchestrator.config import Settings
from orchestrator.config_watches import WatchConfig, topic_of
from orchestrator.watch_asking import Answer, Asker

LOOK_SECONDS = 1.0  # between two looks whether somebody wants it asked now


class WatchSource:
    """One watch of the configuration."""

    def __init__(self, name: str, config: WatchConfig, board: Board) -> None:
        self.watch = watch_of(name, config)
        self.name = self.watch.source
        self.every = max(config.idle_seconds, config.active_seconds)
        self.most_seconds = 2 * config.timeout_seconds + 30.0  # with a token that is fetched, and a second try
        self.look_every = LOOK_SECONDS
        self._board = board
        self._asker = Asker(config)

    def changed(self) -> bool:
        """Only asking can tell."""
        return False

    async def ask(self) -> bool:
        """Ask it, and keep what has changed; whether anything has."""
        row = await self._board.read(sources.found, self.name)
        if row is not None and row["next_at"] is None:
            await self._board.write(watches.begin, self.watch)
        tag = watches.etag_of(await self._board.read(sources.state_of, self.name), self.watch)
        answer = await self._asker.ask(tag)
        if answer.body is None:
            await self._board.write(watches.unchanged, self.watch)
            return False
        items, digest = await asyncio.to_thread(self._read, answer)
        return bool(await self._board.write(watches.take_in, self.watch, items, answer.tag, digest))

    def _read(self, answer: Answer) -> tuple[dict[str, str], str]:
        items = self._asker.items(answer)
        return items, watches.digest_of(items)


def watch_of(name: str, config: WatchConfig) -> Watch:
    """What the board is to know of a watch."""
    sees = canonical([config.url, config.items, list(config.id), sorted(config.ignore)])
    return Watch(
        name, config.target, topic_of(name, config), hashlib.sha256(sees.encode()).hexdigest(), config.confirm_removals,
        config.urgent_kinds, config.urgent_when, config.notify_on_first_run, config.idle_seconds, config.active_seconds,
    )  # fmt: skip


def lane_of(name: str, config: WatchConfig, settings: Settings) -> Lane:
    """How its changes are told."""
    project = config.project or settings.slots.project or settings.projects[0].id
    return Lane(
        config.target, topic_of(name, config), project, config.sinks, config.cooldown_seconds, config.free_wanted, config.max_tries
    )  # fmt: skip


def lanes_of(settings: Settings) -> list[Lane]:
    """Every lane of the configuration once."""
    return list(dict.fromkeys(lane_of(name, config, settings) for name, config in settings.watches.items()))
