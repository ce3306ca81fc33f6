"""When a limit ends, read from the words of a program or of its model's provider. Pure.

What is past, more than eight days ahead, or no time at all is none: guessing would hold an account for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

from blackboard.accounts import FARTHEST
from blackboard.clock import to_text

Found = re.Match[str]
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNIT = r"(?:ms|milliseconds?|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)\b"
_PART = re.compile(rf"(\d+(?:\.\d+)?)\s*({_UNIT})", re.IGNORECASE)
# Written together, as in 1m30s, a unit ends where the next number begins.
_TOGETHER = r"\d+(?:\.\d+)?\s*(?:ms|[smhd])(?=\d)"
_SPAN = rf"((?:{_TOGETHER})*\d+(?:\.\d+)?\s*{_UNIT}(?:(?:,|\s|and)*\d+(?:\.\d+)?\s*{_UNIT})*)"
_ISO = r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?\s?(?:Z|UTC|[+-]\d\d:?\d\d)?)"
_EPOCH = r"(\d{10}(?:\d{3})?)(?:\.\d+)?\b"
_FIELD = r"(?:limit|rate|quota|usage)?[-_]*(?:resets?|retry|available|next[-_]?retry)[-_]?(?:at|on|time|timestamp)?[\"']?\s*[:=]\s*[\"']?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = rf"(?:({'|'.join(_MONTHS)})[a-z]*\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(\d{{4}}))?,?\s+(?:at\s+)?)?"
_CLOCK = r"(\d{1,2})(?::(\d\d))?\s*([ap]\.?m\b\.?)?(?:\s*\(?(UTC|GMT|[A-Z][A-Za-z_]+/[A-Za-z_/+-]+)\)?)?"


def _epoch(found: Found, _at: datetime) -> datetime:
    return datetime.fromtimestamp(int(found[1]) / (1000 if len(found[1]) == 13 else 1), UTC)


def _instant(found: Found, at: datetime) -> datetime:
    text = re.sub(r"\s?UTC$", "+00:00", found[1].strip())
    read = datetime.fromisoformat(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text))
    return read if read.tzinfo else read.replace(tzinfo=at.tzinfo)


def _span(found: Found, at: datetime) -> datetime:
    spread = re.sub(r"(?<=[a-z])(?=\d)", " ", found[1], flags=re.IGNORECASE)
    return at + timedelta(seconds=sum(float(each[1]) * _per(each[2]) for each in _PART.finditer(spread)))


def _per(unit: str) -> float:
    short = unit.lower()
    return _SECONDS["ms" if short.startswith(("ms", "milli")) else short[0]]


def _seconds(found: Found, at: datetime) -> datetime:
    return at + timedelta(seconds=float(found[2]) * (0.001 if (found[1] or "").lower().endswith("ms") else 1))


def _http_date(found: Found, _at: datetime) -> datetime:
    return parsedate_to_datetime(found[1])


def _clock(found: Found, at: datetime) -> datetime | None:
    """The next time a clock shows it, in the zone that is named, else in that of `at`."""
    month, day, year, hour, minute, half, zone = found.groups()
    if minute is None and half is None:
        return None
    there = at.astimezone(_zone(zone) if zone else at.tzinfo)
    hours = int(hour) % 12 + 12 * half.lower().startswith("p") if half else int(hour)
    named = there.replace(hour=hours, minute=int(minute or 0), second=0, microsecond=0)
    if month:
        named = named.replace(year=int(year or there.year), month=_MONTHS.index(month.lower()) + 1, day=int(day))
        return named.replace(year=named.year + 1) if named <= there and not year else named
    return named if named > there else named + timedelta(days=1)


def _zone(name: str) -> tzinfo:
    return UTC if name in ("UTC", "GMT") else ZoneInfo(name)


_WAYS: tuple[tuple[str, Callable[[Found, datetime], datetime | None]], ...] = (
    (_FIELD + _EPOCH, _epoch),
    (_FIELD + _ISO, _instant),
    (r"limit[^|\n]{0,40}\|\s*" + _EPOCH, _epoch),
    (r"retry[-_ ]?after[\"']?\s*[:=]\s*[\"']?([A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT)", _http_date),
    (r"(?:retry[-_ ]?(?:after|delay|in)|resets?[-_]?in)[\"']?\s*[:=]?\s*[\"']?" + _SPAN, _span),
    (r"(?:retry[-_ ]?(?:after|delay|in)|resets?[-_]?in)([-_]?(?:ms|s|secs?|seconds))?[\"']?\s*[:=]\s*[\"']?(\d+(?:\.\d+)?)", _seconds),
    (r"(?:again|retry\w*|resets?|available|wait|until)\s+(?:again\s+)?(?:in|after|for)?\s*(?:about\s+)?" + _SPAN, _span),
    (r"(?:resets?|until|again|retry)\b[^\d\n]{0,40}" + _ISO, _instant),
    (r"(?:resets?|until|again|retry)\b[^\d\n]{0,20}?" + _DATE + _CLOCK, _clock),
)  # fmt: skip
WAYS = tuple((re.compile(pattern, re.IGNORECASE), read) for pattern, read in _WAYS)
_FAR = timedelta(seconds=FARTHEST)


def reset_in(texts: Iterable[str], said_at: datetime) -> str | None:
    """When the limit ends that one of these texts speaks of, UTC text: the first text that says it, its last words.

    `said_at`: when it was said, in the zone that a time without one is meant in.
    """
    for text in texts:
        for pattern, read in WAYS:
            for found in reversed(list(pattern.finditer(text))):
                at = _believed(read, found, said_at)
                if at is not None:
                    return at
    return None


def _believed(read: Callable[[Found, datetime], datetime | None], found: Found, said_at: datetime) -> str | None:
    try:
        at = read(found, said_at)
        return to_text(at) if at is not None and said_at < at <= said_at + _FAR else None
    except (ValueError, OverflowError, KeyError, OSError, TypeError):  # no such day, no such zone
        return None
