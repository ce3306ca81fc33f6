"""Instances elsewhere, such as a gateway with a calendar plugin: when each said last that it lives, and what it says to agents."""

from __future__ import annotations

from typing import Any

from blackboard import agenda, calendar_callers, journal
from blackboard.board import Rows, Tx
from blackboard.errors import NotFound

MOST = 100  # instances of one caller, so that no token pushes out those of others; the one not heard of longest is forgotten

BEAT = """
INSERT INTO instances (name, seen_at, actor) VALUES (:name, :now, :actor)
ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at, actor = excluded.actor
"""
FORGET = """
DELETE FROM instances WHERE name IN (SELECT name FROM instances WHERE actor = :actor ORDER BY seen_at DESC, name LIMIT -1 OFFSET :most)
"""


def beat(tx: Tx, token: bytes | None, instance: str | None) -> dict[str, Any]:
    """An instance lives. The answer is no more than that it was heard: what is planned is asked for elsewhere."""
    asker = calendar_callers.asker(tx, token, instance, "operate")
    tx.run(BEAT, name=asker.instance, now=tx.now, actor=asker.actor)
    tx.run(FORGET, actor=asker.actor, most=MOST)
    return {"instance": asker.instance, "seen_at": tx.now}


LISTED = "SELECT name, seen_at FROM instances ORDER BY name"


def listed(rows: Rows) -> list[dict[str, Any]]:
    """Every instance and when it was heard of last."""
    return [dict(row) for row in rows.all(LISTED)]


def notify(
    tx: Tx, token: bytes | None, instance: str | None, agent: str, message: str, slot: int | str | None, title: str | None
) -> dict[str, Any]:  # fmt: skip
    """A message to an agent: an event `notified`, and on a slot's task also a comment, which its attempts read.

    It wakes nobody: what is due is claimed by the tick, through the same gates as ever.
    """
    asker = calendar_callers.asker(tx, token, instance, "operate")
    calendar_callers.must_reach(tx, asker, agent)
    task = None
    if slot is not None:
        found = agenda.find(tx, slot)
        if found.slot["agent_id"] != agent:
            raise NotFound(agenda.UNKNOWN)
        task = found.task_id
    text = f"{title}: {message}" if title else message
    journal.tell(
        tx, "notified", actor=asker.actor, task_id=task, agent_id=agent, reason=f"{asker.instance}: {text[:2000]}"
    )
    if task is not None:
        journal.add_comment(tx, task, author=asker.actor, body=text)
    return {"agent": agent, "task": task, "next": "it is on the board; the tick starts what is due"}
