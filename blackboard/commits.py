"""Waiting for the board to change: one notifier for however many readers. On the event loop only.

Says that something may have changed, never what: readers look at the board, and nothing is queued for them.
"""

from __future__ import annotations

import asyncio


class Commits:
    """`number` counts the times the board was changed; `ended`: it changes no more, whoever waits is to leave."""

    def __init__(self) -> None:
        self.number = 0
        self.ended = False
        self._changed = asyncio.Event()

    def tell(self) -> None:
        """The board has changed: wake everybody who waits."""
        self.number += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def end(self) -> None:
        """Nobody is to wait any more: the server is about to stop."""
        self.ended = True
        self.tell()

    async def after(self, number: int) -> None:
        """Return when the board has changed since its `number` was this one, or when waiting has ended."""
        while self.number == number and not self.ended:
            await self._changed.wait()
