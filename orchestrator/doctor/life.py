"""A task's life: its row, its attempts, and every event about it; read in one pass over the whole board.

Reads only; what a life must look like is in stories.py.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from orchestrator.doctor.rule import query


class Task(NamedTuple):
    """A task's row, as far as events explain it."""

    id: int
    status: str
    rev: int
    verb: str
    actor: str
    reason: str | None
    moved_at: str | None
    ended_at: str | None
    blocked_kind: str | None
    slot: int | None
    due_at: str
    not_before: str | None
    agent: str | None
    role: str | None
    priority: int
    plan_rev: int
    planned_by: str | None
    handed_over: str | None


TASKS = """
SELECT id, status, rev, verb, actor, reason, moved_at, ended_at, blocked_kind, slot_id, due_at, not_before,
       agent_id, role, priority, plan_rev, planned_by, handed_over
  FROM tasks ORDER BY id
"""


class Attempt(NamedTuple):
    """An attempt's row, as far as events explain it."""

    task: int
    id: int
    number: int
    role: str
    agent: str
    claimed_at: str
    claimed_by: str
    outcome: str | None
    ended_at: str | None
    gone_at: str | None
    abroad_at: str | None


ATTEMPTS = """
SELECT task_id, id, number, role, agent_id, claimed_at, claimed_by, outcome, ended_at, gone_at, abroad_at
  FROM attempts ORDER BY task_id, number
"""

Fact: TypeAlias = str | int | float | None


class Event(NamedTuple):
    """An event's row."""

    task: int
    id: int
    at: str
    verb: str
    actor: str
    attempt: int | None
    slot: int | None
    src: str | None
    dst: str | None
    reason: str | None
    data: str | None

    @property
    def actor_role(self) -> str:
        """executor, reviewer, person, engine; or sql."""
        return self.actor.partition(":")[0]

    @property
    def facts(self) -> dict[str, Fact]:
        """The plain values in `data`."""
        try:
            found = json.loads(self.data or "{}")
        except ValueError:
            return {}
        return {k: v for k, v in found.items() if not isinstance(v, list | dict)} if isinstance(found, dict) else {}


EVENTS = """
SELECT task_id, id, at, verb, actor, attempt_id, slot_id, src, dst, reason, data
  FROM events WHERE task_id IS NOT NULL ORDER BY task_id, id
"""

Arrows: TypeAlias = dict[tuple[str | None, str | None, str], frozenset[str]]
ARROWS = "SELECT src, dst, verb, by, CASE WHEN by_sql AND is_default THEN ' sql' ELSE '' END FROM moves"

OUTPUTS = "SELECT task_id, id FROM outputs ORDER BY task_id, id"
COMMENTS = "SELECT task_id, id FROM comments ORDER BY task_id, id"
CHECKS = "SELECT task_id, id, result, ended_at FROM checks WHERE ended_at IS NOT NULL ORDER BY task_id, id"
NEEDS = "SELECT task_id, needs_id FROM dependencies ORDER BY task_id, needs_id"


@dataclass(frozen=True)
class Life:
    """A task and what was written about it, in order. `arrows`: (from, to, verb) → who may, `sql` among them."""

    task: Task
    attempts: list[Attempt]
    events: list[Event]
    outputs: list[int]
    comments: list[int]
    needs: list[int]
    checks: list[tuple[int, str, str]]
    arrows: Arrows

    @cached_property
    def moves(self) -> list[Event]:
        """The events that set the status, its post first."""
        return [event for event in self.events if event.dst is not None]

    def told(self, *verbs: str) -> list[Event]:
        """The events with one of these verbs."""
        return [event for event in self.events if event.verb in verbs]


class _ByTask:
    """Rows sorted by task, handed out task by task: one pass, one task in memory."""

    def __init__(self, found: Iterator[tuple[Any, ...]]) -> None:
        self._rows = found
        self._next = next(found, None)

    def of(self, task: int) -> Iterator[tuple[Any, ...]]:
        while self._next is not None and self._next[0] <= task:
            if self._next[0] == task:  # a smaller one is of no task: the rules in rows.py tell that
                yield self._next
            self._next = next(self._rows, None)


def lives(connection: sqlite3.Connection) -> Iterator[Life]:
    """The life of every task."""
    arrows = {(src, dst, verb): frozenset((by + sql).split()) for src, dst, verb, by, sql in query(connection, ARROWS)}
    attempts, events = _ByTask(query(connection, ATTEMPTS)), _ByTask(query(connection, EVENTS))
    outputs, comments, needs = (_ByTask(query(connection, sql)) for sql in (OUTPUTS, COMMENTS, NEEDS))
    checks = _ByTask(query(connection, CHECKS))
    for row in query(connection, TASKS):
        task = Task._make(row)
        yield Life(
            task=task,
            attempts=[Attempt._make(found) for found in attempts.of(task.id)],
            events=[Event._make(found) for found in events.of(task.id)],
            outputs=[output for _, output in outputs.of(task.id)],
            comments=[comment for _, comment in comments.of(task.id)],
            needs=[needed for _, needed in needs.of(task.id)],
            checks=[(check, result, at) for _, check, result, at in checks.of(task.id)],
            arrows=arrows,
        )
