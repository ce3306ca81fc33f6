"""What the prompt of an attempt says about its task: the attempt's own, or a preview of the next one's.

Plain dicts as `prompts/brief.py` describes them. Never changes anything.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from blackboard import checks, explaining, handed_in, heartbeat_runs, proofs, questions
from blackboard.board import Rows
from blackboard.errors import NotFound
from blackboard.gates import Room
from blackboard.record import Record
from blackboard.states import OUTCOMES

HISTORY = 5  # former attempts in a prompt
REMARKS = 10  # latest comments in a prompt

ATTEMPT = "SELECT * FROM attempts WHERE id = :id"
PROJECT = "SELECT title FROM projects WHERE id = :id"
FORMER = """
SELECT * FROM attempts WHERE task_id = :task AND id < :before AND outcome NOT IN ('released','dry_run') ORDER BY id DESC LIMIT :most
"""
REVIEWS = "SELECT count(*) AS n FROM attempts WHERE task_id = :task AND role = 'reviewer' AND id < :before"
SUMMARIES = "SELECT type, title, summary, content_path FROM outputs WHERE attempt_id = :attempt ORDER BY id LIMIT 20"
# What a reviewer, or the person who reopened the task, said after an attempt.
REMARK = """
SELECT reason, actor FROM events WHERE task_id = :task AND verb IN ('reject','reopen') AND attempt_id = :attempt AND reason IS NOT NULL
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
        rows,
        questions.row_of(rows, attempt["task_id"]),
        attempt_id,
        attempt["number"],
        attempt["agent_id"],
        attempt["role"],
    )


LAST = "SELECT coalesce(max(id), 0) AS id, coalesce(max(number), 0) AS number FROM attempts WHERE task_id = :task"
SOMEBODY = "SELECT agent_id FROM agent_roles WHERE role = :role ORDER BY agent_id LIMIT 1"


def preview(rows: Rows, task_id: int) -> dict[str, Any]:
    """What the next attempt of a task would be told; nothing is claimed."""
    row = questions.row_of(rows, task_id)
    last = rows.one(LAST, task=task_id)
    somebody = None if row["agent_id"] else rows.one(SOMEBODY, role=row["role"])
    agent = row["agent_id"] or (somebody["agent_id"] if somebody else f"one with the role {row['role']}")
    number = last["number"] if last else 0
    before = (last["id"] if last else 0) + 1
    if row["status"] == "review" and row["reviewer"]:
        reviewer = next(
            (each["agent"] for each in explaining.agents_of(rows, row, row["due_at"], Room(0))), row["reviewer"]
        )
        return _brief(rows, row, before, number + 1, reviewer, "reviewer")
    told = _brief(rows, row, before, number + 1, agent, "executor")
    told["task"]["status"] = "claimed"
    return told


def _brief(rows: Rows, row: sqlite3.Row, attempt_id: int, number: int, agent: str, role: str) -> dict[str, Any]:
    project = rows.one(PROJECT, id=row["project_id"])
    question = rows.one(QUESTION, task=row["id"]) if row["answer"] else None
    parent = rows.one(questions.TASK, id=row["parent_id"]) if row["parent_id"] else None
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
        "checks": [checks.told(each) for each in json.loads(row["checks"])],
        "verified": row["proof"] == "passed",
        "needs_output": bool(row["needs_output"]),
        "limits": {key: row[key] for key in ("wall_seconds", "idle_seconds", "startup_seconds")},
        "answer": row["answer"],
        "question": question["reason"] if question else None,
        "history": [
            _former(rows, former)
            for former in reversed(rows.all(FORMER, task=row["id"], before=attempt_id, most=HISTORY))
        ],
        "comments": [dict(found) for found in reversed(rows.all(LATEST_COMMENTS, task=row["id"], most=REMARKS))],
        "children": [dict(found) for found in rows.all(questions.CHILDREN, id=row["id"])],
        "parent": {"id": parent["id"], "title": parent["title"]} if parent else None,
        "needs": [_need(rows, found) for found in rows.all(questions.NEEDS, id=row["id"])],
        "branch": None,
        "work": handed_in.work(rows, row["id"], attempt_id) if role == "reviewer" else None,
        "heartbeat": heartbeat_runs.told(rows, row["id"]) if role == "executor" else None,
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
        "remark_of_check": bool(remark and remark["actor"] == proofs.ENGINE),
    }


def _need(rows: Rows, need: sqlite3.Row) -> dict[str, Any]:
    return dict(need) | {"outputs": [dict(found) for found in rows.all(NEEDED_OUTPUTS, task=need["id"])]}
