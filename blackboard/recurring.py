"""When a slot that repeats is due: a cron line or an RRULE, read and turned into instants.

`30 9 * * 1-5` is cron's five fields, by wall time in the slot's zone. `FREQ=WEEKLY;BYDAY=MO` (RFC 5545, with or without
`RRULE:` before it) counts from the slot's first time. On the days the clocks change each follows its own rule: a cron
time that does not exist runs when the clocks have jumped, one that comes twice runs the first time, and only a line with
`*` or `/` in the minute or hour goes on through both hours; an RRULE's times are read like any other wall time
(blackboard.slots.due). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from dateutil.rrule import rrule, rrulestr

from blackboard.errors import Invalid

MOST = 10_000  # times looked at in one question
_FREQUENCIES = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
# Those whose periods are all of one length: such a rule is asked from near the time in question, not from its first.
_STEPS = {"HOURLY": timedelta(hours=1), "DAILY": timedelta(days=1), "WEEKLY": timedelta(weeks=1)}
YEARS = range(1900, 9000)  # of a rule's first time: nothing is counted for ages, and no zone leads out of the calendar
# Whose times do not come here never come. The library would look for them up to its end, each time it is asked.
_FAR, _END = datetime(9500, 1, 1), datetime(9999, 12, 31)
_SECOND = timedelta(seconds=1)


def is_rrule(text: str) -> bool:
    """Whether it is written as an RRULE; everything else is a cron line."""
    return "FREQ=" in text.upper()


def check(text: str, starts: datetime | None) -> None:
    """Invalid, with a sentence, for what is no rule. `starts`: the slot's first time as wall time, if it has one."""
    if is_rrule(text):
        if not any(True for _ in _rrule(text, ZoneInfo("UTC"), starts, _FAR, _END, bounded=False)):
            raise Invalid(f"repeat {text[:80]!r}: its time never comes: mend what it asks for, or leave the slot out")
    else:
        _cron(text, datetime(2026, 1, 1))


def times(
    text: str, zone: ZoneInfo, starts: datetime | None, after: datetime, until: datetime, most: int = MOST
) -> list[datetime]:
    """The instants after one and up to another, in order, in UTC; at most `most`, and MOST are looked at. Invalid.

    `starts`: wall time without a zone; nothing comes before it, and an RRULE counts from it.
    """
    local = after.astimezone(zone)
    found: Iterator[datetime]
    if is_rrule(text):
        first = local.replace(tzinfo=None) - timedelta(days=1)
        last = until.astimezone(zone).replace(tzinfo=None) + timedelta(days=1)
        found = (_instant(each, zone) for each in _rrule(text, zone, starts, first, last) if each >= first)
    else:
        begin = max(local, starts.replace(tzinfo=zone) - timedelta(minutes=1)) if starts else local
        found = (each.astimezone(UTC) for each in _cron(text, begin))
    kept: list[datetime] = []
    for each in islice(found, MOST):
        if each > until or len(kept) == most:
            break
        if each > after:
            kept.append(each)
    return kept


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a wall time: in a gap with the offset before it, of two the first."""
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _cron(text: str, begin: datetime) -> CronSim:
    if len(text.split()) != 5:
        raise Invalid(
            f"repeat {text[:80]!r} is neither a cron line (five fields: minute, hour, day, month, weekday) nor an RRULE (FREQ=…)"
        )
    try:
        return CronSim(text, begin)
    except CronSimError as error:
        raise Invalid(f"repeat {text[:80]!r} is no cron line: {error}") from None


def _rrule(
    text: str, zone: ZoneInfo, starts: datetime | None, first: datetime, last: datetime, *, bounded: bool = True
) -> Iterator[datetime]:
    """The wall times of a rule up to `last`; those before `first` may be left out. `bounded`: by its COUNT and UNTIL."""
    if starts is None:
        raise Invalid(
            f"repeat {text[:80]!r} counts from the slot's first time: give scheduled_at with a date and a time"
        )
    parts = dict(part.partition("=")[::2] for part in text.strip().upper().removeprefix("RRULE:").split(";"))
    if parts.get("FREQ") not in _FREQUENCIES:
        raise Invalid(
            f"repeat {text[:80]!r}: FREQ is one of {', '.join(_FREQUENCIES)}; for every few minutes write a cron line"
        )
    if parts["FREQ"] == "HOURLY" and "BYSETPOS" in parts:
        raise Invalid(f"repeat {text[:80]!r}: an hour has no BYSETPOS: name the minutes with BYMINUTE")
    every, count = _number(text, parts, "INTERVAL"), _number(text, parts, "COUNT") if "COUNT" in parts else None
    parts.pop("COUNT", None)  # counted below
    try:
        ends = min(_wall(parts.pop("UNTIL"), zone), last) if "UNTIL" in parts else last
        if not bounded:
            ends, count = last, None
        step = _STEPS.get(parts["FREQ"])
        if step is not None and count is None:
            starts += max(0, (first - starts) // (step * every) - 1) * step * every
        written = ";".join(f"{name}={value}" for name, value in parts.items())
        rule = rrulestr(f"{written};UNTIL={max(ends, starts - _SECOND):%Y%m%dT%H%M%S}", dtstart=starts)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Invalid(f"repeat {text[:80]!r} is no RRULE: {error}") from None
    if not isinstance(rule, rrule):
        raise Invalid(f"repeat {text[:80]!r} is more than one rule: give one")
    return islice(rule, count)


def _number(text: str, parts: Mapping[str, str], name: str) -> int:
    """INTERVAL or COUNT of a rule: with an interval of 0 it would never come to an end."""
    said = parts.get(name, "1")
    if re.fullmatch(r"[0-9]{1,9}", said, re.ASCII) is None or not 1 <= int(said) <= MOST:
        raise Invalid(f"repeat {text[:80]!r}: {name} is a whole number from 1 to {MOST}")
    return int(said)


def _wall(until: str, zone: ZoneInfo) -> datetime:
    """An UNTIL as wall time of the zone: it may be in UTC, or a whole day."""
    if "T" not in until:
        return datetime.strptime(until, "%Y%m%d").replace(hour=23, minute=59, second=59)
    if until.endswith("Z"):
        instant = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        try:
            return instant.astimezone(zone).replace(tzinfo=None)
        except OverflowError:  # the last day there is, or the first: as good as any zone's
            return instant.replace(tzinfo=None)
    return datetime.strptime(until, "%Y%m%dT%H%M%S")
