"""Reading what an attempt printed: whole lines, tokens masked, followed while the attempt lives.

Reads only. The files themselves are the agent's own words, unmasked and 0600; every way out of here is masked.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from blackboard.board import Rows
from blackboard.errors import NotFound
from blackboard.tokens import PREFIX, redact

LOOK_SECONDS = 0.2
BLOCK = 64 * 1024
LONGEST_LINE = 1024 * 1024
LONGER_THAN_A_TOKEN = 128


_PIECE = re.compile(r"^[A-Za-z0-9_-]+")  # the cut may have gone through a token, and half of one is not masked


def end_of(path: Path, most: int) -> str:
    """The last `most` bytes of a file as text, empty when it cannot be read. Not masked yet."""
    try:
        with path.open("rb") as file:
            begin = max(0, file.seek(0, os.SEEK_END) - most)
            file.seek(begin)
            text = file.read(most).decode("utf-8", "replace")
            return _PIECE.sub("", text) if begin else text
    except OSError:
        return ""


ATTEMPT = """
SELECT id, number, agent_id FROM attempts WHERE task_id = :task AND (:number IS NULL OR number = :number) ORDER BY number DESC LIMIT 1
"""


def attempt(rows: Rows, task: int, number: int | None) -> sqlite3.Row:
    """The attempt with this number, or the latest; NotFound."""
    row = rows.one(ATTEMPT, task=task, number=number)
    if row is None:
        which = "was not attempted yet: `orchestrator why` tells when" if number is None else f"has no attempt {number}"
        raise NotFound(f"task {task} {which}")
    return row


def path(attempts: Path, found: sqlite3.Row, stderr: bool) -> Path:
    """Where its output is."""
    return attempts / str(found["id"]) / ("stderr.log" if stderr else "stdout.log")


LIVE = "SELECT 1 FROM attempts WHERE id = :id AND gone_at IS NULL"


def is_live(rows: Rows, found: sqlite3.Row) -> bool:
    """Whether something may still be printed."""
    return rows.one(LIVE, id=found["id"]) is not None


def lines(file: Path, more: Callable[[], bool]) -> Iterator[str]:
    """The file's lines, masked; at its end waits while `more()`. A missing file is an empty one."""
    rest = b""
    for block in _blocks(file, more):
        *whole, rest = (rest + block).split(b"\n")
        yield from (_shown(line) for line in whole)
        if len(rest) > LONGEST_LINE:
            cut = _between_tokens(rest)
            yield _shown(rest[:cut])
            rest = rest[cut:]
    if rest:
        yield _shown(rest)


def _between_tokens(line: bytes) -> int:
    """Where a line without an end may be cut so that no token is cut in two: half a token would not be masked."""
    cut = len(line) - LONGER_THAN_A_TOKEN
    begins = line.rfind(PREFIX.encode(), cut - LONGER_THAN_A_TOKEN, cut + len(PREFIX))
    return begins if begins >= 0 else cut


def _shown(line: bytes) -> str:
    return redact(line.removesuffix(b"\r").decode(errors="replace"))


def _blocks(file: Path, more: Callable[[], bool]) -> Iterator[bytes]:
    opened: BinaryIO | None = None
    try:
        while True:
            live = more()  # asked before the last look, so that nothing printed before it ended is missed
            opened = opened or (file.open("rb") if file.exists() else None)
            while opened and (block := _next(opened)):
                yield block
            if not live:
                return
            time.sleep(LOOK_SECONDS)
    finally:
        if opened:
            opened.close()


def _next(opened: BinaryIO) -> bytes:
    """The next piece; from the beginning when the file was cut behind our back."""
    block = opened.read(BLOCK)
    if not block:
        here = opened.tell()
        opened.seek(0 if opened.seek(0, 2) < here else here)
    return block
