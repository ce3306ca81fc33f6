"""Waiting for the first of several things, looking again and again, and having something done beside a block.

Knows nothing of attempts or boards.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from typing import Any


async def first_of(*what: Awaitable[Any], within: float | None) -> None:
    """Wait until one of several is done, or the time is over. Futures handed in are left alone."""
    waiting = [asyncio.ensure_future(each) for each in what]
    try:
        await asyncio.wait(waiting, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for given, made in zip(what, waiting, strict=True):
            if made is not given:
                made.cancel()


SOON, CALM = 0.01, 0.1  # seconds between the first two looks, and at most between any two


async def looks(within: float = math.inf) -> AsyncIterator[None]:
    """Once for every look at what cannot be waited for: at first soon after each other, then calmly."""
    pause = SOON
    until = asyncio.get_running_loop().time() + within
    while True:
        yield
        if asyncio.get_running_loop().time() + pause > until:
            return
        await asyncio.sleep(pause)
        pause = min(CALM, pause * 1.5)


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have this done for as long as the block lasts."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
