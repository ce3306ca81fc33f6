"""Which conversation of its program an attempt goes on with: asked of the board in the transaction that prepares it.

What each program can do is on its runner's row; what is sound to go on with is decided by blackboard.sessions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blackboard import attempts, sessions
from blackboard.board import Tx
from blackboard.sessions import Wish
from orchestrator.config_agent import AgentConfig
from orchestrator.runners.program import own_session
from orchestrator.runners.table import runner_of


def chosen(tx: Tx, brief: Mapping[str, Any], agent: AgentConfig | None) -> dict[str, Any]:
    """What the brief of a prepared attempt says of its session: `session_id`, `resumes` and `session`, the words for people.

    Nothing for a program that cannot go on with any.
    """
    can = runner_of(agent).sessions if agent is not None else None
    if agent is None or can is None:
        return {}
    attempt = attempts.get(tx, brief["attempt_id"])
    wish = Wish(
        program=" ".join(filter(None, (agent.runner, agent.program.model))),
        same_folder=can.same_folder,
        workspace=str(attempt["workspace"]),
        most_attempts=agent.session_max_attempts,
        most_tokens=agent.session_max_tokens,
    )
    own = own_session(brief) if can.own_id else None
    found = sessions.choose(tx, attempt, wish, own)
    said = {"resumed": found.resumes} if found.resumes else {"fresh": found.fresh}
    return {"session_id": found.session_id or own, "resumes": found.resumes, "session": said}
