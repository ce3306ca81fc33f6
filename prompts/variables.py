"""Every name a template may use, with its meaning, and the values of one attempt under these names.

Pure. What is not in the table is not handed to a template.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

from blackboard import states
from prompts.brief import Brief
from prompts.history import retold
from prompts.quoting import cut, fence, one_line

LONGEST = {"description": 100_000, "must_haves": 20_000, "data": 8_000}  # characters
# What a slot's event_data says of the task itself or of its policy: told in its own place, or nothing to the agent.
NOT_MORE = frozenset(
    [
        "title",
        "description",
        "must_haves",
        "checks",
        "type",
        "project",
        "review",
        "max_review_tries",
        "max_tries",
        "backoff_seconds",
        "backoff_cap_seconds",
        "wall_seconds",
        "idle_seconds",
        "startup_seconds",
        "settle_seconds",
        "max_rejections",
        "needs_output",
        "waits_for_children",
        "max_same",
        "attempt_usd",
        "attempt_tokens",
        "task_usd",
        "task_tokens",
        "wake_after",
    ]
)

# Ready to be printed as they are: one line each, or a fenced block for what others wrote at length.
READY: Mapping[str, str] = {
    "project_id": "The project's name in addresses.",
    "task_id": "The task's number.",
    "title": "The task's title, on one line.",
    "description": "What is to be done, as a fenced block; `(none)` in it when there is nothing.",
    "task_type": "What kind of task it is; `general` when nobody said.",
    "priority": "A number; a higher one is more urgent.",
    "must_haves": "The required conditions, as a fenced block; `(none)` in it when there are none.",
    "agent_id": "The agent's name.",
    "api_host": "The host of the API's address.",
    "api_port": "Its port.",
    "current_status": "The task's state, `claimed` when an attempt begins.",
    "retry_context": "What was tried before and what was said about it, as a fenced block; empty at the first attempt.",
    "drawing": "The states and their arrows as text.",
}
TOOLS: Mapping[str, str] = {
    "url": "The task's address; `/status`, `/outputs`, `/comments`, `/heartbeat`, `/children` come behind it.",
    "curl": "`curl` with the attempt's configuration file, which holds the right to report; quoted for a shell.",
    "bb": "The path of the small program that reports; quoted for a shell.",
    "spool": "The folder for reports while the API does not answer.",
    "workspace": "The folder the agent works in.",
    "end": "A word that ends a here-document: nobody who wrote a text can know it.",
    "output_types": "The types an output may have.",
    "blocked_kinds": "The reasons for which a task may be blocked.",
    "longest": "How many characters of `description`, `must_haves` and `data` fit.",
    "ack": "The word an agent that was only woken answers with; empty for all others.",
}
BRIEF: Mapping[str, str] = {
    "project": "As `project_id`.",
    "project_title": "What people call the project; may be empty.",
    "task": "`id`, `title`, `description`, `task_type`, `priority`, `must_haves`, `status`, `due_at`, `data`: as they were written.",
    "agent": "As `agent_id`.",
    "role": "`executor` or `reviewer`.",
    "branch": "The branch of the git worktree it works in; none in a plain folder.",
    "attempt": "The attempt's number on its task.",
    "attempt_id": "Its number on the board.",
    "reviews": "How many of the attempts before it were reviews.",
    "max_tries": "How many attempts count before the task has failed.",
    "max_review_tries": "How many reviews without a verdict there are before a person decides.",
    "work": "For a reviewer: `number`, `agent`, `detail`, `outputs`, `left_out` of the attempt to review; none for an executor.",
    "checks": "What is run or looked for when it is handed in: `title`, `command` or `path`, `seconds`, `min_bytes`.",
    "verified": "Whether what was handed in has passed its checks.",
    "needs_output": "Whether nothing is handed in without an output.",
    "limits": "`wall_seconds`, `idle_seconds`, `startup_seconds`.",
    "question": "The question of the last block; none without one.",
    "answer": "What a person answered to it; none without one.",
    "history": "Former attempts, the oldest first; `retold` and `retry_context` tell them within bounds.",
    "comments": "The latest comments: `author`, `body`, `created_at`.",
    "children": "Child tasks: `id`, `title`, `status`.",
    "parent": "The parent task: `id`, `title`; none without one.",
    "needs": "Tasks it builds on: `id`, `title`, `status`, `outputs`.",
    "heartbeat": "Of a heartbeat `checklist`, `prompt`, `ack_word`, `ack_max_chars`, `light_context`; none for every other task.",
    "more": "What else came with the task's data: a table.",
    "retold": "The former attempts as text, not fenced.",
}
MEANINGS: Mapping[str, str] = {**READY, **TOOLS, **BRIEF}
NAMES = frozenset(MEANINGS) | frozenset(Brief.__annotations__)


def values(
    brief: Brief, *, base_url: str, curl_conf: str, bb: str, workspace: str, tail: str | None, ack: str
) -> dict[str, Any]:
    """The values of one attempt; KeyError and the like when the brief is not one."""
    task, project = brief["task"], brief["project"]
    told = retold(brief["history"], tail)
    told_brief: dict[str, Any] = {name: value for name, value in brief.items() if name in NAMES}
    own = {
        "url": f"{base_url.rstrip('/')}/api/projects/{quote(project)}/tasks/{task['id']}",
        "curl": f"curl --config {shlex.quote(curl_conf)}",
        "bb": shlex.quote(bb),
        "spool": str(PurePosixPath(bb).with_name("spool")),
        "workspace": workspace,
        "more": {key: value for key, value in task["data"].items() if key not in NOT_MORE},
        "end": f"END_{secrets.token_hex(8)}",  # nobody who wrote a text could know it, so no text can contain it
        "output_types": states.OUTPUT_TYPES,
        "blocked_kinds": states.BLOCKED_KINDS,
        "longest": LONGEST,
        "retold": told,
        "ack": ack,
    }
    return told_brief | own | _ready(brief, base_url, told)


def _ready(brief: Brief, base_url: str, told: str) -> dict[str, Any]:
    """The values that can be printed as they are: nothing of others in them can leave its place."""
    task, address = brief["task"], urlsplit(base_url)
    return {
        "project_id": brief["project"],
        "task_id": task["id"],
        "title": one_line(task["title"], 300),
        "description": fence(cut(task["description"], LONGEST["description"])),
        "task_type": one_line(task["task_type"], 80) or "general",
        "priority": task["priority"],
        "must_haves": fence(cut(task["must_haves"], LONGEST["must_haves"])),
        "agent_id": one_line(brief["agent"], 100),
        "api_host": address.hostname or "",
        "api_port": address.port or (443 if address.scheme == "https" else 80),
        "current_status": task["status"],
        "retry_context": fence(told) if told else "",
        "drawing": states.drawing(task["status"], brief["role"]),
    }
