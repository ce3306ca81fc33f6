"""What somebody is to be told: posting a notice. Whom it reaches, and when, is decided by blackboard/notice_routes.py.

A notice is on the board before anybody is told, in the transaction that makes it true; so none is lost, and one that is
posted twice under one key is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from blackboard.board import Tx

MOST_TITLE = 200  # characters
MOST_BODY = 20_000

POST = """
INSERT INTO notices (key, kind, topic, urgent, agent_id, task_id, title, body, data, sinks, created_at)
VALUES (:key, :kind, :topic, :urgent, :agent, :task, :title, :body, :data, :sinks, :now) ON CONFLICT (key) DO NOTHING
"""
FOUND = "SELECT id FROM notices WHERE key = :key"


def post(
    tx: Tx, *, key: str, kind: str, topic: str, title: str, body: str = "", data: Mapping[str, Any] | None = None,
    sinks: Sequence[str] | None = None, urgent: bool = False, agent_id: str | None = None, task_id: int | None = None,
) -> int:  # fmt: skip
    """Have a notice on the board; its id, that of the first one when the key is known.

    `key`: what is the same notice. `topic`: what it is about; a sink that was just told the same words of one kind and topic
    is not told them again. `title` is cut to one line. `sinks`: the names of those it is for; None: every sink that wants
    its kind.
    """
    line = " ".join(title.split())[:MOST_TITLE] or kind
    tx.run(
        POST, key=key, kind=kind, topic=topic, urgent=int(urgent), agent=agent_id, task=task_id, title=line, body=body[:MOST_BODY],
        data=json.dumps(data or {}), sinks=None if sinks is None else json.dumps(list(sinks)), now=tx.now,
    )  # fmt: skip
    row = tx.one(FOUND, key=key)
    return int(row["id"]) if row is not None else 0
