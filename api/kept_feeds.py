"""Feeds as they were written last: one that says the same is not written again, and its reader is told so.

In memory and bounded: who was forgotten is written once more, byte for byte the same where the board is the same.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

from blackboard import feed, feed_text
from blackboard.board import Board
from blackboard.feed import Seen, Window

MOST = 8  # feeds, a few megabytes each at worst
FRESH_SECONDS = 300.0  # what no event tells of (SQL by hand, the time of day) is seen after so long


@dataclass(frozen=True, slots=True)
class Kept:
    """A feed's text and what it was written from. `modified`: since when it says this, as UTC text."""

    body: bytes
    etag: str
    modified: str
    seen: Seen
    day: str
    boot: float


class KeptFeeds:
    """The feeds of one board, by agent; None is everybody's."""

    def __init__(self) -> None:
        self._kept: dict[str | None, Kept] = {}
        self._writing = asyncio.Lock()  # one at a time: it takes a processor for a moment

    async def get(self, board: Board, agent: str | None, seen: Seen) -> Kept:
        """The feed of a board that was seen like this a moment ago."""
        async with self._writing:
            now, boot = board.clock.now(), board.clock.boot()
            day = Window.at(now).today
            former = self._kept.pop(agent, None)
            if former is None or (former.seen, former.day) != (seen, day) or boot - former.boot >= FRESH_SECONDS:
                found = await board.read(feed.read, now, agent)
                body = await asyncio.to_thread(feed_text.rendered, found, agent)
                etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
                same = former is not None and former.etag == etag
                former = Kept(body, etag, former.modified if former and same else found.as_of, seen, day, boot)
            self._kept[agent] = former
            if len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
            return former
