"""Hours in which nobody is told what can wait, by a clock on the wall. Pure."""

from __future__ import annotations

from datetime import time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from blackboard.clock import from_text, to_text


class QuietHours(NamedTuple):
    """From one wall time to another, which may be on the next day, in an IANA zone."""

    begins: time
    ends: time
    zone: str

    def holds(self, now: str) -> bool:
        """Whether the clock on the wall shows a quiet hour."""
        return self._is_quiet(from_text(now).astimezone(ZoneInfo(self.zone)).time())

    def over(self, now: str) -> str:
        """The first instant from `now` on that is not quiet: `now` itself, or a full minute.

        Looked for minute by minute, so that it is right where a clock jumps, too: hours that do not exist are not
        waited for, and the first showing of an hour that comes twice counts.
        """
        if not self.holds(now):
            return now
        zone, instant = ZoneInfo(self.zone), from_text(now).replace(second=0, microsecond=0)
        for _ in range(27 * 60):
            instant += timedelta(minutes=1)
            if not self._is_quiet(instant.astimezone(zone).time()):
                break
        return to_text(instant)

    def _is_quiet(self, wall: time) -> bool:
        if self.begins < self.ends:
            return self.begins <= wall < self.ends
        return wall >= self.begins or wall < self.ends


def read(text: str, zone: str) -> QuietHours:
    """`22:00-07:00` as quiet hours; ValueError with a sentence."""
    try:
        begins, ends = (time.fromisoformat(part.strip()) for part in text.split("-"))
    except ValueError:
        raise ValueError(f"{text!r} are no hours: write them as 22:00-07:00") from None
    if begins == ends or begins.tzinfo or ends.tzinfo or begins.second or ends.second:
        raise ValueError(f"{text!r} are no hours: write two different ones, as 22:00-07:00")
    return QuietHours(begins, ends, zone)
