"""Reads: a task with all that belongs to it, what happened, how the board stands.

Every function takes anything with `one` and `all` (a transaction, a read-only connection) and returns plain
dicts and lists, ready for JSON. Never changes anything, never shows a token's hash.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from typing import Any

from blackboard import budgets, instances, pauses, proofs, sources
from blackboard.board import Rows
from blackboard.claims import NEXT_DUE
from blackboard.errors import NotFound
from blackboard.record import Record

EXPANSIONS = ("outputs", "comments", "events", "attempts", "evidence", "links")
CONTENT_SHOWN = 64 * 1024  # characters of one output
EVENTS_SHOWN = 500  # of one task, the newest

TASK = """
SELECT t.*, a.number AS attempt, a.agent_id AS worker, a.role AS worker_role, a.ended_at AS worker_ended_at, a.gone_at AS worker_gone_at,
       p.paused_at AS project_paused_at, coalesce(p.pause_reason, 'no reason given') AS project_pause_reason,
       o.name AS source_name, o.ok_at AS source_ok_at, coalesce(o.error, 'not asked since') AS source_error
  FROM tasks t JOIN projects p ON p.id = t.project_id LEFT JOIN attempts a ON a.id = t.attempt_id
  LEFT JOIN slots s ON s.id = t.slot_id LEFT JOIN sources o ON o.name = s.source WHERE t.id = :id
"""
NEEDS = """
SELECT n.id, n.title, n.status FROM dependencies d JOIN tasks n ON n.id = d.needs_id WHERE d.task_id = :id ORDER BY n.id
"""
CHILDREN = "SELECT id, title, status FROM tasks WHERE parent_id = :id ORDER BY id"


def row_of(rows: Rows, task_id: int) -> sqlite3.Row:
    row = rows.one(TASK, id=task_id)
    if row is None:
        raise NotFound(f"there is no task {task_id}: `orchestrator tasks` lists them", task=task_id)
    return row


_HIDDEN = frozenset(
    [
        "rev",
        "plan_rev",
        "planned_by",
        "worker_role",
        "worker_ended_at",
        "worker_gone_at",
        "project_paused_at",
        "project_pause_reason",
        "source_name",
        "source_ok_at",
        "source_error",
    ]
)


def task(rows: Rows, task_id: int) -> dict[str, Any]:
    """A task with its needs and children; NotFound."""
    row = row_of(rows, task_id)
    told = {key: row[key] for key in row.keys() if key not in _HIDDEN}  # noqa: SIM118 - a Row iterates over values
    told["data"], told["checks"] = json.loads(told["data"]), json.loads(told["checks"])
    told["spent"] = budgets.spent_on_task(rows, task_id)._asdict()
    told["needs"] = [dict(need) for need in rows.all(NEEDS, id=task_id)]
    told["children"] = [dict(child) for child in rows.all(CHILDREN, id=task_id)]
    return told


OUTPUTS = """
SELECT id, attempt_id, agent_id, type, title, substr(content, 1, :most) AS content, content_path, kept, size, sha256, summary, created_at
  FROM outputs WHERE task_id = :id ORDER BY id
"""
COMMENTS = "SELECT id, attempt_id, author, body, created_at FROM comments WHERE task_id = :id ORDER BY id"
EVENTS = """
SELECT id, at, verb, actor, attempt_id, src, dst, reason, data FROM events WHERE task_id = :id ORDER BY id DESC LIMIT :most
"""
ATTEMPTS = """
SELECT id, number, role, agent_id, session_key, workspace, claimed_at, spawned_at, started_at, seen_at, warned_at, outcome, detail,
       exit_code, exit_signal, ended_at, stopped_at, gone_at, agent_pid, launcher_pid, run_id, session_id, result, failure_kind,
       provider, model, resumes, input_tokens, cached_tokens, output_tokens, cost_usd, peak_rss_bytes, cpu_seconds, fingerprint,
       abroad_at, lease_until
  FROM attempts WHERE task_id = :id ORDER BY number
"""


def expanded(rows: Rows, task_id: int, what: Collection[str] = ()) -> dict[str, Any]:
    """A task with the parts named: outputs, comments, events, attempts, links, or `all`."""
    parts = set(EXPANSIONS) if "all" in what else set(what)
    told = task(rows, task_id)
    if "outputs" in parts:
        here = f"/api/projects/{told['project_id']}/tasks/{task_id}/outputs"
        told["outputs"] = [_output(row, here) for row in rows.all(OUTPUTS, id=task_id, most=CONTENT_SHOWN)]
    if "comments" in parts:
        told["comments"] = [dict(row) for row in rows.all(COMMENTS, id=task_id)]
    if "events" in parts:
        told["events"] = [event(row) for row in reversed(rows.all(EVENTS, id=task_id, most=EVENTS_SHOWN))]
    if "attempts" in parts:
        told["attempts"] = [dict(row) for row in rows.all(ATTEMPTS, id=task_id)]
    if "evidence" in parts:
        told["evidence"] = proofs.evidence(rows, task_id)
    if "links" in parts:
        told["links"] = _links(told["project_id"], task_id)
    return told


def _output(row: sqlite3.Row, here: str) -> dict[str, Any]:
    """An output; `next` is where the rest of a long content is read."""
    shown = len((row["content"] or "").encode())
    cut = row["content"] is not None and shown < row["size"]
    return dict(row) | {"next": f"{here}/{row['id']}?offset={shown}" if cut else None}


def _links(project: str, task_id: int) -> dict[str, str]:
    here = f"/api/projects/{project}/tasks/{task_id}"
    return {"self": here} | {
        name: f"{here}/{name}" for name in ("status", "outputs", "comments", "heartbeat", "children")
    }


def event(row: Record) -> dict[str, Any]:
    """An event's row with its data as an object."""
    told = {key: row[key] for key in row.keys()}  # type: ignore[attr-defined]  # noqa: SIM118
    told["data"] = json.loads(told["data"]) if told.get("data") else None
    return told


EVENTS_AFTER = "SELECT * FROM events WHERE id > :after ORDER BY id LIMIT :limit"
EVENTS_OF_TASK_AFTER = "SELECT * FROM events WHERE task_id = :task AND id > :after ORDER BY id LIMIT :limit"


def events(rows: Rows, after: int = 0, limit: int = 100, task_id: int | None = None) -> list[dict[str, Any]]:
    """Events with an id above `after`, oldest first."""
    if task_id is None:
        found = rows.all(EVENTS_AFTER, after=after, limit=limit)
    else:
        found = rows.all(EVENTS_OF_TASK_AFTER, task=task_id, after=after, limit=limit)
    return [event(row) for row in found]


# --- the board at a glance --------------------------------------------------------------------------------

COUNTS = "SELECT status, count(*) AS n FROM tasks GROUP BY status"
LOAD = "SELECT * FROM v_agent_load ORDER BY agent"
RUNNING = "SELECT * FROM v_running ORDER BY attempt_id"
STUCK = "SELECT * FROM v_stuck"
LATEST_EVENT = "SELECT max(id) AS id FROM events"


def overview(rows: Rows) -> dict[str, Any]:
    """How the board stands: tasks by status, what is paused, agents, what runs, what is stuck, what is next."""
    due, last = rows.one(NEXT_DUE), rows.one(LATEST_EVENT)
    return {
        "tasks": {row["status"]: row["n"] for row in rows.all(COUNTS)},
        "paused": [dict(row) for row in pauses.paused(rows)],
        "agents": [dict(row) for row in rows.all(LOAD)],
        "running": [dict(row) for row in rows.all(RUNNING)],
        "stuck": [dict(row) for row in rows.all(STUCK)],
        "sources": sources.listed(rows),
        "instances": instances.listed(rows),
        "next_due": due["earliest_at"] if due else None,
        "last_event": last["id"] if last else None,
    }
