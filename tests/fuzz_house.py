"""A house that a fuzzer can live in: served on loopback by a thread, with a task in the right state for each route.

The fuzzer is synchronous and wants real ids and tokens; the house is asynchronous and its attempts end by what is
said to them. This stands between the two.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.test_api_curl import Served, prepared, serving, with_a_permission, with_a_watch, with_slots

T = TypeVar("T")
HELD = "result.txt"  # the file that every workspace holds


@dataclass
class Scene:
    """What one call needs: the parts of its path, the id of its attempt, and a token for each who may make it."""

    parts: dict[str, object]
    attempt: int
    tokens: dict[str, str]


class FuzzHouse:
    """Gives scenes: the same one for a route until something was changed by it."""

    def __init__(self, served: Served, loop: asyncio.AbstractEventLoop) -> None:
        self.base = served.base
        self._served = served
        self._loop = loop
        self._scenes: dict[str, Scene] = {}
        house = served.house
        scopes = ("read", "operate", "admin")
        self._operators = {scope: self.run(house.operator(scope, scope)) for scope in scopes}
        self._agent = self.run(house.agent_token())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def scene(self, route: str) -> Scene:
        """A task in a state that this route (`/…/approve`) is for."""
        if route not in self._scenes:
            self._scenes[route] = self.run(self._made(route))
        return self._scenes[route]

    def used(self, route: str) -> None:
        """Something was changed: the next call gets another task."""
        self._scenes.pop(route, None)

    async def _made(self, route: str) -> Scene:
        attempt = await prepared(self._served, route)
        (attempt.workspace / HELD).write_text("a line\n")
        tokens = {"executor": attempt.token, "agent": self._agent, **self._operators}
        parts: dict[str, object] = {
            "project": "demo",
            "agent": "writer",
            "account": "agent:writer",
            "task": attempt.task,
        }
        if "/calendar/slots/" in route:
            once, daily = await self._served.house.board.write(with_slots)
            parts |= {"slot": once, "virtual": f"{daily}-20260131"}
        if "{output}" in route:
            report = {"type": "data", "title": "T", "content": "C"}
            said = await self._served.house.post(f"{attempt.url}/outputs", attempt.token, report)
            parts["output"] = said.json()["outputs"][0]
        if "{watch}" in route:
            parts["watch"] = "tickets"
            await self._served.house.board.write(with_a_watch)
        if "{token}" in route:
            parts["token"] = f"revoked-{attempt.id}"
            await self._served.house.operator("read", f"revoked-{attempt.id}")
        if "{permission}" in route:
            parts["permission"] = await self._served.house.board.write(with_a_permission)
        if "{feed}" in route:
            parts["feed"] = await self._served.house.feed()
        return Scene(parts, attempt.id, tokens)


@contextmanager
def fuzz_house(path: Path) -> Iterator[FuzzHouse]:
    """The house, its server running in a thread until the end."""
    ready, done = threading.Event(), asyncio.Event()
    made: list[tuple[Served, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        async with serving(path) as served:
            made.append((served, asyncio.get_running_loop()))
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="fuzz-house")
    thread.start()
    assert ready.wait(30)
    served, loop = made[0]
    try:
        yield FuzzHouse(served, loop)
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(30)
