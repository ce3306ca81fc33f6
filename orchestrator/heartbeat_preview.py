"""What an agent's next heartbeat would be told: the prompt of a task that does not exist yet. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blackboard import heartbeats
from blackboard.board import Rows
from orchestrator.exits import FAILED, Exit
from prompts.render import PromptError, compose

if TYPE_CHECKING:
    from orchestrator.config import Settings

PROJECT = "SELECT title FROM projects WHERE id = :id"


def prompt(rows: Rows, settings: Settings, agent: str, now: str, checklist: str | None) -> str:
    """The prompt, with the paths and the number of a task that is not there; Exit when it cannot be made.

    `checklist`: what its file holds now; None: what the board has.
    """
    row = heartbeats.get(rows, agent)
    project = rows.one(PROJECT, id=row["project_id"])
    policy, own = settings.policy_for(agent), settings.agents.get(agent)
    beat = {name: row[name] for name in ("checklist", "prompt", "ack_word", "ack_max_chars", "model")}
    beat |= {} if checklist is None else {"checklist": checklist}
    brief = {
        "project": row["project_id"], "project_title": project["title"] if project else "", "agent": agent, "role": "executor",
        "task": {"id": 0, "title": f"Heartbeat of {agent}", "description": "", "task_type": "heartbeat", "priority": 0, "must_haves": "",
                 "status": "claimed", "due_at": now, "data": {}},
        "branch": None, "attempt": 1, "attempt_id": 0, "reviews": 0, "max_tries": row["max_retries"] + 1, "max_review_tries": 1, "checks": [],
        "verified": False, "needs_output": False, "question": None, "answer": None, "history": [], "comments": [], "children": [],
        "limits": {name: getattr(policy, name) for name in ("wall_seconds", "idle_seconds", "startup_seconds")},
        "parent": None, "needs": [], "work": None,
        "heartbeat": beat | {name: bool(row[name]) for name in ("light_context", "isolated_session")},
    }  # fmt: skip
    directory = settings.attempts_dir / "NEXT"
    try:
        return compose(
            brief, base_url=settings.base_url(), curl_conf=str(directory / "curl.conf"), bb=str(directory / "bb"),
            workspace=str(settings.workspaces_dir / "NEXT"), tail=None, folder=settings.prompts.templates,
            reports=own is None or own.calls_back,
        ).text  # fmt: skip
    except PromptError as error:
        raise Exit(str(error), FAILED) from None
