"""Events as they happen, for a command: from the daemon that holds the board, or from the file when nobody does.

Either road goes on where the other stopped: an event's number is all there is to remember. Never writes, and needs
no daemon and no token: without them the file tells everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from blackboard import questions
from blackboard.lock import holder
from orchestrator import operator_token
from orchestrator.exits import Exit

if TYPE_CHECKING:
    from blackboard.board import ReadOnly
    from orchestrator.config import Settings

PAGE = 500
LOOK_SECONDS = 0.25  # between two looks whether the file has changed
HOLDER_SECONDS = 1.0  # between two looks whether a daemon has begun
Event = dict[str, Any]


class Following:
    """Every event after one, and then each as it happens. `say` takes a sentence for a person, when the road changes."""

    def __init__(
        self, settings: Settings, board: ReadOnly, after: int, task: int | None, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._board = board
        self._after = after
        self._task = task
        self._say = say
        self._refused = ""  # the daemon that does not stream to us

    def events(self) -> Iterator[Event]:
        """In order, none twice; never ends by itself."""
        while True:
            if url := self._daemon():
                yield from self._streamed(url)
            yield from self._read()

    def _daemon(self) -> str:
        """Where a daemon answers that holds the board; empty without one."""
        found = holder(self._settings.board)
        url = str(found["url"]) if found and found.get("url") else ""
        return url if url != self._refused else ""

    def _streamed(self, url: str) -> Iterator[Event]:
        """What the daemon streams, until it ends."""
        from orchestrator import remote

        try:
            token = operator_token.read(self._settings.token_file)
            for event in remote.events(
                url, self._after, self._task, token=token, certificate=self._settings.api.tls_cert
            ):
                self._after = event["id"]
                yield event
        except remote.NotListening:
            return  # it is just starting or stopping: the file tells the same
        except Exit as refusal:
            self._refused = url
            self._say(f"the daemon at {url} streams no events to us, so the board's file is read: {refusal.sentence}")
        else:
            self._say(
                f"the daemon at {url} has ended the stream: going on from the board's file, and with the next one"
            )

    def _read(self) -> Iterator[Event]:
        """What the file says, until a daemon is there."""
        looked, version = time.monotonic(), -1
        while True:
            now = _data_version(self._board)
            if now != version:
                yield from self._pages()
                version = now
            if time.monotonic() - looked > HOLDER_SECONDS:
                if self._daemon():
                    return
                looked = time.monotonic()
            time.sleep(LOOK_SECONDS)

    def _pages(self) -> Iterator[Event]:
        while page := questions.events(self._board, self._after, PAGE, self._task):
            for event in page:
                self._after = event["id"]
                yield event


def _data_version(board: ReadOnly) -> int:
    """A number that changes when somebody has committed."""
    return int(board.connection.execute("PRAGMA data_version").fetchone()[0])
