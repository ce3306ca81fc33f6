"""A clock that stands still until a test winds it on."""

from __future__ import annotations

from blackboard.clock import plus

START = "2026-01-31T09:00:00.000Z"


class FakeClock:
    """Wall time and time since boot, both wound by hand."""

    def __init__(self, now: str = START, boot: float = 1000.0) -> None:
        self._now = now
        self._boot = boot

    def now(self) -> str:
        return self._now

    def boot(self) -> float:
        return self._boot

    def boot_id(self) -> str:
        return "the-boot-of-a-test"

    def go_on(self, seconds: float) -> str:
        """Let this much time pass; the new time."""
        self._now, self._boot = plus(self._now, seconds), self._boot + seconds
        return self._now

    def jump_to(self, now: str) -> None:
        """Set the wall time, as an operator or NTP would; the time since boot knows nothing of it."""
        self._now = now
