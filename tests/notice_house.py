"""A furnished board with a configuration of sinks, all in one process and on the hand-wound clock."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from blackboard import notices
from blackboard.board import Board, Tx
from blackboard.clock import Clock
from orchestrator.beginning import settle
from orchestrator.config import Settings
from orchestrator.config_loading import load
from orchestrator.noticing import Noticing

CONFIG = """
board = "board.db"
projects = [{ id = "p" }, { id = "q" }]
[agents.ada]
argv = ["x"]
roles = ["writer"]
[agents.bob]
argv = ["x"]
"""


class NoticeHouse:
    """What a test of notices works with."""

    def __init__(self, folder: Path, board: Board, settings: Settings) -> None:
        self.folder, self.board, self.settings = folder, board, settings
        self.noticing = Noticing(board, settings)

    def restart(self) -> None:
        """As after a kill: all that was in memory is gone."""
        self.noticing = Noticing(self.board, self.settings)

    async def post(self, title: str = "something", **fields: Any) -> int:
        """Post a notice; its id."""
        given: dict[str, Any] = {"kind": "blocked", "topic": "task:1", "key": f"key of {title} {fields}", **fields}

        def posted(tx: Tx) -> int:
            return notices.post(tx, title=title, **given)

        return await self.board.write(posted)

    async def tell(self) -> None:
        """Post, route, and tell what its time has come for, once."""
        await self.noticing.once()

    async def states(self, sink: str = "out") -> list[str]:
        rows = await self.board.all("SELECT state FROM deliveries WHERE sink = :sink ORDER BY id", sink=sink)
        return [row["state"] for row in rows]

    async def events(self, *verbs: str) -> list[str]:
        rows = await self.board.all("SELECT verb, reason FROM events ORDER BY id")
        return [f"{row['verb']}: {row['reason']}" for row in rows if row["verb"] in verbs]

    def files(self, name: str = "out") -> list[dict[str, Any]]:
        """What a file sink has got, in the order of its names."""
        return [json.loads(file.read_text()) for file in sorted((self.folder / name).glob("*.json"))]

    def titles(self, name: str = "out") -> list[list[str]]:
        """The titles of each message of a file sink."""
        return [[notice["title"] for notice in each["data"]["notices"]] for each in self.files(name)]


@asynccontextmanager
async def opened(folder: Path, sinks: str, clock: Clock) -> AsyncIterator[NoticeHouse]:
    """A house with these `[sinks.NAME]`; `{here}` in them is its folder."""
    file = folder / "orchestrator.toml"
    file.write_text(CONFIG + sinks.replace("{here}", str(folder)), encoding="utf-8")
    settings = load(file, cwd=folder, environ={})
    board = await Board.open(settings.board, clock=clock)
    try:
        await settle(board, settings)
        house = NoticeHouse(folder, board, settings)
        await house.noticing.start()
        yield house
    finally:
        await board.close()
