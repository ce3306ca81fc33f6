"""What every way has in common: how it is asked, and the two answers that are not yes."""

from __future__ import annotations

from typing import Protocol

from orchestrator.asking import NoAnswer
from orchestrator.sinks.message import Message


class Later(NoAnswer):
    """Not taken, and the sink wants to be left alone for so many seconds."""

    def __init__(self, sentence: str, seconds: float) -> None:
        super().__init__(sentence)
        self.seconds = seconds


class Closed(NoAnswer):
    """Not taken, and the sink wants nothing any more."""


class Way(Protocol):
    """One sink. Messages come one after the other."""

    async def send(self, message: Message) -> None:
        """Hand it over; returns when it was taken. NoAnswer when it was not, or nobody knows."""
        ...

    async def stop(self) -> None:
        """The daemon ends, and a `send` was cancelled: leave nothing behind that runs."""
        ...
