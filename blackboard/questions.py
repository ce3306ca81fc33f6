"""Reads: a task with all that belongs to it, why it waits, what a prompt needs, how the board stands.

Every function takes anything with `one` and `all` (a transaction, a read-only connection) and returns plain
dicts and lists, ready for JSON. Never changes anything, never shows a token's hash.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from typing import Any

from blackboard import handed_in, pauses
from blackboard.board import Rows
from blackboard.claims import AGENTS, ALL_LIVE, NEXT_DUE
from blackboard.errors import NotFound
from blackboard.gates import AGENT_GATES, AUTHOR, EACH, EACH_REVIEW, REVIEW_GATES, TASK_GATES, AgentFacts, TaskGate
from blackboard.record import Record
from blackboard.states import FINAL, OUTCOMES

EXPANSIONS = ("outputs", "comments", "events", "attempts", "links")
HISTORY = 5  # former attempts in a prompt
REMARKS = 10  # latest comments in a prompt
CONTENT_SHOWN = 64 * 1024  # characters of one output
EVENTS_SHOWN = 500  # of one task, the newest

TASK = """
SELECT t.*, a.number AS attempt, a.agent_id AS worker, a.role AS worker_role, a.ended_at AS worker_ended_at, a.gone_at AS worker_gone_at,
       p.paused_at AS project_paused_at, coalesce(p.pause_reason, 'no reason given') AS project_pause_reason
  FROM tasks t JOIN projects p ON p.id = t.project_id LEFT JOIN attempts a ON a.id = t.attempt_id WHERE t.id = :id
"""
NEEDS = """
SELECT n.id, n.title, n.status FROM dependencies d JOIN tasks n ON n.id = d.needs_id WHERE d.task_id = :id ORDER BY n.id
"""
CHILDREN = "SELECT id, title, status FROM tasks WHERE parent_id = :id ORDER BY id"


def _row(rows: Rows, task_id: int) -> sqlite3.Row:
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
    ]
)


def task(rows: Rows, task_id: int) -> dict[str, Any]:
    """A task with its needs and children; NotFound."""
    row = _row(rows, task_id)
    told = {key: row[key] for key in row.keys() if key not in _HIDDEN}  # noqa: SIM118 - a Row iterates over values
    told["data"] = json.loads(told["data"])
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
       provider, model, input_tokens, cached_tokens, output_tokens, cost_usd, abroad_at, lease_until
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


# --- why -----------------------------------------------------------------------------------------------

GATES = f"SELECT {EACH} FROM tasks t WHERE t.id = :id"  # noqa: S608 - our own constant text
FITS = """
SELECT g.id FROM agents g JOIN tasks t ON t.id = :id
 WHERE g.id = t.agent_id OR t.role IN (SELECT role FROM agent_roles r WHERE r.agent_id = g.id) ORDER BY g.id
"""


REVIEW = f"SELECT {EACH_REVIEW} FROM tasks t WHERE t.id = :id"  # noqa: S608 - our own constant text
FITS_REVIEW = """
SELECT g.id FROM agents g JOIN tasks t ON t.id = :id
 WHERE t.reviewer = 'agent:' || g.id OR EXISTS (SELECT 1 FROM agent_roles r WHERE r.agent_id = g.id AND t.reviewer = 'role:' || r.role)
 ORDER BY g.id
"""
IS_NO_AUTHOR = f"SELECT {AUTHOR.predicate} AS passed FROM tasks t WHERE t.id = :id"  # noqa: S608 - our own constant text


def why(rows: Rows, task_id: int, now: str, max_all_live: int) -> dict[str, Any]:
    """Why a task is where it is: every gate, passed or not, for the task and for each agent that could take it.

    Of a task in review the gates are those of its review. `claimable`: the task passes every gate and so does at
    least one agent.
    """
    row = _row(rows, task_id)
    in_review = row["status"] == "review"
    passed = rows.one(REVIEW if in_review else GATES, id=task_id, now=now)
    gates = [
        _task_gate(gate, bool(passed and passed[f"gate_{gate.name}"]), row)
        for gate in (REVIEW_GATES if in_review else TASK_GATES)
    ]
    agents = _agents(rows, row, max_all_live)
    claimable = all(gate["passed"] for gate in gates) and any(agent["free"] for agent in agents)
    told = {
        "task": task_id,
        "title": row["title"],
        "status": row["status"],
        "gates": gates,
        "agents": agents,
        "claimable": claimable,
    }
    return told | {"sentence": _sentence(row, gates, agents) + _abroad(rows, task_id)}


ABROAD = "SELECT id, lease_until FROM attempts WHERE task_id = :id AND gone_at IS NULL AND abroad_at IS NOT NULL"


def _abroad(rows: Rows, task_id: int) -> str:
    """What to do about a former run that may go on elsewhere."""
    row = rows.one(ABROAD, id=task_id)
    if row is None:
        return ""
    waits = f"looked at again {row['lease_until']}; " if row["lease_until"] else ""
    return (
        f"; the run of attempt {row['id']} may go on elsewhere ({waits}when you know that it is over: "
        f'orchestrator gone {row["id"]} "how you know")'
    )


def _task_gate(gate: TaskGate, passed: bool, values: Record, **more: str) -> dict[str, Any]:
    sentence = None if passed else gate.closed.format(**dict(values) | more)  # type: ignore[call-overload]
    return {"gate": gate.name, "passed": passed, "sentence": sentence}


def _agents(rows: Rows, row: sqlite3.Row, max_all_live: int) -> list[dict[str, Any]]:
    """Every agent that the task, or its review, is for, with its gates."""
    in_review = row["status"] == "review"
    fitting = {found["id"] for found in rows.all(FITS_REVIEW if in_review else FITS, id=row["id"])}
    live = rows.one(ALL_LIVE)
    told = []
    for agent in rows.all(AGENTS):
        if agent["id"] not in fitting:
            continue
        facts = AgentFacts(agent, agent["live"], int(live["n"]) if live else 0, max_all_live)
        gates = [
            {"gate": gate.name, "passed": (no := gate.closed(facts)) is None, "sentence": no} for gate in AGENT_GATES
        ]
        if in_review:
            asked = rows.one(IS_NO_AUTHOR, id=row["id"], agent=agent["id"])
            gates.append(_task_gate(AUTHOR, bool(asked and asked["passed"]), row, agent=agent["id"]))
        told.append({"agent": agent["id"], "free": all(gate["passed"] for gate in gates), "gates": gates})
    return told


def _sentence(row: sqlite3.Row, gates: list[dict[str, Any]], agents: list[dict[str, Any]]) -> str:
    """The answer in one sentence, with what a person can do where it waits for one."""
    status, number = row["status"], row["id"]
    if status in FINAL:
        return f"task {number} is {status} since {row['ended_at']}" + (f" ({row['reason']})" if row["reason"] else "")
    if status == "blocked":
        return f'task {number} is blocked ({row["blocked_kind"]}): {row["reason"]}. To go on: orchestrator answer {number} "..."'
    if status == "review":
        return _review_sentence(row, gates, agents)
    if status in ("claimed", "working"):
        return f"task {number} is {status}: agent {row['worker']} is on attempt {row['attempt']}"
    closed = [gate["sentence"] for gate in gates if not gate["passed"]]
    if closed:
        return f"task {number} is pending: " + "; ".join(closed)
    if not agents:
        return f"task {number} is pending: no agent has the role {row['role']}"
    if not any(agent["free"] for agent in agents):
        return f"task {number} is pending: " + _closed(agents)
    return (
        f"task {number} is pending and passes every gate: the next tick claims it when no more urgent task is before it"
    )


def _closed(agents: list[dict[str, Any]]) -> str:
    return "; ".join(
        dict.fromkeys(gate["sentence"] for agent in agents for gate in agent["gates"] if not gate["passed"])
    )


def _review_sentence(row: sqlite3.Row, gates: list[dict[str, Any]], agents: list[dict[str, Any]]) -> str:
    """The same of a task in review: who is asked, what holds that up, and that a person may always decide."""
    number, asked = row["id"], row["reviewer"]
    decide = f'orchestrator approve {number}, or orchestrator reject {number} "..."'
    if asked is None or row["handed_over"] is not None:
        because = f" ({row['handed_over']})" if row["handed_over"] else ""
        return f"task {number} waits for a review by a person{because}: {decide}"
    if row["worker_role"] == "reviewer" and row["worker_gone_at"] is None and row["worker_ended_at"] is None:
        return f"task {number} is reviewed by agent {row['worker']} (attempt {row['attempt']}). To be faster: {decide}"
    closed = [gate["sentence"] for gate in gates if not gate["passed"]]
    if closed or not any(agent["free"] for agent in agents):
        waits = "; ".join(closed) or _closed(agents) or "the next tick hands it over to a person"
        return f"task {number} waits for a review by {asked}: {waits}. To decide yourself: {decide}"
    return (
        f"task {number} waits for a review by {asked} and passes every gate: the next tick claims it when no more "
        f"urgent task is before it. To be faster: {decide}"
    )


# --- what a prompt needs ---------------------------------------------------------------------------------

ATTEMPT = "SELECT * FROM attempts WHERE id = :id"
PROJECT = "SELECT title FROM projects WHERE id = :id"
FORMER = """
SELECT * FROM attempts WHERE task_id = :task AND id < :before AND outcome NOT IN ('released','dry_run') ORDER BY id DESC LIMIT :most
"""
REVIEWS = "SELECT count(*) AS n FROM attempts WHERE task_id = :task AND role = 'reviewer' AND id < :before"
SUMMARIES = "SELECT type, title, summary, content_path FROM outputs WHERE attempt_id = :attempt ORDER BY id LIMIT 20"
# What a reviewer, or the person who reopened the task, said after an attempt.
REMARK = """
SELECT reason FROM events WHERE task_id = :task AND verb IN ('reject','reopen') AND attempt_id = :attempt AND reason IS NOT NULL
 ORDER BY id DESC LIMIT 1
"""
LATEST_COMMENTS = "SELECT author, body, created_at FROM comments WHERE task_id = :task ORDER BY id DESC LIMIT :most"
QUESTION = "SELECT reason FROM events WHERE task_id = :task AND verb = 'block' ORDER BY id DESC LIMIT 1"
NEEDED_OUTPUTS = (
    "SELECT type, title, summary, content_path FROM outputs WHERE task_id = :task ORDER BY id DESC LIMIT 20"
)

_TOLD = ("id", "title", "description", "task_type", "priority", "must_haves", "status", "due_at")


def brief(rows: Rows, attempt_id: int) -> dict[str, Any]:
    """Everything the prompt of an attempt says about its task."""
    attempt = rows.one(ATTEMPT, id=attempt_id)
    if attempt is None:
        raise NotFound(f"there is no attempt {attempt_id}")
    return _brief(
        rows, _row(rows, attempt["task_id"]), attempt_id, attempt["number"], attempt["agent_id"], attempt["role"]
    )


LAST = "SELECT coalesce(max(id), 0) AS id, coalesce(max(number), 0) AS number FROM attempts WHERE task_id = :task"
SOMEBODY = "SELECT agent_id FROM agent_roles WHERE role = :role ORDER BY agent_id LIMIT 1"


def preview(rows: Rows, task_id: int) -> dict[str, Any]:
    """What the next attempt of a task would be told; nothing is claimed."""
    row = _row(rows, task_id)
    last = rows.one(LAST, task=task_id)
    somebody = None if row["agent_id"] else rows.one(SOMEBODY, role=row["role"])
    agent = row["agent_id"] or (somebody["agent_id"] if somebody else f"one with the role {row['role']}")
    number = last["number"] if last else 0
    before = (last["id"] if last else 0) + 1
    if row["status"] == "review" and row["reviewer"]:
        reviewer = next((each["agent"] for each in _agents(rows, row, 0)), row["reviewer"])
        return _brief(rows, row, before, number + 1, reviewer, "reviewer")
    told = _brief(rows, row, before, number + 1, agent, "executor")
    told["task"]["status"] = "claimed"
    return told


def _brief(rows: Rows, row: sqlite3.Row, attempt_id: int, number: int, agent: str, role: str) -> dict[str, Any]:
    project = rows.one(PROJECT, id=row["project_id"])
    question = rows.one(QUESTION, task=row["id"]) if row["answer"] else None
    parent = rows.one(TASK, id=row["parent_id"]) if row["parent_id"] else None
    return {
        "project": row["project_id"],
        "project_title": project["title"] if project else "",
        "task": {key: row[key] for key in _TOLD} | {"data": json.loads(row["data"])},
        "agent": agent,
        "role": role,
        "attempt": number,
        "attempt_id": attempt_id,
        "reviews": _count(rows.one(REVIEWS, task=row["id"], before=attempt_id)),
        "max_tries": row["max_tries"],
        "max_review_tries": row["max_review_tries"],
        "needs_output": bool(row["needs_output"]),
        "limits": {key: row[key] for key in ("wall_seconds", "idle_seconds", "startup_seconds")},
        "answer": row["answer"],
        "question": question["reason"] if question else None,
        "history": [
            _former(rows, former)
            for former in reversed(rows.all(FORMER, task=row["id"], before=attempt_id, most=HISTORY))
        ],
        "comments": [dict(found) for found in reversed(rows.all(LATEST_COMMENTS, task=row["id"], most=REMARKS))],
        "children": [dict(found) for found in rows.all(CHILDREN, id=row["id"])],
        "parent": {"id": parent["id"], "title": parent["title"]} if parent else None,
        "needs": [_need(rows, found) for found in rows.all(NEEDS, id=row["id"])],
        "work": handed_in.work(rows, row["id"], attempt_id) if role == "reviewer" else None,
    }


def _count(row: Record | None) -> int:
    return int(row["n"]) if row else 0


def _former(rows: Rows, attempt: sqlite3.Row) -> dict[str, Any]:
    remark = rows.one(REMARK, task=attempt["task_id"], attempt=attempt["id"])
    outcome = attempt["outcome"] or "lost"
    return {
        "attempt_id": attempt["id"],
        "number": attempt["number"],
        "agent": attempt["agent_id"],
        "outcome": outcome,
        "meaning": OUTCOMES[outcome].meaning,
        "detail": attempt["detail"],
        "exit_code": attempt["exit_code"],
        "exit_signal": attempt["exit_signal"],
        "ended_at": attempt["ended_at"],
        "outputs": [dict(found) for found in rows.all(SUMMARIES, attempt=attempt["id"])],
        "remark": remark["reason"] if remark else None,
    }


def _need(rows: Rows, need: sqlite3.Row) -> dict[str, Any]:
    return dict(need) | {"outputs": [dict(found) for found in rows.all(NEEDED_OUTPUTS, task=need["id"])]}


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
        "next_due": due["earliest_at"] if due else None,
        "last_event": last["id"] if last else None,
    }
