"""One output read back: its facts, its bytes wherever they are, and a page of its text.

A file is opened without following links and is still what was handed in, or it is told that it is not. Blocking
where files are read: call that in a thread. Never decides who may read.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

from blackboard import content
from blackboard.board import Rows
from blackboard.content import Held
from blackboard.errors import Conflict, Invalid, NotFound
from blackboard.record import Record

MOST_PAGE = 64 * 1024  # bytes of text in one page
LEAST_PAGE = 4  # a character may have so many bytes

OUTPUT = """
SELECT o.id, o.task_id, o.attempt_id, o.agent_id, o.type, o.title, o.content_path, o.kept, o.size, o.sha256, o.summary,
       o.created_at, o.content IS NOT NULL AS on_board, a.workspace
  FROM outputs o LEFT JOIN attempts a ON a.id = o.attempt_id WHERE o.id = :id
"""


def one(rows: Rows, output_id: int, task_id: int | None = None) -> sqlite3.Row:
    """An output's facts (of this task); NotFound."""
    row = rows.one(OUTPUT, id=output_id)
    if row is None or task_id not in (None, row["task_id"]):
        raise NotFound(f"there is no output {output_id} here: those of a task are in its `expand=outputs`")
    return row


_NOT_TOLD = frozenset({"on_board", "workspace"})


def facts(row: Record) -> dict[str, Any]:
    """What is told of an output, ready for JSON."""
    return {name: row[name] for name in row.keys() if name not in _NOT_TOLD}  # type: ignore[attr-defined]  # noqa: SIM118


PIECE = "SELECT substr(CAST(content AS BLOB), :offset + 1, :most) AS piece FROM outputs WHERE id = :id"


def piece(rows: Rows, output_id: int, offset: int, most: int) -> bytes:
    """Some bytes of a content that is on the board."""
    row = rows.one(PIECE, id=output_id, offset=offset, most=most)
    return bytes(row["piece"] or b"") if row else b""


def opened(row: Record, uploads: Path) -> int:
    """A descriptor of the file an output names, at its first byte. NotFound when it is gone, Conflict when changed."""
    return _kept(row, uploads) if row["kept"] else _in_workspace(row)


def _kept(row: Record, uploads: Path) -> int:
    """A file of ours: it lies under its hash and never changes, so its size is looked at and not all of it."""
    try:
        fd = os.open(
            uploads / os.path.basename(row["sha256"]), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except OSError as error:
        raise NotFound(
            f"the file of output {row['id']} is not in the board's folder of uploads ({error.strerror}): "
            "copy it back from a backup"
        ) from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_size != row["size"]:
        os.close(fd)
        raise Conflict(f"the file of output {row['id']} is not what was handed in: copy it back from a backup")
    return fd


def _in_workspace(row: Record) -> int:
    """A file the agent kept: it may have changed since, so all of it is compared."""
    if row["workspace"] is None:
        raise NotFound(f"the attempt of output {row['id']} had no workspace: its file is not known here")
    try:
        fd, now = content.reopened(row["workspace"], row["content_path"], row["size"])
    except Invalid as error:
        raise NotFound(f"the file of output {row['id']} is not there any more: {error.sentence}") from error
    if now != Held(row["content_path"], row["size"], row["sha256"]):
        os.close(fd)
        raise Conflict(f"the file of output {row['id']} has changed since it was handed in: its bytes of then are gone")
    return fd


def page(raw: bytes, offset: int, size: int) -> dict[str, Any]:
    """A page of text from some bytes at `offset` of `size`: `text` (None where it is none) and `next` (None at the end).

    Both offsets are in bytes. A page ends before a character that is not whole in it.
    """
    text = _decoded(raw, last=offset + len(raw) >= size)
    if text is None:
        return {"text": None, "offset": offset, "next": None}
    end = offset + len(text.encode())
    return {"text": text, "offset": offset, "next": end if end < size and text else None}


def _decoded(raw: bytes, *, last: bool) -> str | None:
    if b"\0" in raw:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if last or error.reason != "unexpected end of data":
            return None
        return raw[: error.start].decode()


def is_text(beginning: bytes, size: int) -> bool:
    """Whether a file that begins so is text, as far as one can see."""
    return page(beginning, 0, size)["text"] is not None
