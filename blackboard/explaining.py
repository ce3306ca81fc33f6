"""Why a task is where it is: every gate, passed or not, and one sentence that says what would make it go on.

Built from the gates the claim is built from, so that both say the same. Never changes anything.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from blackboard import proofs, questions
from blackboard.board import Rows
from blackboard.claims import agent_facts
from blackboard.gates import (
    AGENT_GATES,
    AUTHOR,
    EACH,
    EACH_PROOF,
    EACH_REVIEW,
    PROOF_GATES,
    REVIEW_GATES,
    TASK_GATES,
    Room,
    TaskGate,
)
from blackboard.record import Record
from blackboard.states import FINAL

GATES = f"SELECT {EACH} FROM tasks t WHERE t.id = :id"  # noqa: S608 - our own constant text
FITS = """
SELECT g.id FROM agents g JOIN tasks t ON t.id = :id
 WHERE g.id = t.agent_id OR t.role IN (SELECT role FROM agent_roles r WHERE r.agent_id = g.id) ORDER BY g.id
"""


PROOF = f"SELECT {EACH_PROOF} FROM tasks t WHERE t.id = :id"  # noqa: S608 - our own constant text
REVIEW = f"SELECT {EACH_REVIEW} FROM tasks t WHERE t.id = :id"  # noqa: S608 - our own constant text
FITS_REVIEW = """
SELECT g.id FROM agents g JOIN tasks t ON t.id = :id
 WHERE t.reviewer = 'agent:' || g.id OR EXISTS (SELECT 1 FROM agent_roles r WHERE r.agent_id = g.id AND t.reviewer = 'role:' || r.role)
 ORDER BY g.id
"""
IS_NO_AUTHOR = f"SELECT {AUTHOR.predicate} AS passed FROM tasks t WHERE t.id = :id"  # noqa: S608 - our own constant text


def why(rows: Rows, task_id: int, now: str, room: Room) -> dict[str, Any]:
    """Why a task is where it is: every gate, passed or not, for the task and for each agent that could take it.

    Of a task in review the gates are those of its review, and before it those of its checks. `claimable`: the task passes every gate and so does at
    least one agent.
    """
    row = questions.row_of(rows, task_id)
    in_review = row["status"] == "review"
    to_prove = in_review and row["proof"] == "wanted" and row["handed_over"] is None
    sql, asked = (PROOF, PROOF_GATES) if to_prove else (REVIEW, REVIEW_GATES) if in_review else (GATES, TASK_GATES)
    passed = rows.one(sql, id=task_id, now=now)
    gates = [_task_gate(gate, bool(passed and passed[f"gate_{gate.name}"]), row) for gate in asked]
    agents = agents_of(rows, row, now, room)
    claimable = not to_prove and all(gate["passed"] for gate in gates) and any(agent["free"] for agent in agents)
    told = {
        "task": task_id,
        "title": row["title"],
        "status": row["status"],
        "gates": gates,
        "agents": agents,
        "claimable": claimable,
    }
    sentence = proofs.waiting(rows, row, gates) if to_prove else _sentence(row, gates, agents)
    return told | {"sentence": sentence + proofs.sent_back(rows, row) + _abroad(rows, task_id)}


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


def agents_of(rows: Rows, row: sqlite3.Row, now: str, room: Room) -> list[dict[str, Any]]:
    """Every agent that the task, or its review, is for, with its gates."""
    in_review = row["status"] == "review"
    fitting = {found["id"] for found in rows.all(FITS_REVIEW if in_review else FITS, id=row["id"])}
    told = []
    for facts in agent_facts(rows, now, room):
        agent = facts.agent
        if agent["id"] not in fitting:
            continue
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
