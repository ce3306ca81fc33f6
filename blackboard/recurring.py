"""When a slot that repeats is due: a cron line or an RRULE, read and turned into instants.

`30 9 * * 1-5` is cron's five fields, by wall time in the slot's zone. `FREQ=WEEKLY;BYDAY=MO` (RFC 5545, with or without
`RRULE:` before it) counts from the slot's first time. On the days the clocks change each follows its own rule: a cron
time that does not exist runs when the clocks have jumped, one that comes twice runs the first time, and only a line with
`*` or `/` in the minute or hour goes on through both hours; an RRULE's times are read like any other wall time
(blackboard.slots.due). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from dateutil.rrule import rrule, rrulestr

from blackboard.errors import Invalid

MOST = 10_000  # times looked at in one question
_FREQUENCIES = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")


def is_rrule(text: str) -> bool:
    """Whether it is written as an RRULE; everything else is a cron line."""
    return "FREQ=" in text.upper()


def check(text: str, starts: datetime | None) -> None:
    """Invalid, with a sentence, for what is no rule. `starts`: the slot's first time as wall time, if it has one."""
    if is_rrule(text):
        _rrule(text, ZoneInfo("UTC"), starts, None)
    else:
        _cron(text, datetime(2026, 1, 1))


def times(text: str, zone: ZoneInfo, starts: datetime | None, after: datetime, until: datetime) -> list[datetime]:
    """The instants after one and up to another, in order, in UTC; at most MOST. Invalid.

    `starts`: wall time without a zone; nothing comes before it, and an RRULE counts from it.
    """
    local = after.astimezone(zone)
    found: Iterator[datetime]
    if is_rrule(text):
        last = until.astimezone(zone).replace(tzinfo=None) + timedelta(days=1)
        rule = _rrule(text, zone, starts, last)
        naive = rule.xafter(local.replace(tzinfo=None) - timedelta(days=1), inc=True)
        found = (_instant(each, zone) for each in naive)
    else:
        begin = max(local, starts.replace(tzinfo=zone) - timedelta(minutes=1)) if starts else local
        found = (each.astimezone(UTC) for each in _cron(text, begin))
    kept: list[datetime] = []
    for each in islice(found, MOST):
        if each > until:
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


def _rrule(text: str, zone: ZoneInfo, starts: datetime | None, last: datetime | None) -> rrule:
    if starts is None:
        raise Invalid(
            f"repeat {text[:80]!r} counts from the slot's first time: give scheduled_at with a date and a time"
        )
    parts = dict(part.partition("=")[::2] for part in text.strip().upper().removeprefix("RRULE:").split(";"))
    if parts.get("FREQ") not in _FREQUENCIES:
        raise Invalid(
            f"repeat {text[:80]!r}: FREQ is one of {', '.join(_FREQUENCIES)}; for every few minutes write a cron line"
        )
    try:
        ends = [_wall(parts["UNTIL"], zone)] if "UNTIL" in parts else []
        ends += [last] if last is not None and "COUNT" not in parts else []  # so that one without an end comes to it
        if ends:
            parts["UNTIL"] = f"{min(ends):%Y%m%dT%H%M%S}"
        rule = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=starts)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Invalid(f"repeat {text[:80]!r} is no RRULE: {error}") from None
    if not isinstance(rule, rrule):
        raise Invalid(f"repeat {text[:80]!r} is more than one rule: give one")
    return rule


def _wall(until: str, zone: ZoneInfo) -> datetime:
    """An UNTIL as wall time of the zone: it may be in UTC, or a whole day."""
    if "T" not in until:
        return datetime.strptime(until, "%Y%m%d") + timedelta(days=1, seconds=-1)
    if until.endswith("Z"):
        instant = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return instant.astimezone(zone).replace(tzinfo=None)
    return datetime.strptime(until, "%Y%m%dT%H%M%S")
