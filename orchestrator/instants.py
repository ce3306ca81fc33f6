"""Times as a person types them at the command line, turned into the board's text.

The clock is the system's: this is what a person means by "now". Never used for what a file or an agent says.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from blackboard.clock import to_text
from orchestrator.exits import USAGE, Exit

_FROM_NOW = re.compile(r"\+(\d+(?:\.\d+)?)([smhd])")
_TODAY = re.compile(r"\d\d:\d\d(:\d\d)?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def instant(text: str, zone: str, option: str, now: datetime | None = None) -> str:
    """`+10m`, `09:00` (today), or ISO 8601; without an offset the time is meant in `zone`. Exit 2 for anything else."""
    now = now or datetime.now(UTC)
    try:
        return to_text(_meant(text.strip(), ZoneInfo(zone), now))
    except (ValueError, OverflowError):
        raise Exit(
            f"{option}: {text!r} is no time: write 2026-01-31T09:00, 09:00 or +10m (s, m, h, d)", USAGE
        ) from None


def _meant(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    later = _FROM_NOW.fullmatch(text)
    if later:
        return now + timedelta(seconds=float(later.group(1)) * _UNITS[later.group(2)])
    if _TODAY.fullmatch(text):
        text = f"{now.astimezone(zone).date().isoformat()}T{text}"
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=zone)
