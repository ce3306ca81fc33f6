"""Where an agent stands, in one word: derived from its row and the gates, never kept.

offline: disabled or paused. exhausted: its account or a budget lets it begin nothing for now. busy: it has no free
place. idle: it would begin at once. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from blackboard.board import Rows
from blackboard.claims import agent_facts
from blackboard.gates import AGENT_GATES, AgentFacts, Room

Word = Literal["offline", "exhausted", "busy", "idle"]
# The word for an agent that waits at a gate; the first in this order wins.
WORDS: Mapping[Word, tuple[str, ...]] = {
    "offline": ("board_paused", "enabled", "paused"),
    "exhausted": ("account", "budget"),
    "busy": ("free",),
}


class Presence(NamedTuple):
    """The word, and the sentence of what it waits for; None while it is idle."""

    word: Word
    because: str | None


def presence(facts: AgentFacts, limited: str | None = None) -> Presence:
    """Where an agent stands. `limited`: the sentence about its account while a provider refuses it, else None."""
    closed = {gate.name: said for gate in AGENT_GATES if (said := gate.closed(facts)) is not None}
    for word, gates in WORDS.items():
        said = next((closed[name] for name in gates if name in closed), None)
        if word == "exhausted":
            said = limited or said
        if said is not None:
            return Presence(word, said)
    return Presence("idle", None)


LIMITED = """
SELECT g.id, c.id AS account, c.limited_until, c.limit_reason FROM agents g JOIN accounts c ON c.id = g.account WHERE c.limited_until > :now
"""


def of_all(rows: Rows, now: str, room: Room) -> dict[str, Presence]:
    """Every agent's presence, by its id."""
    limited = {row["id"]: row for row in rows.all(LIMITED, now=now)}
    found = {}
    for facts in agent_facts(rows, now, room):
        row = limited.get(facts.agent["id"])
        said = (
            f"account {row['account']} is limited until {row['limited_until']}: {row['limit_reason'] or 'no reason given'}"
            if row
            else None
        )
        found[facts.agent["id"]] = presence(facts, said)
    return found
