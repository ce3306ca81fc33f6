"""A feed as a strict calendar program reads it: what RFC 5545 asks of every line and event, then the events by uid."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from icalendar import Calendar

from blackboard import feed, feed_text
from blackboard.board import Board

NEEDED = {
    "UID",
    "DTSTAMP",
    "LAST-MODIFIED",
    "SEQUENCE",
    "DTSTART",
    "SUMMARY",
    "STATUS",
    "TRANSP",
    "X-BLACKBOARD-STATUS",
}


def sound(text: bytes) -> dict[str, dict[str, Any]]:
    """The events of a feed, each as its properties, by its uid without board and domain."""
    assert text.endswith(b"\r\n") and text.count(b"\n") == text.count(b"\r\n") == text.count(b"\r")
    assert max(map(len, text.split(b"\r\n"))) <= 75
    for line in text.split(b"\r\n"):
        line.decode("utf-8")  # no character is cut in two
    (calendar,) = Calendar.from_ical(text, multiple=True)
    assert str(calendar["VERSION"]) == "2.0" and calendar["X-WR-CALNAME"] and b"\r\nX-PUBLISHED-TTL:PT15M\r\n" in text
    assert b"REFRESH-INTERVAL;VALUE=DURATION:PT15M\r\n" in text
    found: dict[str, dict[str, Any]] = {}
    for event in calendar.walk("VEVENT"):
        assert (
            event.errors == [] and set(event) >= NEEDED and event["STATUS"] in ("CONFIRMED", "TENTATIVE", "CANCELLED")
        )
        starts, ends = event["DTSTART"].dt, event.get("DTEND")
        assert isinstance(starts, datetime) and starts.tzname() == "UTC"
        assert ends is None or ends.dt > starts
        found[str(event["UID"]).partition("@")[0]] = {
            "at": f"{starts:%d %H:%M:%S}", "until": f"{ends.dt:%d %H:%M:%S}" if ends is not None else None,
            "title": str(event["SUMMARY"]), "is": str(event["STATUS"]), "word": str(event["X-BLACKBOARD-STATUS"]),
            "agent": str(event.get("X-BLACKBOARD-AGENT", "")), "said": str(event.get("DESCRIPTION", "")),
            "sequence": int(event["SEQUENCE"]), "uid": str(event["UID"]), "raw": event,
        }  # fmt: skip
    assert not [
        uid for uid, times in Counter(str(each["UID"]) for each in calendar.walk("VEVENT")).items() if times > 1
    ]
    return found


async def text_of(board: Board, agent: str | None = None) -> bytes:
    return feed_text.rendered(await board.read(feed.read, board.clock.now(), agent), agent)


async def events_of(board: Board, agent: str | None = None) -> dict[str, dict[str, Any]]:
    return sound(await text_of(board, agent))


def short(events: dict[str, dict[str, Any]], *keys: str) -> dict[str, tuple[Any, ...]]:
    """Some of each event."""
    return {uid: tuple(each[key] for key in keys) for uid, each in events.items()}
