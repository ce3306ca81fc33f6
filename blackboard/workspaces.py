"""Where agents work, as the board keeps it: what is wanted, made, ready, kept and removed.

Each is one transaction, run again with the same result. Knows nothing of folders and git: what was found there is
handed in.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from typing import NamedTuple

from blackboard import journal, people
from blackboard.board import Rows, Tx
from blackboard.errors import NotFound
from blackboard.record import Record
from blackboard.tokens import identify

ACTOR = "engine:workspaces"


class Plan(NamedTuple):
    """A workspace as it should be. `task` or `agent`: whose it is; `maker`: the agent whose configuration says so."""

    path: str
    task: int | None
    agent: str | None
    maker: str
    repository: str | None = None
    branch: str | None = None

    @property
    def kind(self) -> str:
        return "folder" if self.repository is None else "worktree"


LIVE = "SELECT * FROM workspaces WHERE path = :path AND removed_at IS NULL"
GET = "SELECT * FROM workspaces WHERE id = :id"


def live(rows: Rows, path: str) -> Record | None:
    """The workspace at a path, as long as it was not removed."""
    return rows.one(LIVE, path=path)


WANT = """
INSERT INTO workspaces (path, kind, task_id, agent_id, maker, repository, branch, wanted_at)
SELECT :path, :kind, :task, :agent, :maker, :repository, :branch, :now
 WHERE NOT EXISTS (SELECT 1 FROM workspaces WHERE path = :path AND removed_at IS NULL)
"""


def want(tx: Tx, plan: Plan) -> Record:
    """The row of a workspace, before anything is made: a later attempt gets the one that an earlier had."""
    tx.run(WANT, **plan._asdict(), kind=plan.kind, now=tx.now)
    return _get(tx, LIVE, path=plan.path)


BEGUN = "UPDATE workspaces SET begun_at = :now WHERE id = :id AND begun_at IS NULL"


def begun(tx: Tx, workspace: int) -> None:
    """Nothing is there, and from now on what is there is ours to make anew."""
    tx.run(BEGUN, id=workspace, now=tx.now)


READY = "UPDATE workspaces SET ready_at = :now WHERE id = :id AND ready_at IS NULL"


def ready(tx: Tx, workspace: int, attempt_id: int, *, found: bool) -> None:
    """Agents may work in it; event `workspace_made`. `found`: it was there before us."""
    if tx.run(READY, id=workspace, now=tx.now):
        row = _get(tx, GET, id=workspace)
        data = {
            "path": row["path"],
            "kind": row["kind"],
            "branch": row["branch"],
            "attempt": attempt_id,
            "found": found,
        }
        _tell(tx, row, "workspace_made", data={key: value for key, value in data.items() if value})


LOST = (
    "UPDATE workspaces SET begun_at = coalesce(begun_at, :now), ready_at = NULL WHERE id = :id AND removed_at IS NULL"
)


def lost(tx: Tx, workspace: int) -> None:
    """Somebody else has removed what was ready: it is made anew."""
    tx.run(LOST, id=workspace, now=tx.now)


HAD = """
SELECT 1 FROM workspaces WHERE repository = :repository AND branch = :branch AND task_id IS :task AND agent_id IS :agent
   AND (begun_at IS NOT NULL OR ready_at IS NOT NULL)
"""


def had_branch(rows: Rows, plan: Plan) -> bool:
    """Whether this task or agent has worked on the branch before: only then it is taken up again."""
    return rows.one(HAD, repository=plan.repository, branch=plan.branch, task=plan.task, agent=plan.agent) is not None


# What may be removed, if nothing in it is against it. A null limit is `never`; an agent's own is asked about only
# when the agent has left the configuration. Whoever is not proved gone may still write.
RIPE = """
SELECT w.*, t.status AS task_status FROM workspaces w LEFT JOIN tasks t ON t.id = w.task_id
 WHERE w.removed_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.gone_at IS NULL AND (a.workspace = w.path OR a.task_id = w.task_id))
   AND NOT EXISTS (SELECT 1 FROM checks c JOIN attempts a ON a.id = c.attempt_id
                    WHERE c.ended_at IS NULL AND (a.workspace = w.path OR c.task_id = w.task_id))
   AND CASE WHEN w.task_id IS NOT NULL
            THEN t.ended_at IS NOT NULL AND t.ended_at <= CASE t.status WHEN 'failed' THEN :failed ELSE :done END
            ELSE w.agent_id NOT IN (SELECT value FROM json_each(:team)) AND :done >=
                 coalesce((SELECT max(a.gone_at) FROM attempts a WHERE a.agent_id = w.agent_id), w.wanted_at) END
"""
RIPE_ALL = f"{RIPE} AND (w.removing_at IS NOT NULL OR w.looked_at IS NULL OR w.looked_at <= :looked) ORDER BY w.id"
RIPE_ONE = f"{RIPE} AND w.id = :id"
INTERRUPTED = "SELECT * FROM workspaces WHERE removing_at IS NOT NULL AND removed_at IS NULL ORDER BY id"


class Limits(NamedTuple):
    """Instants: what ended by then may go; None: never. `team`: the agents of the configuration."""

    done: str | None
    failed: str | None
    team: Collection[str]

    @property
    def params(self) -> dict[str, str | None]:
        return {"done": self.done, "failed": self.failed, "team": json.dumps(sorted(self.team))}


def ripe(rows: Rows, limits: Limits, looked: str) -> list[Record]:
    """The workspaces whose time has come, and that were not looked at since `looked`."""
    return list(rows.all(RIPE_ALL, looked=looked, **limits.params))


def interrupted(rows: Rows) -> list[Record]:
    """Removals that were begun."""
    return list(rows.all(INTERRUPTED))


REMOVING = "UPDATE workspaces SET removing_at = :now WHERE id = :id AND removing_at IS NULL"


def removing(tx: Tx, workspace: int, limits: Limits) -> bool:
    """Begin a removal, if its time has come still; no attempt gets the workspace from here to the end of it."""
    if tx.one(RIPE_ONE, id=workspace, **limits.params) is None:
        return False
    tx.run(REMOVING, id=workspace, now=tx.now)
    return True


KEPT = "UPDATE workspaces SET kept = :why, looked_at = :now, removing_at = NULL WHERE id = :id AND removed_at IS NULL"


def kept(tx: Tx, workspace: int, why: str) -> None:
    """It was looked at and stays; event `workspace_kept`, once as long as it would say the same."""
    row = tx.one(GET, id=workspace)
    if row is not None and tx.run(KEPT, id=workspace, why=why, now=tx.now) and row["kept"] != why:
        _tell(tx, row, "workspace_kept", reason=why)


STUCK = "UPDATE workspaces SET kept = :why, looked_at = :now WHERE id = :id AND removed_at IS NULL"


def stuck(tx: Tx, workspace: int, why: str) -> None:
    """A removal that was begun cannot be finished yet: it is tried again; event `workspace_kept`, told once."""
    row = tx.one(GET, id=workspace)
    if row is not None and tx.run(STUCK, id=workspace, why=why, now=tx.now) and row["kept"] != why:
        _tell(tx, row, "workspace_kept", reason=why)


REMOVED = "UPDATE workspaces SET removed_at = :now, kept = NULL WHERE id = :id AND removed_at IS NULL"


def removed(tx: Tx, workspace: int, reason: str | None = None) -> None:
    """It is not there any more; event `workspace_removed`. A branch of it is where it was."""
    row = tx.one(GET, id=workspace)
    if row is not None and tx.run(REMOVED, id=workspace, now=tx.now):
        data = {"path": row["path"], "kind": row["kind"], "branch": row["branch"]}
        _tell(tx, row, "workspace_removed", reason=reason, data={key: value for key, value in data.items() if value})


FAILED_BEFORE = (
    "SELECT 1 FROM events WHERE task_id = :task AND attempt_id = :attempt AND verb = 'hook_failed' AND reason = :reason"
)
FAILED = """
INSERT INTO events (at, verb, actor, task_id, attempt_id, agent_id, reason)
SELECT :now, 'hook_failed', :actor, a.task_id, a.id, a.agent_id, :reason FROM attempts a WHERE a.id = :attempt
"""


def hook_failed(tx: Tx, attempt: Record, reason: str) -> None:
    """A hook of an attempt did not pass; event `hook_failed`, once: a restart may ask again how it ended."""
    if tx.one(FAILED_BEFORE, task=attempt["task_id"], attempt=attempt["id"], reason=reason) is None:
        tx.run(FAILED, attempt=attempt["id"], reason=reason, now=tx.now, actor=ACTOR)


def removal_hook_failed(tx: Tx, workspace: int, reason: str) -> None:
    """before_remove did not pass: the workspace is kept; events `hook_failed` and `workspace_kept`, told once."""
    row = tx.one(GET, id=workspace)
    if row is not None and row["kept"] != reason:
        _tell(tx, row, "hook_failed", reason=reason)
    kept(tx, workspace, reason)


# Outputs whose bytes are nowhere but in the workspace they were handed in from.
ONLY_THERE = """
SELECT o.id, o.content_path, o.size FROM outputs o JOIN attempts a ON a.id = o.attempt_id
 WHERE o.content_path IS NOT NULL AND o.kept = 0 AND a.workspace = :path ORDER BY o.id
"""


def only_there(rows: Rows, path: str) -> list[Record]:
    """The outputs that are files of this workspace and nowhere else."""
    return list(rows.all(ONLY_THERE, path=path))


LISTED = """
SELECT w.id, w.path, w.kind, w.task_id AS task, w.agent_id AS agent, w.repository, w.branch, w.wanted_at, w.ready_at, w.kept,
       w.removing_at, w.removed_at, t.status AS task_status, t.title,
       CASE WHEN w.removed_at IS NOT NULL THEN 'removed' WHEN w.removing_at IS NOT NULL THEN 'removing'
            WHEN w.ready_at IS NULL THEN 'unfinished'
            WHEN EXISTS (SELECT 1 FROM attempts a WHERE a.gone_at IS NULL AND a.workspace = w.path) THEN 'in use'
            WHEN w.kept IS NOT NULL THEN 'kept' ELSE 'ready' END AS state
  FROM workspaces w LEFT JOIN tasks t ON t.id = w.task_id
 WHERE (:everything OR w.removed_at IS NULL) ORDER BY w.id
"""


def listed(rows: Rows, *, everything: bool = False) -> list[sqlite3.Row]:
    """Every workspace that is there (or ever was), with its state in one word."""
    return rows.all(LISTED, everything=int(everything))


OF_ATTEMPTS = "SELECT DISTINCT workspace AS path FROM attempts WHERE task_id = :task AND workspace IS NOT NULL"


def of_attempts(rows: Rows, task: int) -> list[sqlite3.Row]:
    """The workspaces a task's attempts have worked in, as `listed`, those that were removed left out."""
    paths = {row["path"] for row in rows.all(OF_ATTEMPTS, task=task)}
    return [row for row in listed(rows) if row["path"] in paths]


ASK_AGAIN = "UPDATE workspaces SET looked_at = NULL WHERE removed_at IS NULL AND looked_at IS NOT NULL"


def ask_again(tx: Tx, token_hash: bytes) -> dict[str, str]:
    """A person wants what is kept looked at now, and not an hour after the last time."""
    people.must_reach(identify(tx, token_hash), "operate")
    tx.run(ASK_AGAIN)
    return {"next": "every workspace whose time has come is looked at now; orchestrator workspaces lists them"}


def _get(rows: Rows, sql: str, **params: object) -> Record:
    row = rows.one(sql, **params)
    if row is None:
        raise NotFound("there is no such workspace")
    return row


def _tell(tx: Tx, row: Record, verb: str, *, reason: str | None = None, data: dict[str, object] | None = None) -> None:
    journal.tell(
        tx, verb, actor=ACTOR, reason=reason, task_id=row["task_id"], agent_id=row["agent_id"],
        data=json.dumps(data) if data else None,
    )  # fmt: skip
