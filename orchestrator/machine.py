"""What this machine has room for now: the bounds that the gates look at.

Reads /proc; changes nothing.
"""

from __future__ import annotations

from blackboard.gates import Room
from orchestrator.config import Settings


def room(settings: Settings) -> Room:
    """What bounds all agents together at this moment."""
    return Room(settings.tick.max_live)
