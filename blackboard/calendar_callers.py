"""Who speaks the calendar's protocol, and what for: an agent for itself, an operator for all, or an instance that is let in.

Never more than a token's own reach. An instance without a token is let in only where the configuration names it, and
only from this machine, which is looked at before (api/calendar.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from blackboard import agents, tokens
from blackboard.board import Rows, Tx
from blackboard.errors import Forbidden
from blackboard.tokens import Caller


@dataclass(frozen=True)
class Asker:
    """A caller as an instance. `agent`: the only one it speaks for; None: everybody."""

    instance: str
    actor: str
    agent: str | None


def asker(rows: Rows, token: bytes | None, instance: str | None, scope: str) -> Asker:
    """Who asks; Unauthorized, or Forbidden without `scope`. `token` None: the instance of that name is let in.

    An instance that does not name itself is called as its token is.
    """
    if token is None:
        return Asker(str(instance), f"instance:{instance}", None)
    caller = tokens.identify(cast(Tx, rows), token)
    return Asker(instance or caller.name, caller.actor, _agent(caller, scope))


def _agent(caller: Caller, scope: str) -> str | None:
    if caller.kind == "agent":
        return caller.agent_id
    if caller.attempt is not None:
        raise Forbidden("the calendar is for agents' own tokens and for operators: use the routes in your prompt")
    if not caller.may(scope):
        raise Forbidden(f"this needs an operator's token with scope {scope}: it is in the operator token file")
    return None


def must_reach(rows: Rows, asker: Asker, agent: str) -> None:
    """Forbidden unless it may speak for this agent; NotFound when there is none of that name."""
    if asker.agent not in (None, agent):
        raise Forbidden(f"this token speaks for agent {asker.agent} only")
    agents.must_exist(rows, agent)
