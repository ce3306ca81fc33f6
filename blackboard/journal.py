"""What is said about a task and only ever added: outputs, comments, refusals. Their events are written by triggers."""

from __future__ import annotations

import hashlib

from blackboard.board import Tx
from blackboard.content import Held
from blackboard.record import Record

OUTPUT = """
INSERT INTO outputs (task_id, attempt_id, agent_id, type, title, content, content_path, kept, size, sha256, summary, created_at)
VALUES (:task, :attempt, :agent, :type, :title, :content, :path, :kept, :size, :sha256, :summary, :now)
"""


def add_output(
    tx: Tx,
    attempt: Record,
    *,
    type: str,
    title: str,
    summary: str = "",
    content: str | None = None,
    held: Held | None = None,
    kept: bool = False,
) -> int:
    """Keep an output of a live attempt: its content, or where the file is, with size and SHA-256; its id.

    `kept`: the file is in the board's folder of uploads, not in the workspace.
    """
    if held is not None:
        path, size, sha256 = held.path, held.size, held.sha256
    else:
        raw = (content or "").encode()
        path, size, sha256 = None, len(raw), hashlib.sha256(raw).hexdigest()
    return tx.insert(
        OUTPUT, task=attempt["task_id"], attempt=attempt["id"], agent=attempt["agent_id"], type=type, title=title,
        content=None if held else content or "", path=path, kept=int(kept), size=size, sha256=sha256, summary=summary, now=tx.now,
    )  # fmt: skip


COMMENT = "INSERT INTO comments (task_id, attempt_id, author, body, created_at) VALUES (:task, :attempt, :author, :body, :now)"


def add_comment(tx: Tx, task_id: int, *, author: str, body: str, attempt_id: int | None = None) -> int:
    """Keep a remark on a task; its id. `author` is an actor."""
    return tx.insert(COMMENT, task=task_id, attempt=attempt_id, author=author, body=body, now=tx.now)


KEPT_BODY = 65536

REFUSED = """
INSERT INTO refusals (attempt_id, route, reason, count, first_at, last_at, body)
VALUES (:attempt, :route, :reason, 1, :now, :now, :body)
ON CONFLICT (attempt_id, route, reason) DO UPDATE
   SET count = refusals.count + 1, last_at = excluded.last_at, body = coalesce(excluded.body, refusals.body)
"""


def add_refusal(tx: Tx, attempt_id: int, *, route: str, reason: str, body: str | None) -> None:
    """Count a refused call of an attempt and keep its last body, bounded, as evidence."""
    tx.run(REFUSED, attempt=attempt_id, route=route, reason=reason, now=tx.now, body=body[:KEPT_BODY] if body else None)


EVENT = """
INSERT INTO events (at, verb, actor, task_id, agent_id, slot_id, reason, data)
VALUES (:now, :verb, :actor, :task, :agent, :slot, :reason, :data)
"""


def tell(
    tx: Tx, verb: str, *, actor: str, reason: str | None = None, task_id: int | None = None, agent_id: str | None = None,
    slot_id: int | None = None, data: str | None = None,
) -> int:  # fmt: skip
    """Write an event that is not a change of a row a trigger watches; its id."""
    return tx.insert(
        EVENT, now=tx.now, verb=verb, actor=actor, task=task_id, agent=agent_id, slot=slot_id, reason=reason, data=data
    )
