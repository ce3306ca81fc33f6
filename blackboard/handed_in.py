"""What a review is about: the outputs of the attempt that handed the task in, as the reviewer's prompt shows them.

Bounded: what is too long or too many is told, and can be read over the API. Reads only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blackboard.board import Rows
from blackboard.record import Record

MOST_OUTPUTS = 20
MOST_CHARACTERS = 60_000  # of all contents together

LAST_WORK = """
SELECT id, number, agent_id, workspace, detail FROM attempts
 WHERE task_id = :task AND role = 'executor' AND id < :before ORDER BY number DESC LIMIT 1
"""
COUNT = "SELECT count(*) AS n FROM outputs WHERE attempt_id = :attempt"
OUTPUTS = """
SELECT id, type, title, summary, size, sha256, substr(content, 1, :most) AS content, length(content) > :most AS cut, content_path, kept
  FROM outputs WHERE attempt_id = :attempt ORDER BY id LIMIT :many
"""


def work(rows: Rows, task_id: int, before: int) -> dict[str, Any] | None:
    """The latest executor's attempt with a lower id than `before`, and its outputs; None when there is none."""
    attempt = rows.one(LAST_WORK, task=task_id, before=before)
    if attempt is None:
        return None
    counted = rows.one(COUNT, attempt=attempt["id"])
    many = int(counted["n"]) if counted else 0
    most = MOST_CHARACTERS // max(1, min(many, MOST_OUTPUTS))
    found = rows.all(OUTPUTS, attempt=attempt["id"], most=most, many=MOST_OUTPUTS)
    return {
        "number": attempt["number"],
        "agent": attempt["agent_id"],
        "workspace": attempt["workspace"],
        "detail": attempt["detail"],
        "outputs": [_output(row, attempt["workspace"]) for row in found],
        "left_out": many - len(found),
    }


def _output(row: Record, workspace: str | None) -> dict[str, Any]:
    """`content` or `file`, an absolute path of this machine; neither for a file that was uploaded."""
    told = {key: row[key] for key in ("id", "type", "title", "summary", "size", "sha256", "content")}
    by_path = row["content_path"] is not None and not row["kept"] and workspace is not None
    file = str(Path(workspace, row["content_path"])) if by_path and workspace else None
    return told | {"cut": bool(row["cut"]), "file": file}
