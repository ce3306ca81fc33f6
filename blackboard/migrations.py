"""The shape of the file: recognising a board, making a new one, bringing an old one up.

`schema.sql` is the newest shape in full. A step from version n to n+1 is one text in `migration_steps`; it changes
tables only: triggers, views and the rules' data are code, dropped before the first step and made anew from schema.sql
after the last, for they speak of the newest tables. All of it is one transaction, with a backup of the file before it.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from functools import cache
from importlib import resources
from pathlib import Path

from blackboard.errors import BadBoard
from blackboard.migration_steps import STEPS, VERSION

APPLICATION_ID = 1111639857
CODE_MARK = "-- CODE:"
CODE_TABLES = ("moves", "outcomes")


@cache
def schema_text() -> str:
    """The text of schema.sql: beside the package in a wheel, at the top of a checkout."""
    packaged = resources.files("blackboard") / "schema.sql"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parent.parent / "schema.sql").read_text(encoding="utf-8")


def recognise(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a board's file, 0 for an empty one; BadBoard for anything else, newer versions included."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    objects = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if objects == 0 and application in (0, APPLICATION_ID):
        return 0
    if application != APPLICATION_ID:
        raise BadBoard(f"{path} is an SQLite file but not a board: name another file")
    if version > VERSION:
        raise BadBoard(f"{path} was written by a newer version of the orchestrator (board version {version}, "
                       f"this program knows {VERSION}): upgrade the program")  # fmt: skip
    if version == 0:
        raise BadBoard(f"{path} was begun as a board and never finished: delete it, or restore a backup")
    return version


def apply(connection: sqlite3.Connection, path: Path, now: str) -> None:
    """Bring the file to VERSION. A kill at any moment leaves either the old shape or the new."""
    version = recognise(connection, path)
    if version == 0:
        _transaction(connection, f"{schema_text()};\n{_identity(now)}")
        return
    if version < VERSION:
        backup(path, path.with_name(f"{path.name}.before-{VERSION}-{now.replace(':', '')}"))
        _transaction(connection, _steps(connection, version))
    if connection.execute(BOARD_ID).fetchone() is None:  # made by `sqlite3 FILE < schema.sql`
        _transaction(connection, _identity(now))


BOARD_ID = "SELECT value FROM meta WHERE key = 'board_id'"


def _identity(now: str) -> str:
    values = f"('board_id', '{secrets.token_hex(8)}'), ('created_at', '{now}')"
    return f"INSERT OR IGNORE INTO meta (key, value) VALUES {values};"  # noqa: S608 - both are our own text


def _steps(connection: sqlite3.Connection, version: int) -> str:
    """Drop the code, change the tables step by step, make the code anew: it speaks of tables of the last step."""
    rows = connection.execute("SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchall()
    drops = [f'DROP {kind} "{name}";' for kind, name in rows] + [f"DROP TABLE {name};" for name in CODE_TABLES]
    code = schema_text().partition(CODE_MARK)[2].partition("\n")[2]
    steps = [STEPS[reached] for reached in range(version + 1, VERSION + 1)]
    return "\n".join([*drops, *steps, code, f"PRAGMA user_version = {VERSION};"])


def _transaction(connection: sqlite3.Connection, script: str) -> None:
    """Run a script whole or not at all."""
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.rollback()
        raise


def backup(board: Path, target: Path) -> Path:
    """Copy a board, also while it is written: a consistent file, checked, readable by its owner only.

    SQLite's own backup over a read-only connection, in one step, so of one snapshot; to a temporary name that is
    renamed when it passed: a kill in between leaves no half backup under the target's name. Not VACUUM INTO:
    over a read-only connection, SQLite 3.40 cannot copy a table with both a CHECK and a virtual column.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)  # of a killed process that had our pid
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _copy(board, temporary)
        _check_copy(temporary)
        _sync(temporary)
        os.replace(temporary, target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _copy(board: Path, copy: Path) -> None:
    source = sqlite3.connect(f"{board.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    sink = sqlite3.connect(copy, isolation_level=None)
    try:
        source.backup(sink)
        sink.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    finally:
        sink.close()
        source.close()


def _sync(path: Path) -> None:
    """Have a finished copy, or a folder's new name, on the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _check_copy(copy: Path) -> None:
    connection = sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro", uri=True)
    try:
        found = connection.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        connection.close()
    if found != "ok":
        raise BadBoard(f"the backup did not pass its check ({found}); the board itself may be damaged: run doctor")
