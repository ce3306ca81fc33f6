"""Where an agent stands, in the calendar's protocol: asked by an instance, and reported by one.

What is asked for is what our own board knows, with what was reported; what is reported is one word among those of others,
and expires (blackboard/presence_reports.py).
"""

from __future__ import annotations

from typing import Any

from blackboard import agents, calendar_callers, permissions, presence, presence_reports
from blackboard.board import Rows, Tx
from blackboard.clock import plus
from blackboard.errors import Forbidden, Invalid
from blackboard.gates import Room
from blackboard.presence_reports import Word

# That it has no place here says nothing of one that is woken elsewhere.
NEVER_HERE = """
SELECT 1 FROM agents WHERE id = :agent AND max_live = 0
   AND NOT EXISTS (SELECT 1 FROM attempts WHERE agent_id = :agent AND gone_at IS NULL)
"""


def read(
    rows: Rows, token: bytes | None, instance: str | None, agent: str | None, now: str, room: Room
) -> dict[str, Any]:
    """The agent's word. `agent` None: the one whose token it is."""
    asker = calendar_callers.asker(rows, token, instance, "read")
    which = _which(asker, agent)
    calendar_callers.must_reach(rows, asker, which)
    found = presence.of_all(rows, now, room)[which]
    if found.word == "busy" and rows.one(NEVER_HERE, agent=which) is not None:
        found = presence.stands(presence.Presence("idle", None), presence_reports.of_all(rows, now).get(which))
    return {"agent_id": which, "status": found.word, "because": found.because}


def report(tx: Tx, token: bytes | None, instance: str | None, agent: str | None, status: Word) -> dict[str, Any]:
    """Keep an instance's word on an agent until it expires; an agent's own token says it as the agent itself does.

    Of another agent it says it where that is permitted.
    """
    asker = calendar_callers.asker(tx, token, instance, "operate")
    which = _which(asker, agent)
    if asker.agent is not None:
        found = permissions.explain(tx, asker.agent, "presence", which)
        if not found.allowed:
            raise Forbidden(permissions.refusal(asker.agent, "presence", which, found))
    agents.must_exist(tx, which)
    source = presence_reports.source_of(asker.agent, which) if asker.agent is not None else f"instance:{asker.instance}"
    good_for = presence_reports.GOOD_FOR
    presence_reports.put(tx, which, source, status, actor=asker.actor, good_for=good_for)
    return {"agent_id": which, "status": status, "expires_at": plus(tx.now, good_for)}


def _which(asker: calendar_callers.Asker, agent: str | None) -> str:
    which = agent or asker.agent
    if which is None:
        raise Invalid("name the agent: by agent_id, or in the header X-Agent-ID")
    return which
