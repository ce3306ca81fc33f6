"""One running instance: board, tick, API and terminal put together, started in order and stopped in order.

The composition itself is handed in (`Parts`), so that this module knows neither routes nor gates. Agents may
report until the last of them has ended: the API stops after the orchestrator.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from blackboard.board import Board
from blackboard.lock import BoardLock
from orchestrator import beginning, exits, listening, spoken
from orchestrator.narration import Narrator
from orchestrator.upcoming import Upcoming
from orchestrator.waiting import beside

if TYPE_CHECKING:
    from orchestrator.config import Settings


# For what blocks: a program that is asked may take ten seconds or thirty, and the loop never waits behind it.
THREADS = 64
ONE_KEY_SECONDS = 1.0  # a wrapper such as timeout(1) passes one signal on twice


class Works(Protocol):
    """What runs the attempts: `orchestrator.tick.Orchestrator`."""

    async def start(self) -> None: ...

    async def run(self) -> None: ...

    async def once(self, *, dry_run: bool) -> None: ...

    async def stop(self, on_exit: str) -> None: ...

    def wake(self) -> None: ...

    def stale_for(self) -> float | None: ...

    def lateness(self) -> Mapping[str, float]: ...


@dataclass(frozen=True)
class Parts:
    """How the two halves are made: the orchestrator over a board, and the application over both."""

    orchestrator: Callable[[Board, str, Callable[[Mapping[str, Any]], None]], Works]
    application: Callable[[Board, Works, str], Any]


@dataclass(frozen=True)
class Wish:
    """What the command line asked for."""

    once: bool = False
    dry_run: bool = False
    on_exit: str = "stop"


async def live(
    settings: Settings, parts: Parts, wish: Wish, lock: BoardLock, listener: socket.socket, say: Narrator
) -> None:
    """Run one instance until it is told to end. The caller holds the lock and the bound socket."""
    port = listener.getsockname()[1]
    url = settings.base_url(port)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="blocking"))
    with signals() as told:
        board = await Board.open(settings.board)
        try:
            await beginning.settle(board, settings)
            works = parts.orchestrator(board, url, say.event)
            await works.start()
            server = listening.server(parts.application(board, works, url), settings.api)
            serving = asyncio.create_task(server.serve([listener]))
            try:
                lock.tell(url=settings.api.local_url(port))
                say.say(*ready(settings, port, wish))
                async with beside(*([] if wish.once else [Upcoming(board, say.say).run()])):
                    await _until(told, works.once(dry_run=wish.dry_run) if wish.once else works.run(), serving)
                if told.is_set():
                    say.say({"stopping": True}, _farewell(wish))
            finally:
                await _ended(works, wish, board, server, serving)
            say.say({"stopped": True}, f"stopped; {spoken.command(settings)} run goes on where it was")
        finally:
            await board.close()


async def _ended(works: Works, wish: Wish, board: Board, server: listening.Server, serving: asyncio.Task[None]) -> None:
    """Agents first: until the last of them has ended it may report. Then whoever waits for events, then the server."""
    try:
        await works.stop(wish.on_exit)
    finally:
        board.commits.end()
        server.stop()
        await serving


async def _until(told: asyncio.Event, work: Awaitable[None], serving: asyncio.Task[None]) -> None:
    """Work until it is finished, a signal comes or the server ends; raises what the work raised."""
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(told.wait())
    try:
        await asyncio.wait({working, waiting, serving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


@contextmanager
def signals() -> Iterator[asyncio.Event]:
    """An event that the first INT, TERM or HUP sets; the second ends the process on the spot."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    first = 0.0

    def heard(name: str) -> None:
        nonlocal first
        if told.is_set() and loop.time() - first < ONE_KEY_SECONDS:
            return
        if told.is_set():
            os.write(
                2, f"\norchestrator: second {name}: ended at once; the next start takes over what still runs\n".encode()
            )
            os._exit(exits.FAILED)
        first = loop.time()
        told.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, heard, number.name)
    try:
        yield told
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def not_ready(settings: Settings, works: Works) -> list[str]:
    """Why this instance does not do its work; nothing when it does."""
    stale = works.stale_for()
    if stale is None:
        return ["the first tick is not done yet"]
    return [f"no tick for {stale:.0f} seconds"] if stale > 3 * settings.tick.longest_pause_seconds + 5 else []


def ready(settings: Settings, port: int, wish: Wish) -> tuple[dict[str, object], str]:
    """What is said when everything listens: where things are, and what to type next."""
    value: dict[str, object] = {
        "ready": True,
        "pid": os.getpid(),
        "url": settings.base_url(port),
        "board": str(settings.board),
        "token_file": str(settings.token_file),
        "logs": str(settings.attempts_dir),
    }
    lines = [
        f"board   {settings.board}",
        f"api     {settings.base_url(port)}   (operator's token: {settings.token_file})",
        f"logs    {settings.attempts_dir}/ATTEMPT/stdout.log",
        f"agents  {_agents(settings)}",
        *([] if wish.once else _next_words(settings)),
        "",
    ]
    return value, "\n".join(lines)


def _agents(settings: Settings) -> str:
    names: Sequence[str] = [name for name, agent in settings.agents.items() if agent.enabled]
    return (
        f"{', '.join(names)} (at most {settings.tick.max_live} at once)"
        if names
        else "none yet: add [agents.NAME] to the configuration"
    )


def _next_words(settings: Settings) -> list[str]:
    command = spoken.command(settings)
    agent = next((name for name, each in settings.agents.items() if each.enabled), "NAME")
    return [
        f"next    in another terminal: {command} status",
        f'        or instead of status: tasks, show TASK, why TASK, logs TASK --follow, post "TITLE" --agent {agent}',
        "        Ctrl-C here stops it",
    ]


def _farewell(wish: Wish) -> str:
    if wish.on_exit == "leave":
        return "stopping: agents that run are left running, the next start takes them over"
    return "stopping: agents that run are stopped, their tasks go back (not charged); Ctrl-C once more ends at once"
