"""Pausing and resuming: an agent, an account, a project, or everything. What is paused claims nothing new; what runs goes on.

An event tells each change, by trigger. Never ends an attempt; never touches a task.
"""

from __future__ import annotations

import sqlite3
from typing import Literal, NamedTuple

from blackboard.board import Rows, Tx
from blackboard.errors import NotFound

Kind = Literal["agent", "account", "project", "board"]


class Target(NamedTuple):
    """What is paused: an agent, an account or a project by its id, or the whole board, which has no name."""

    kind: Kind
    name: str = ""

    def __str__(self) -> str:
        return "everything" if self.kind == "board" else f"{self.kind} {self.name}"

    @property
    def path(self) -> str:
        """Where the API reaches it: before `/pause` and `/resume`."""
        return "/api" if self.kind == "board" else f"/api/{self.kind}s/{self.name}"

    @property
    def option(self) -> str:
        """How the command line names it."""
        return "--all" if self.kind == "board" else f"--{self.kind} {self.name}"


EVERYTHING = Target("board")


class Pause(NamedTuple):
    """Whether something is paused: since when (UTC text), and why."""

    since: str | None
    reason: str | None


_STATE: dict[Kind, str] = {
    "agent": "SELECT paused_at, pause_reason FROM agents WHERE id = :name",
    "account": "SELECT paused_at, pause_reason FROM accounts WHERE id = :name",
    "project": "SELECT paused_at, pause_reason FROM projects WHERE id = :name",
    "board": "SELECT paused_at, pause_reason FROM whole_board",
}
_HOW_LISTED: dict[Kind, str] = {
    "agent": "`orchestrator agents` lists them",
    "account": "`orchestrator accounts` lists them",
    "project": "name one of the configuration",
    "board": "restore a backup: a row of the board is missing",
}


def state(rows: Rows, target: Target) -> Pause:
    """Whether it is paused; NotFound when there is no such agent, account or project."""
    row = rows.one(_STATE[target.kind], name=target.name)
    if row is None:
        raise NotFound(f"there is no {target}: {_HOW_LISTED[target.kind]}")
    return Pause(row["paused_at"], row["pause_reason"])


_PAUSE: dict[Kind, str] = {
    "agent": "UPDATE agents SET paused_at = :now, pause_reason = :reason, rev = rev + 1, actor = :actor WHERE id = :name",
    "account": "UPDATE accounts SET paused_at = :now, pause_reason = :reason, rev = rev + 1, actor = :actor WHERE id = :name",
    "project": "UPDATE projects SET paused_at = :now, pause_reason = :reason, rev = rev + 1, actor = :actor WHERE id = :name",
    "board": "UPDATE whole_board SET paused_at = :now, pause_reason = :reason, rev = rev + 1, actor = :actor",
}
_RESUME: dict[Kind, str] = {
    "agent": "UPDATE agents SET paused_at = NULL, pause_reason = :reason, rev = rev + 1, actor = :actor WHERE id = :name",
    # Its limit ends with it. That proves nothing: one attempt goes first, as after any limit.
    "account": "UPDATE accounts SET paused_at = NULL, pause_reason = :reason, limited_at = :now, limited_until = :now, rev = rev + 1, actor = :actor WHERE id = :name",
    "project": "UPDATE projects SET paused_at = NULL, pause_reason = :reason, rev = rev + 1, actor = :actor WHERE id = :name",
    "board": "UPDATE whole_board SET paused_at = NULL, pause_reason = :reason, rev = rev + 1, actor = :actor",
}


def pause(tx: Tx, target: Target, *, reason: str | None, actor: str) -> bool:
    """Claim nothing for it any more. False when it was paused before, which stays as it was; NotFound."""
    if state(tx, target).since is not None:
        return False
    tx.run(_PAUSE[target.kind], name=target.name, now=tx.now, reason=reason or None, actor=actor)
    return True


def resume(tx: Tx, target: Target, *, reason: str | None, actor: str) -> bool:
    """Claim for it again; of an account, the limit is lifted too. False when it was not paused, nor limited; NotFound."""
    if state(tx, target).since is None and not _limited(tx, target):
        return False
    tx.run(_RESUME[target.kind], name=target.name, now=tx.now, reason=reason or None, actor=actor)
    return True


LIMITED = "SELECT 1 FROM accounts WHERE id = :name AND limited_until > :now"


def _limited(tx: Tx, target: Target) -> bool:
    return target.kind == "account" and tx.one(LIMITED, name=target.name, now=tx.now) is not None


_LIVING = """
SELECT a.id AS attempt_id, a.task_id, a.number, a.agent_id AS agent, t.title, a.ended_at
  FROM attempts a INDEXED BY {index} CROSS JOIN tasks t ON t.id = a.task_id WHERE a.gone_at IS NULL{and_of} ORDER BY a.id
"""
LIVING: dict[Kind, str] = {
    "agent": _LIVING.format(index="attempts_not_gone", and_of=" AND a.agent_id = :name"),
    "account": _LIVING.format(
        index="attempts_not_gone", and_of=" AND a.agent_id IN (SELECT id FROM agents WHERE account = :name)"
    ),
    "project": _LIVING.format(index="one_attempt_not_gone", and_of=" AND t.project_id = :name"),
    "board": _LIVING.format(index="one_attempt_not_gone", and_of=""),
}


def living(rows: Rows, target: Target) -> list[sqlite3.Row]:
    """The attempts of it that are not proved gone: a drain waits until there are none."""
    return rows.all(LIVING[target.kind], name=target.name)


PAUSED = """
SELECT 'board' AS kind, '' AS name, paused_at AS since, pause_reason AS reason, actor FROM whole_board WHERE paused_at IS NOT NULL
UNION ALL SELECT 'project', id, paused_at, pause_reason, actor FROM projects WHERE paused_at IS NOT NULL
UNION ALL SELECT 'account', id, paused_at, pause_reason, actor FROM accounts WHERE paused_at IS NOT NULL
UNION ALL SELECT 'agent', id, paused_at, pause_reason, actor FROM agents WHERE paused_at IS NOT NULL
"""


def paused(rows: Rows) -> list[sqlite3.Row]:
    """All that is paused: kind, name, since, reason, and who made the last change."""
    return rows.all(PAUSED)
