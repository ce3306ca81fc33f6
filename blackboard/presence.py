"""Where an agent stands, in one word: what our own attempts say, then the agent itself, then others. Never kept.

The board: offline (disabled or paused), exhausted (its account or a budget lets it begin nothing for now), busy (no free
place), on_call (a turn runs and a place is free). Only while nothing of that is so, what was reported counts; without
a report it is idle. `unknown` is what somebody said in so many words, and nobody else knew better.

`note` tells changes as events. A claim asks the gate `presence`, not this word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from blackboard import presence_reports
from blackboard.board import Rows, Tx
from blackboard.claims import agent_facts
from blackboard.gates import AGENT_GATES, AgentFacts, Room
from blackboard.presence_reports import Said, Word

BOARD = "board"  # the source of what our own attempts and gates say
# The word for an agent that waits at a gate; the first in this order wins.
AT_GATE: Mapping[Word, tuple[str, ...]] = {
    "offline": ("board_paused", "enabled", "paused"),
    "exhausted": ("account", "budget"),
    "busy": ("free",),
}


class Presence(NamedTuple):
    """The word, and the sentence of what it waits for, if it does; who says so, and since when where that is known."""

    word: Word
    because: str | None
    source: str = BOARD
    said_at: str | None = None


def presence(facts: AgentFacts, limited: str | None = None) -> Presence:
    """Where an agent stands. `limited`: the sentence about its account while a provider refuses it, else None."""
    return stands(own(facts, limited), facts.said)


def own(facts: AgentFacts, limited: str | None = None) -> Presence:
    """What its own attempts and gates say."""
    closed = {gate.name: said for gate in AGENT_GATES if (said := gate.closed(facts)) is not None}
    for word, gates in AT_GATE.items():
        said = next((closed[name] for name in gates if name in closed), None)
        if word == "exhausted":
            said = limited or said
        if said is not None:
            return Presence(word, said)
    if facts.live:
        return Presence("on_call", f"{facts.live} of {facts.agent['max_live']} attempts live")
    return Presence("idle", None)


def stands(own: Presence, said: Said | None) -> Presence:
    """Both together: our own attempts know best, and are asked first; while nothing of ours runs, what is said counts."""
    if own.word != "idle" or said is None:
        return own
    return Presence(said.status, said.sentence, said.source, said.reported_at)


LIMITED = """
SELECT g.id, c.id AS account, c.limited_until, c.limit_reason FROM agents g JOIN accounts c ON c.id = g.account WHERE c.limited_until > :now
"""


def of_all(rows: Rows, now: str, room: Room) -> dict[str, Presence]:
    """Every agent's presence, by its id."""
    return _of_all(rows, now, room, presence_reports.of_all(rows, now))


def to_tell(rows: Rows, now: str, room: Room) -> dict[str, Presence]:
    """The same as servers are told it: without what servers said that are asked.

    Who is asked may be who is told: our own word would come back as his, and hold for ever.
    """
    return _of_all(rows, now, room, presence_reports.of_all(rows, now, asked=False))


def _of_all(rows: Rows, now: str, room: Room, reported: Mapping[str, Said]) -> dict[str, Presence]:
    limited = {row["id"]: row for row in rows.all(LIMITED, now=now)}
    found = {}
    for facts in agent_facts(rows, now, room):
        row = limited.get(facts.agent["id"])
        said = (
            f"account {row['account']} is limited until {row['limited_until']}: {row['limit_reason'] or 'no reason given'}"
            if row
            else None
        )
        found[facts.agent["id"]] = stands(own(facts, said), reported.get(facts.agent["id"]))
    return found


SOMETHING = "SELECT EXISTS (SELECT 1 FROM presence_reports) OR EXISTS (SELECT 1 FROM presences) AS found"
EXPIRED = "SELECT 1 FROM presence_reports WHERE expires_at <= :now LIMIT 1"
TOLD = "SELECT agent_id, status, source FROM presences"
TELL = """
INSERT INTO presences (agent_id, status, source, reason) VALUES (:agent, :status, :source, :reason)
ON CONFLICT (agent_id) DO UPDATE SET status = excluded.status, source = excluded.source, reason = excluded.reason
"""


def untold(rows: Rows, now: str, room: Room, everything: bool) -> dict[str, Presence]:
    """Whose presence is another one than was told last. `everything`: also where only our own attempts made it so.

    Without that, those are told by the events of the attempts themselves.
    """
    row = rows.one(SOMETHING)
    if not everything and not (row and row["found"]):
        return {}
    told = {row["agent_id"]: (row["status"], row["source"]) for row in rows.all(TOLD)}
    changed = {}
    for agent, found in of_all(rows, now, room).items():
        before = told.get(agent)
        reported = found.source != BOARD or (before is not None and before[1] != BOARD)
        if before != (found.word, found.source) and (everything or reported):
            changed[agent] = found
    return changed


def to_note(rows: Rows, now: str, room: Room, everything: bool) -> bool:
    """Whether `note` would write anything."""
    return rows.one(EXPIRED, now=now) is not None or bool(untold(rows, now, room, everything))


def note(tx: Tx, room: Room, everything: bool) -> list[str]:
    """Tell every presence that has changed (event `presence_changed`), and drop words that have expired; whose."""
    changed = untold(tx, tx.now, room, everything)
    for agent, found in changed.items():
        tx.run(TELL, agent=agent, status=found.word, source=found.source, reason=found.because)
    tx.run(presence_reports.SWEEP, now=tx.now)
    return list(changed)
