"""A feed as iCalendar, in the shape that Google, Apple and Outlook subscribe to: UTC, folded, escaped. Pure.

Says the same, byte by byte, as long as the board does: nothing in it is the time of writing. Every token is masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache

from icalendar import Calendar, Event

from blackboard.clock import from_text
from blackboard.feed import MOST, Entry, Found
from blackboard.feed_coming import MOST as COMING
from blackboard.tokens import redact

MEDIA_TYPE = "text/calendar"
DOMAIN = "blackboard"  # of a uid, behind the board's mark
_END = b"END:VCALENDAR\r\n"
_MARK = re.compile("[0-9a-f]{16}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def rendered(found: Found, agent: str | None = None) -> bytes:
    """The whole calendar."""
    calendar = Calendar()
    calendar.add("prodid", "-//Blackboard Orchestrator//feed//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", f"Blackboard: {agent or 'all agents'}")
    if found.cut:
        calendar.add("x-wr-caldesc", CUT)
    calendar.add("refresh-interval", timedelta(minutes=15), parameters={"value": "DURATION"})
    calendar.add("x-published-ttl", "PT15M")
    calendar.add("x-blackboard-board", found.board)
    head = calendar.to_ical(sorted=False).removesuffix(_END)
    return b"".join([head, *map(_event, found.entries), _END])


CUT = f"There is more in this time than is shown: at most {MOST} events, the nearest to today, and {COMING} to come of one slot."


@lru_cache(maxsize=4 * MOST)  # most of a feed is what it was the last time
def _event(entry: Entry) -> bytes:
    event = Event()
    changed, starts = _seconds(entry.changed_at), _seconds(entry.starts)
    event.add("uid", f"{entry.uid}.{DOMAIN}")
    event.add("dtstamp", changed)
    event.add("last-modified", changed)
    event.add("sequence", entry.sequence)
    event.add("dtstart", starts)
    if entry.ends is not None and (ends := _whole(entry.ends)) > starts:
        event.add("dtend", ends)
    event.add("summary", _plain(entry.title))
    if entry.said:
        event.add("description", _plain(entry.said))
    event.add("status", entry.standing)
    event.add("transp", "TRANSPARENT")  # an agent's time is not that of the person who looks at it
    if entry.agent is not None:
        event.add("categories", [f"agent:{entry.agent}"])
    for name, value in entry.own:
        event.add(f"x-blackboard-{name}", _plain(value))
    text: bytes = event.to_ical(sorted=False)
    return text


def _seconds(instant: str) -> datetime:
    return from_text(instant).replace(microsecond=0)


def _whole(instant: str) -> datetime:
    """The end of the second that an instant is in: what was shorter than a second has a length too."""
    exact = from_text(instant)
    return exact.replace(microsecond=0) + timedelta(seconds=1 if exact.microsecond else 0)


def _plain(text: str) -> str:
    """Text without tokens, and without what no calendar can hold."""
    return redact(_CONTROL.sub("", text.replace("\r\n", "\n")))


def boards(uid: str, said: Iterable[str]) -> frozenset[str]:
    """The marks of the boards that an event came through, by its uid and by what it says itself."""
    mark, _, rest = uid.rpartition("@")[2].partition(".")
    return frozenset(each for each in (*said, mark if rest == DOMAIN else "") if _MARK.fullmatch(each))
