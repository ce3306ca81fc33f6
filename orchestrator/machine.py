"""What there is room for now: the bounds that the gates look at.

Changes nothing.
"""

from __future__ import annotations

from blackboard.days import day_of
from blackboard.gates import Room
from orchestrator.config import Settings


def room(settings: Settings, now: str) -> Room:
    """What bounds all agents together at `now`."""
    return Room(settings.tick.max_live, day_of(now, settings.budget.time_zone))
