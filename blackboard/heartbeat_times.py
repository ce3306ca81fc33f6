"""When an agent's heartbeat is due: the interval, where in it, and within which hours of the day. Pure.

Source of the arithmetic: goclaw's heartbeat (nextlevelbuilder/goclaw, internal/store/heartbeat_store.go); its hours are
read as OpenClaw reads them (docs/gateway/heartbeat.md), but that equal bounds mean always.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from blackboard.clock import from_text, plus, seconds_between, to_text
from blackboard.errors import Invalid
from blackboard.slot_records import zone_of

LEAST_SECONDS = 300
HORIZON_DAYS = 7  # so far ahead a beat inside of the hours is looked for

_BASIS, _PRIME = 2166136261, 16777619
_BOUND = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)


def fnv1a(data: bytes) -> int:
    """The 32-bit FNV-1a hash."""
    found = _BASIS
    for byte in data:
        found = (found ^ byte) * _PRIME & 0xFFFFFFFF
    return found


def offset(agent: str, interval: int) -> int:
    """How many seconds an agent's beats stand behind the plain interval: the same for ever, less than a tenth of it.

    Hashed are the 16 bytes of a UUID, where the agent's name is one, else the bytes of the name.
    """
    try:
        named = uuid.UUID(agent).bytes
    except ValueError:
        named = agent.encode()
    return fnv1a(named) % max(interval // 10, 1)


@dataclass(frozen=True)
class Hours:
    """The hours of the day in which a heartbeat may run: from `start`, up to `end`, which is not in them.

    `HH:MM` in an IANA zone; the end may be 24:00. An end before the start is on the next day. Equal bounds: always.
    """

    start: str
    end: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        for bound in (self.start, self.end):
            if _BOUND.fullmatch(bound) is None:
                raise Invalid(f"{bound[:40]!r} is no time of a day: write HH:MM from 00:00 to 24:00")
        if self.start == "24:00":
            raise Invalid("active hours do not begin at 24:00: write 00:00, which is the beginning of the next day")
        zone_of(self.zone)

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"

    @property
    def always(self) -> bool:
        """Whether they leave no instant out."""
        return self.start == self.end or (self.start, self.end) == ("00:00", "24:00")


def hours(text: str, zone: str) -> Hours:
    """Read `HH:MM-HH:MM`; Invalid."""
    start, dash, end = text.partition("-")
    if not dash:
        raise Invalid(f"active hours are HH:MM-HH:MM, such as 08:00-22:00, not {text[:40]!r}")
    return Hours(start.strip(), end.strip(), zone)


def is_within(found: Hours | None, now: str) -> bool:
    """Whether a heartbeat may run at this instant."""
    return found is None or found.always or any(since <= now < until for since, until in _windows(found, now))


def hours_end(found: Hours | None, now: str) -> str | None:
    """When the hours that `now` is in end; None when they never do, or it is in none."""
    if found is None or found.always:
        return None
    return next((until for since, until in _windows(found, now) if since <= now < until), None)


def next_run(anchor: str, interval: int, now: str) -> str:
    """The beat that follows `anchor`, in steps of the interval: the first after `now`.

    More than a whole interval behind, it begins anew from `now`: nothing that was missed is made up for.
    """
    following = plus(anchor, interval)
    behind = seconds_between(following, now)
    if behind < 0:
        return following
    if behind > interval:
        return plus(now, interval)
    return plus(following, interval * (behind // interval + 1))


def within(found: Hours | None, beat: str, interval: int, shift: int) -> str:
    """The first beat from `beat` on that is inside of the hours: on its grid, so that agents stay apart.

    Where no beat of the grid meets the hours in a week, the hours' next beginning and `shift` seconds.
    """
    if found is None or found.always:
        return beat
    opening: str | None = None
    for since, until in _windows(found, beat):
        steps = max(0, -int(seconds_between(since, beat) // interval)) if since > beat else 0
        candidate = plus(beat, steps * interval)
        if since <= candidate < until:
            return candidate
        if since >= beat and opening is None:
            opening = plus(since, min(shift, max(0, int(seconds_between(since, until)) - 1)))
    return opening or beat


def _windows(found: Hours, now: str) -> Iterator[tuple[str, str]]:
    """The hours of yesterday, today and the days to come, as instants. A day may have none, where a clock jumps over them."""
    zone = ZoneInfo(found.zone)
    today = from_text(now).astimezone(zone).date()
    for days in range(-1, HORIZON_DAYS + 1):
        day = today + timedelta(days=days)
        since = _instant(day, found.start, zone)
        until = _instant(day + timedelta(days=found.end <= found.start), found.end, zone)
        if since < until:
            yield since, until


@lru_cache(maxsize=4096)  # a thousand agents ask for the same few days
def _instant(day: date, bound: str, zone: ZoneInfo) -> str:
    """The instant of a wall time, as a slot's is read: one that a clock jumps over is later, of two the first is meant."""
    if bound == "24:00":
        day, bound = day + timedelta(days=1), "00:00"
    return to_text(datetime.combine(day, time.fromisoformat(bound), zone))
