"""An iCalendar text as occurrences within a window: every instance of every event, at its instant. Pure.

Reads what Google, Apple and Outlook export (RFC 5545): rules, exceptions, additions, moved and cancelled instances, zones
by their VTIMEZONE or their name, floating times, whole days. One event that cannot be read is refused by itself.
The only module that imports the iCalendar libraries for reading.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events  # type: ignore[import-untyped]
from icalendar import Calendar, Component

from blackboard import recurring
from blackboard.clock import to_text
from blackboard.errors import Invalid

MOST = 5_000  # occurrences of one calendar within the window
MOST_TEXT = 16_000_000  # characters that all of them together may say: a long text counts with each time
MOST_A_DAY = 48  # of one event: each half hour
OWN = "X-BLACKBOARD-"  # properties that are meant for us
DAY = timedelta(days=1)
TOO_OFTEN = frozenset({"SECONDLY", "MINUTELY"})


@dataclass(frozen=True)
class Occurrence:
    """One instance of an event. `recurrence`: its RECURRENCE-ID as UTC text, where it would be if it had not moved; empty when
    the event has only one instance.

    `starts` is UTC text, `minutes` its length (None: a point in time). `own`: our properties, in lower case without their prefix.
    """

    uid: str
    recurrence: str
    starts: str
    minutes: float | None
    cancelled: bool
    summary: str
    description: str
    location: str
    categories: tuple[str, ...]
    people: tuple[str, ...]  # addresses and names of those who attend
    own: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a calendar holds within the window, in order of time; `refused`: (which event, why)."""

    occurrences: tuple[Occurrence, ...]
    refused: tuple[tuple[str, str], ...]


def read(data: bytes, *, zone: ZoneInfo, begin: datetime, until: datetime, all_day_at: time = time()) -> Found:
    """The occurrences that start in the window; Invalid when it is no whole calendar.

    `zone`: of times that name none, and of whole days, which begin at `all_day_at`.
    """
    calendars = _parsed(data)
    refused: list[tuple[str, str]] = []
    found: list[Occurrence] = []
    said = 0
    for calendar in calendars:
        good = _without_bad_events(calendar, refused)
        series = {str(event["UID"]) for event in good.walk("VEVENT") if _repeats(event)}
        query = recurring_ical_events.of(good, skip_bad_series=True)
        for first, last in _weeks(begin, until):  # not all at once: too much of it is noticed early
            # A day more on each side: the library compares a floating time as if it were in UTC.
            for event in query.between(first - DAY, last + DAY):
                occurrence = _occurrence(event, zone, all_day_at, series)
                if to_text(first) <= occurrence.starts < to_text(last):
                    found.append(occurrence)
                    said += len(occurrence.description) + len(occurrence.location) + sum(map(len, occurrence.people))
            if len(found) > MOST:
                raise Invalid(f"it plans more than {MOST} times in this window: that is no calendar of work")
            if said > MOST_TEXT:
                raise Invalid(
                    f"its events say more than {MOST_TEXT} characters in this window, all in all: shorten them"
                )
    found.sort(key=lambda each: (each.starts, each.uid))
    return Found(tuple(found), tuple(refused))


def _weeks(begin: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    while begin < until:
        yield begin, min(begin + 7 * DAY, until)
        begin += 7 * DAY


def _parsed(data: bytes) -> list[Component]:
    """The calendars of a text, which may be several. A half one is none."""
    text = data.decode("utf-8-sig", "replace")
    if "BEGIN:VCALENDAR" not in text.upper():
        raise Invalid("it holds no BEGIN:VCALENDAR: that is no iCalendar text")
    if text.upper().count("BEGIN:VCALENDAR") != text.upper().count("END:VCALENDAR"):
        raise Invalid("it ends before its END:VCALENDAR: only a part of it arrived")
    try:
        return list(Calendar.from_ical(text, multiple=True))
    except (ValueError, IndexError, KeyError, RecursionError) as error:
        raise Invalid(f"it is no iCalendar text: {error}") from None


def _without_bad_events(calendar: Component, refused: list[tuple[str, str]]) -> Component:
    """The same calendar with the events that can be expanded; the others are told."""
    bad: set[str] = set()
    for event in calendar.walk("VEVENT"):
        if problem := _problem(event):
            refused.append((_name(event), problem))
            bad.add(str(event.get("UID", "")))
    calendar.subcomponents = [
        each for each in calendar.subcomponents if each.name != "VEVENT" or str(each.get("UID", "")) not in bad
    ]
    return calendar


def _name(event: Component) -> str:
    return f"event {event.get('UID', 'without UID')}" + (f" ({event['SUMMARY']})" if event.get("SUMMARY") else "")


def _problem(event: Component) -> str | None:
    """Why an event cannot be read; None when it can."""
    if not event.get("UID"):
        return "it has no UID: it could not be recognised the next time"
    faults = [f"{name}: {said}" for name, said in getattr(event, "errors", ()) if name in MATTERS]
    if faults:
        return "; ".join(faults)
    if event.get("DTSTART") is None:
        return "it has no DTSTART"
    for name in ("DTSTART", "DTEND", "RECURRENCE-ID"):
        value = event.get(name)
        zone = getattr(value, "params", {}).get("TZID")
        when = _when(event, name)
        if zone and isinstance(when, datetime) and when.tzinfo is None:
            return f"{name}: the zone {zone!r} is not known, and the calendar does not describe it"
    return next((said for rule in _rules(event) if (said := _too_often(rule) or _endless(rule, event))), None)


MATTERS = frozenset({"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"})


def _rules(event: Component) -> list[Mapping[str, Any]]:
    rules = event.get("RRULE")
    return [] if rules is None else rules if isinstance(rules, list) else [rules]


def _too_often(rule: Mapping[str, Any]) -> str | None:
    frequency = str(_first(rule.get("FREQ", "")))
    a_day = 24 if frequency == "HOURLY" else 1
    for name in ("BYHOUR", "BYMINUTE", "BYSECOND"):
        a_day *= len(rule.get(name, ())) or 1
    if frequency in TOO_OFTEN or a_day > MOST_A_DAY:
        return f"its rule means more than {MOST_A_DAY} times a day: for work that often write a cron line"
    return None


def _endless(rule: Any, event: Component) -> str | None:
    """Why the next time of a rule would be looked for without end: nobody else would ever be read again."""
    starts = _when(event, "DTSTART")
    begin = (
        starts.replace(tzinfo=None) if isinstance(starts, datetime) else datetime.combine(starts or date.max, time())
    )
    if begin.year not in recurring.YEARS:
        return f"its DTSTART {begin:%Y-%m-%d} is too far away: an event that repeats begins from 1900 on"
    try:
        recurring.check(rule.to_ical().decode(), begin)
    except Invalid as refusal:
        return refusal.sentence.replace("repeat ", "its rule ", 1)
    return None


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else value


def _repeats(event: Component) -> bool:
    return any(event.get(name) for name in ("RRULE", "RDATE", "RECURRENCE-ID"))


def _occurrence(event: Component, zone: ZoneInfo, all_day_at: time, series: set[str]) -> Occurrence:
    starts, ends = _when(event, "DTSTART"), _when(event, "DTEND")
    if starts is None:
        raise Invalid(f"{_name(event)} has an instance without a start")
    whole_days = not isinstance(starts, datetime)
    begin = _instant(starts, zone, all_day_at)
    length = (_instant(ends, zone, all_day_at) - begin).total_seconds() / 60 if ends is not None else 0.0
    original = _when(event, "RECURRENCE-ID") or starts
    return Occurrence(
        uid=str(event["UID"]),
        recurrence=to_text(_instant(original, zone, all_day_at)) if str(event["UID"]) in series else "",
        starts=to_text(begin),
        minutes=length if length > 0 and not whole_days else None,
        cancelled=str(event.get("STATUS", "")).upper() == "CANCELLED",
        summary=_text(event, "SUMMARY"),
        description=_text(event, "DESCRIPTION"),
        location=_text(event, "LOCATION"),
        categories=tuple(_categories(event)),
        people=tuple(_people(event)),
        own={name.removeprefix(OWN).lower(): str(_first(event[name])) for name in event if name.startswith(OWN)},
    )


def _when(event: Component, name: str) -> date | datetime | None:
    value = getattr(event.get(name), "dt", None)
    return value if isinstance(value, date) else None


def _instant(value: date | datetime, zone: ZoneInfo, all_day_at: time) -> datetime:
    if not isinstance(value, datetime):
        value = datetime.combine(value, all_day_at)
    return (value if value.tzinfo is not None else value.replace(tzinfo=zone)).astimezone(UTC)


def _text(event: Component, name: str) -> str:
    return str(_first(event.get(name, "")) or "").strip()


def _categories(event: Component) -> Iterator[str]:
    for each in _several(event.get("CATEGORIES")):
        yield from (str(word).strip() for word in getattr(each, "cats", [each]))


def _people(event: Component) -> Iterator[str]:
    for each in _several(event.get("ATTENDEE")):
        yield str(each).strip().removeprefix("mailto:").removeprefix("MAILTO:")
        if isinstance(each, icalendar.vCalAddress) and each.params.get("CN"):
            yield str(each.params["CN"]).strip()


def _several(value: object) -> Iterable[object]:
    return [] if value is None else value if isinstance(value, list) else [value]


def short(uid: str, most: int = 200) -> str:
    """A UID that fits: a long one is cut and told apart by its hash."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in uid)
    return plain if len(plain) <= most else f"{plain[:most]}~{hashlib.sha256(uid.encode()).hexdigest()[:16]}"
