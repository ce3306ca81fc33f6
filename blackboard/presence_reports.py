"""What agents say of where they stand, and what others say of them: kept until it expires, the latest word of each.

Nothing here looks at the agent's own attempts: how both go together is blackboard/presence.py. A word that comes late,
or is lost, may delay a claim; it never makes a second one, for a claim asks every other gate as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal, NamedTuple, get_args

from blackboard import agents, permissions, sources
from blackboard.board import Rows, Tx
from blackboard.clock import plus
from blackboard.errors import Forbidden
from blackboard.tokens import Caller, identify

Word = Literal["idle", "on_call", "busy", "exhausted", "offline", "unknown"]
WORDS: tuple[Word, ...] = get_args(Word)
OWN = "agent"  # the source of what an agent says itself, or a person for it
KIND = "presence"  # sources that are asked are called `presence:NAME`
GOOD_FOR = 3600.0  # seconds, where a report does not say how long it holds


class Said(NamedTuple):
    """One word of one source; times are UTC text."""

    agent: str
    status: Word
    source: str
    reported_at: str
    expires_at: str
    reason: str | None = None

    @property
    def sentence(self) -> str:
        """Who says what, and until when."""
        who = f"agent {self.agent} says" if self.source == OWN else f"{self.source} says of agent {self.agent}"
        return f"{who} that it is {self.status}, until {self.expires_at}" + (f": {self.reason}" if self.reason else "")


def holding(said: Iterable[Said], now: str) -> Said | None:
    """The word that counts: the agent's own before those of others, by name; expired ones say nothing.

    `unknown` is no answer where anybody has one, and is not `idle` where nobody has.
    """
    current = [each for each in said if each.expires_at > now]
    return min(current, key=lambda each: (each.status == "unknown", each.source != OWN, each.source), default=None)


SAID = """
SELECT agent_id AS agent, status, source, reported_at, expires_at, reason FROM presence_reports ORDER BY agent_id, source
"""
SAID_OF = """
SELECT agent_id AS agent, status, source, reported_at, expires_at, reason FROM presence_reports WHERE agent_id = :agent ORDER BY source
"""


def of_all(rows: Rows, now: str, *, asked: bool = True) -> dict[str, Said]:
    """The word that counts, by agent: nothing for those of whom nobody says anything.

    `asked`: with what servers said that are asked.
    """
    each: dict[str, list[Said]] = {}
    for row in rows.all(SAID):
        if asked or not row["source"].startswith(f"{KIND}:"):
            each.setdefault(row["agent"], []).append(Said(**dict(row)))
    held = {agent: holding(said, now) for agent, said in each.items()}
    return {agent: said for agent, said in held.items() if said is not None}


def of_agent(rows: Rows, agent: str, now: str) -> list[Said]:
    """Everything that is said of an agent and has not expired."""
    return [said for row in rows.all(SAID_OF, agent=agent) if (said := Said(**dict(row))).expires_at > now]


# The next instant at which a word expires, and a claim may be due.
NEXT_EXPIRY = "SELECT min(expires_at) AS earliest_at FROM presence_reports WHERE expires_at > :now"
PUT = """
INSERT INTO presence_reports (agent_id, source, status, actor, reason, reported_at, expires_at)
VALUES (:agent, :source, :status, :actor, :reason, :now, :expires)
ON CONFLICT (agent_id, source) DO UPDATE SET status = excluded.status, actor = excluded.actor, reason = excluded.reason,
   reported_at = excluded.reported_at, expires_at = excluded.expires_at
"""
TAKE_BACK = "DELETE FROM presence_reports WHERE agent_id = :agent AND source = :source"
SWEEP = "DELETE FROM presence_reports WHERE expires_at <= :now"


def put(
    tx: Tx, agent: str, source: str, status: Word | None, *, actor: str, good_for: float, reason: str | None = None
) -> None:
    """Keep what a source says of an agent for `good_for` seconds; None: it says nothing any more."""
    if status is None:
        tx.run(TAKE_BACK, agent=agent, source=source)
    else:
        tx.run(PUT, agent=agent, source=source, status=status, actor=actor, reason=reason, now=tx.now,
               expires=plus(tx.now, good_for))  # fmt: skip


def report(
    tx: Tx, token_hash: bytes, agent: str, status: Word, *, expires_in: float | None = None, source: str | None = None,
    reason: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """An agent says where it stands, with its own token or that of a living attempt; or an operator says it.

    So does another agent that is permitted to. `expires_in`: seconds; `source`: an operator's own name for where the word
    comes from.
    """
    caller = identify(tx, token_hash)
    permissions.must_allow(tx, caller, "presence", agent)
    agents.must_exist(tx, agent)
    if source is not None and caller.kind != "operator":
        raise Forbidden("source is for operators: what an agent says is said under its own name")
    where = source or source_of(caller.agent_id, agent)
    put(tx, agent, where, status, actor=caller.actor, good_for=expires_in or GOOD_FOR, reason=reason)
    expires = plus(tx.now, expires_in or GOOD_FOR)
    told = {"agent": agent, "status": status, "source": where, "reported_at": tx.now, "expires_at": expires}
    return told | {"next": f"this holds until {expires}: say it again before, or say another word"}


def source_of(by: str | None, agent: str) -> str:
    """What an agent's word is kept under: its own, which a person may say for it too (None), or that of another agent."""
    return OWN if by in (None, agent) else f"agent:{by}"


def own(caller: Caller, agent: str, *, scope: str) -> None:
    """Forbidden unless the caller is this agent, a living attempt of it, or an operator with this scope; Fenced."""
    permissions.must_live(caller)
    if caller.agent_id == agent or caller.may(scope):
        return
    if caller.agent_id is not None:
        raise Forbidden(f"this token is agent {caller.agent_id}'s: use the path /api/agents/{caller.agent_id}/status")
    raise Forbidden(f"this needs an operator's token with scope {scope}: it is in the operator token file")


NAMED = "SELECT DISTINCT source FROM presence_reports WHERE source GLOB :kind"
FORGET = "DELETE FROM presence_reports WHERE source = :source"


def forget_others(tx: Tx, named: Collection[str]) -> None:
    """The configuration asks only these sources now: what others said goes with them."""
    gone: Sequence[str] = [row["source"] for row in tx.all(NAMED, kind=f"{KIND}:*") if row["source"] not in named]
    for source in {*gone, *sources.unnamed(tx, KIND, named)}:
        tx.run(FORGET, source=source)
        sources.forget(tx, source)
