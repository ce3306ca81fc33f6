"""A day of a time zone, as two instants. Pure."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from blackboard.clock import from_text, to_text


class Day(NamedTuple):
    """From one midnight to the next, as UTC text: it may have 23 or 25 hours."""

    since: str
    until: str


def day_of(now: str, zone: str) -> Day:
    """The day that `now` belongs to in an IANA zone."""
    return day(from_text(now).astimezone(ZoneInfo(zone)).date(), zone)


def day(which: date, zone: str) -> Day:
    """That day of the zone. Where a clock jumps over midnight, the day begins when it has jumped."""
    begins, ends = (datetime.combine(each, time(), ZoneInfo(zone)) for each in (which, which + timedelta(days=1)))
    return Day(to_text(begins), to_text(ends))
