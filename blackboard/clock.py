"""Time: one text format for instants, and the clock everybody is handed.

Instants are UTC text with exactly three decimals and `Z`, so that they sort. Never calls a clock by itself.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Where time comes from; tests hand in one they wind by hand."""

    def now(self) -> str:
        """The wall time as text, e.g. `2026-01-31T09:00:00.000Z`."""

    def boot(self) -> float:
        """Seconds since boot, suspend included (CLOCK_BOOTTIME): never jumps."""

    def boot_id(self) -> str:
        """Which boot `boot()` belongs to."""


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux: reading works there, running does not
        return "unknown"


class SystemClock:
    """The real clock."""

    def now(self) -> str:
        return to_text(datetime.now(UTC))

    def boot(self) -> float:
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def boot_id(self) -> str:
        return _boot_id()


def to_text(instant: datetime) -> str:
    """UTC text of an aware datetime, cut to milliseconds."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def from_text(text: str) -> datetime:
    """The aware UTC datetime of an instant's text; ValueError for any other form."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def plus(text: str, seconds: float) -> str:
    """The instant `seconds` later (or earlier), kept inside the years 1 to 9999."""
    try:
        return to_text(from_text(text) + timedelta(seconds=seconds))
    except OverflowError:
        return "9999-12-31T23:59:59.999Z" if seconds > 0 else "0001-01-01T00:00:00.000Z"


def seconds_until(now: str, then: str) -> float:
    """Seconds until an instant's text; none where a person's SQL has put there what is no time: it must hold nobody up."""
    try:
        return seconds_between(now, then)
    except ValueError:
        return 0.0


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one instant's text to another's; negative when they are the other way round."""
    return (from_text(later) - from_text(earlier)).total_seconds()
