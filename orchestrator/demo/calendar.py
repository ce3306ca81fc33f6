"""The demo's calendar file: a few events as a calendar program writes them, in iCalendar. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST_LINE = 75  # bytes; what is longer goes on in a line that begins with a space


@dataclass(frozen=True)
class Event:
    """One event of an agent: first `after` seconds from the beginning, then as `rule` says."""

    uid: str
    after: float
    agent: str
    summary: str
    description: str
    rule: str


def text_of(events: Iterable[Event], begin: datetime) -> str:
    """The calendar. `begin`: in UTC."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Blackboard Orchestrator//Demo//EN"]
    for each in events:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{each.uid}",
            f"DTSTAMP:{_instant(begin)}",
            f"DTSTART:{_instant(begin + timedelta(seconds=each.after))}",
            "DURATION:PT1M",
            f"RRULE:{each.rule}",
            f"CATEGORIES:{each.agent}",
            f"SUMMARY:{_escaped(each.summary)}",
            f"DESCRIPTION:{_escaped(each.description)}",
            "END:VEVENT",
        ]
    return "".join(f"{_folded(line)}\r\n" for line in [*lines, "END:VCALENDAR"])


def _instant(when: datetime) -> str:
    return f"{when:%Y%m%dT%H%M%SZ}"


def _escaped(text: str) -> str:
    for sign in ("\\", ";", ","):
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", "\\n")


def _folded(line: str) -> str:
    """The line in pieces that are short enough, no letter cut in two."""
    pieces, piece = [], ""
    for letter in line:
        if len(f"{piece}{letter}".encode()) >= LONGEST_LINE:
            pieces.append(piece)
            piece = " "
        piece += letter
    return "\r\n".join([*pieces, piece])
