"""When waiting changes may be told: the earlier push is acknowledged, enough places are free, the cooldown is over.

One function says why not, for the push itself and for whoever asks. Reads the board; changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from blackboard.board import Rows
from blackboard.claims import agent_facts
from blackboard.clock import plus, seconds_between
from blackboard.gates import AGENT_GATES, AgentFacts, Room


@dataclass(frozen=True)
class Lane:
    """Changes that are told together: those of one target and topic. `wanted`: places to be free before a push."""

    target: str
    topic: str
    project: str
    sinks: tuple[str, ...] = ()
    cooldown: float = 60.0
    wanted: int = 1
    max_tries: int = 3

    @property
    def agent(self) -> str | None:
        """The agent that gets a task."""
        return self.target.removeprefix("agent:") if self.target.startswith("agent:") else None

    @property
    def role(self) -> str | None:
        """The role that gets a task."""
        return self.target.removeprefix("role:") if self.target.startswith("role:") else None


class Wait(NamedTuple):
    """Why changes wait. `until`: UTC text, where only time is waited for."""

    because: str
    until: str | None = None


OPEN = "SELECT id, posted_at FROM watch_pushes WHERE target = :target AND topic = :topic AND state = 'open'"
LAST = "SELECT posted_at FROM watch_pushes WHERE target = :target AND topic = :topic ORDER BY id DESC LIMIT 1"


SOME = "SELECT 1 FROM watch_changes WHERE target = :target AND topic = :topic AND state = 'waiting' LIMIT 1"
URGENT = SOME.replace("LIMIT", "AND urgent = 1 LIMIT")


def some_wait(rows: Rows, lane: Lane) -> bool:
    """Whether a lane has changes that wait, however many."""
    return rows.one(SOME, target=lane.target, topic=lane.topic) is not None


def urgent_waits(rows: Rows, lane: Lane) -> bool:
    """Whether one of them is urgent."""
    return rows.one(URGENT, target=lane.target, topic=lane.topic) is not None


def waits(rows: Rows, lane: Lane, now: str, room: Room) -> Wait | None:
    """Why the lane's changes are not told now; None when they may be. Urgent ones go through the cooldown alone."""
    push = rows.one(OPEN, target=lane.target, topic=lane.topic)
    if push is not None:
        return Wait(f"push {push['id']} of {push['posted_at']} is not acknowledged yet")
    if (closed := _taken(rows, lane, now, room)) is not None:
        return Wait(closed)
    last = rows.one(LAST, target=lane.target, topic=lane.topic)
    # What is later than now: a clock was set back.
    if last is None or not 0 <= seconds_between(last["posted_at"], now) < lane.cooldown or urgent_waits(rows, lane):
        return None
    until = plus(last["posted_at"], lane.cooldown)
    return Wait(f"cooldown until {until}", until)


def _taken(rows: Rows, lane: Lane, now: str, room: Room) -> str | None:
    """Why too few places are free, by the very gates of a claim; None when enough are."""
    if not lane.wanted:
        return None
    every = agent_facts(rows, now, room)
    if lane.agent is None and lane.role is None:
        all_live = every[0].all_live if every else 0
        return _too_few(room.max_live - all_live, lane.wanted, "all agents together have")
    project = rows.one(PAUSED, project=lane.project)
    if project is not None:
        reason = project["pause_reason"] or "no reason given"
        return f"project {lane.project} is paused since {project['paused_at']}: {reason}"
    able = set() if lane.role is None else {row["agent_id"] for row in rows.all(ABLE, role=lane.role)}
    asked = [facts for facts in every if facts.agent["id"] == lane.agent or facts.agent["id"] in able]
    closed = [said for facts in asked if (said := _closed(facts)) is not None]
    free = sum(_free(facts) for facts in asked if _closed(facts) is None)
    if not free and closed:
        return closed[0] if lane.agent else f"no agent of role {lane.role} is free: {closed[0]}"
    most = min(free, room.max_live - (every[0].all_live if every else 0))
    return _too_few(most, lane.wanted, f"agent {lane.agent} has" if lane.agent else f"role {lane.role} has")


PAUSED = "SELECT paused_at, pause_reason FROM projects WHERE id = :project AND paused_at IS NOT NULL"
ABLE = "SELECT agent_id FROM agent_roles WHERE role = :role"


def _closed(facts: AgentFacts) -> str | None:
    return next((said for gate in AGENT_GATES if (said := gate.closed(facts)) is not None), None)


def _free(facts: AgentFacts) -> int:
    return max(0, int(facts.agent["max_live"]) - facts.live)


def _too_few(free: int, wanted: int, who: str) -> str | None:
    return None if free >= wanted else f"{who} {max(0, free)} free places, and {wanted} are wanted"
