"""Opens a board to look at it, and asks every rule.

Never writes: not even the -wal and -shm files that SQLite makes beside a board opened `mode=ro`. Never uses
ordinary file calls on a board that somebody may have open: closing such a handle would drop their locks.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from orchestrator.doctor import heartbeats, notices, pauses, permissions, rows, shape, stories, watches
from orchestrator.doctor.rule import RESTORE, Finding, query, told

APPLICATION_ID = 1111639857
# What is asked of every board, but for its text and the stories of its tasks.
RULES = (
    *shape.RULES,
    *rows.RULES,
    *pauses.RULES,
    *permissions.RULES,
    *watches.RULES,
    *notices.RULES,
    *heartbeats.RULES,
)
VERSIONS = (4,)  # of the boards whose rules are known here
BUSY_SECONDS = 5.0


def check(path: str | Path, schema_text: str | None = None) -> list[Finding]:
    """Check the board at `path`, beside a running daemon or without one; an empty list if nothing is wrong.

    `schema_text`: the shipped schema.sql, to compare tables, triggers and moves with; without it they are not
    compared. What is no board, or cannot be read, is a finding and not an error.
    """
    board = Path(path)
    try:
        if not board.is_file():
            return [Finding("file", str(board), f"There is no board at {board}. Name another file.")]
        if board.stat().st_size == 0 and not _beside(board, "-wal").exists():
            return [Finding("file", str(board), f"{board} is empty. Delete it, or name another file.")]
        return _checked(board, schema_text)
    except (sqlite3.Error, OSError) as error:
        return [Finding("file", str(board), _unreadable(board, error))]


def check_connection(connection: sqlite3.Connection, schema_text: str | None = None) -> list[Finding]:
    """Check the board a connection has open, in one snapshot (inside its transaction, if it is in one)."""
    ours = not connection.in_transaction
    if ours:
        connection.execute("BEGIN")
    try:
        return _stranger(connection) or _everything(connection, schema_text)
    finally:
        if ours:
            connection.execute("ROLLBACK")


def _checked(board: Path, schema_text: str | None) -> list[Finding]:
    """Look at a closed board without locks, so that no file appears; again with them if it was opened meanwhile."""
    if not _beside(board, "-wal").exists() and not _beside(board, "-journal").exists():
        before = _state(board)
        with closing(_connect(board, "mode=ro&immutable=1")) as connection:
            findings = check_connection(connection, schema_text)
        if _state(board) == before:
            return findings
    with _whole(board) as safe, closing(_connect(safe, "mode=ro")) as connection:
        return check_connection(connection, schema_text)


def _beside(board: Path, suffix: str) -> Path:
    return board.with_name(board.name + suffix)


def _connect(board: Path, how: str) -> sqlite3.Connection:
    uri = f"{board.absolute().as_uri()}?{how}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _state(board: Path) -> tuple[int, int, bool]:
    """What changes when somebody opens the board or writes to it."""
    found = board.stat()
    return found.st_mtime_ns, found.st_size, _beside(board, "-wal").exists()


@contextmanager
def _whole(board: Path) -> Iterator[Path]:
    """The board itself; or a copy in a temporary folder, if opening it would create its -shm file.

    A -wal without a -shm is a copied board: nobody has it open, so ordinary file calls drop no lock.
    """
    if not _beside(board, "-wal").exists() or _beside(board, "-shm").exists():
        yield board
        return
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        copy = Path(folder, "board")
        shutil.copyfile(board, copy)
        shutil.copyfile(_beside(board, "-wal"), _beside(copy, "-wal"))
        yield copy


def _unreadable(board: Path, error: Exception) -> str:
    """Why a board could not be looked at, and what to do."""
    if _beside(board, "-wal").exists() and not os.access(board.parent, os.W_OK):
        return (
            f"{board} has changes in its -wal file and its folder is read-only ({error}). "
            "Copy the board with its -wal and -shm files to a folder of your own, and check the copy."
        )
    if isinstance(error, sqlite3.OperationalError | OSError):
        return f"{board} cannot be read: {error}. Look at its permissions, and whether somebody holds it locked."
    return f"{board} is damaged, or no SQLite file: {error}. Restore a backup, or name another file."


def _stranger(connection: sqlite3.Connection) -> list[Finding]:
    """A file that is no board, or of a version not known here: nothing else is asked then."""
    ((application,),) = query(connection, "PRAGMA application_id")
    ((version,),) = query(connection, "PRAGMA user_version")
    if application != APPLICATION_ID:
        said = "This is an SQLite file, but not a board. Name another file."
    elif version > max(VERSIONS):
        said = f"This board has version {version}, this program knows {max(VERSIONS)}. Upgrade the program."
    elif version not in VERSIONS:
        said = f"This board has version {version}, unfinished or unknown here. Start the orchestrator on it once."
    else:
        return []
    return [Finding("file", "board", said)]


def _everything(connection: sqlite3.Connection, schema_text: str | None) -> list[Finding]:
    """Every rule's findings. A rule that stumbles over a damaged file adds nothing to what `integrity` says."""
    asked = [(each.__name__, told(each.__name__, each(connection))) for each in RULES]
    if schema_text is not None:
        asked.append(("schema", told("schema", shape.differences(connection, schema_text))))
    asked.append(("events", stories.findings(connection)))
    findings: list[Finding] = []
    for name, answer in asked:
        try:
            findings += answer
        except (sqlite3.Error, UnicodeDecodeError) as error:  # damage may be in the middle of a text
            if not any(found.rule == "integrity" for found in findings):
                damaged = (
                    isinstance(error, UnicodeDecodeError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
                )
                findings.append(
                    Finding(name, "board", f"{name} could not be asked: {error}. {RESTORE if damaged else _BY_SHAPE}")
                )
    return findings


_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR)
_BY_SHAPE = "Compare the board with schema.sql: the rule `schema` does."
