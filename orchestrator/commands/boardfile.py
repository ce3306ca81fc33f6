"""The board as a file: `doctor` checks it, `backup` copies it, `sql` asks it anything.

All three read only, beside a running daemon or without one.
"""

from __future__ import annotations

import csv
import re
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from orchestrator.commands.frame import Call, command
from orchestrator.exits import FAILED, USAGE, Exit

FILE = click.argument("file", required=False, type=click.Path(path_type=Path))


@command("doctor", short_help="Check a board's file against every rule it can show.")
@FILE
def doctor(call: Call, file: Path | None) -> None:
    """Check a board's file (the configured one, or FILE) against every rule it can show; exit 1 with findings."""
    from blackboard.migrations import schema_text
    from orchestrator.doctor import check

    board = file or call.settings.board
    findings = check(board, schema_text())
    value = {"board": str(board), "findings": [vars(finding) for finding in findings]}
    lines = [f"{finding.rule}: {finding.subject}: {finding.sentence}" for finding in findings]
    call.screen.answer(value, lines or [f"{board}: no findings"])
    if findings:
        raise SystemExit(FAILED)


@command("backup", short_help="Copy the board, also while it is written.")
@FILE
def backup(call: Call, file: Path | None) -> None:
    """Copy the board to FILE (or beside it, with the time in its name): consistent, checked, readable by you only."""
    from blackboard.clock import SystemClock
    from blackboard.migrations import backup as copied

    board = call.settings.board
    with call.board():
        pass  # it is a board, and not one of a newer program
    target = file or board.with_name(f"{board.stem}.{SystemClock().now()[:19].replace(':', '')}Z.backup.db")
    target = target / f"{board.stem}.backup.db" if target.is_dir() else target
    if target.exists():
        raise Exit(f"{target} exists: name another file", FAILED)
    try:
        copied(board, target.absolute())
    except OSError as error:
        raise Exit(f"{target} cannot be written: {error.strerror}") from None
    call.screen.answer(
        {"backup": str(target), "bytes": target.stat().st_size}, [f"{target} ({target.stat().st_size} bytes)"]
    )


@command("sql", short_help="Ask the board with SQL, read only.")
@click.argument("query", required=False)
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), help="How rows are shown.")
def sql(call: Call, query: str | None, form: str | None) -> None:
    """Run QUERY on the board, read only. Without one: each statement of stdin, or a prompt on a terminal.

    Good beginnings: SELECT * FROM v_board; v_running; v_stuck; v_agent_load; v_task_story WHERE task_id = 7.
    """
    form = form or ("json" if call.as_json else "table")
    with call.board() as board:
        connection = board.connection
        connection.set_authorizer(_reads)
        if query is not None:
            _show(call, connection, query, form)
        elif sys.stdin.isatty():
            _prompt(call, connection, form)
        else:
            for statement in statements(sys.stdin):
                _show(call, connection, statement, form)


_ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_PRAGMA,
}


def _reads(action: int, _first: str | None, value: str | None, *_more: object) -> int:
    """Only questions: no ATTACH of other files, no pragma that sets something, nothing that writes."""
    sets = action == sqlite3.SQLITE_PRAGMA and value is not None and _first not in _ASKED
    return sqlite3.SQLITE_OK if action in _ALLOWED and not sets else sqlite3.SQLITE_DENY


_ASKED = {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
          "integrity_check", "quick_check", "foreign_key_check"}  # fmt: skip


def statements(lines: Iterable[str]) -> Iterator[str]:
    """Whole statements, each up to its semicolon; the last one may go without."""
    text = ""
    for line in lines:
        for piece in re.split(r"(?<=;)", line):
            text += piece
            if piece.endswith(";") and sqlite3.complete_statement(text):
                yield text
                text = ""
    if text.strip():
        yield text


def _show(call: Call, connection: sqlite3.Connection, query: str, form: str) -> None:
    try:
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description or ()]
        rows = cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        hint = (
            " (`sql` reads only; to change something use the verbs, or sqlite3 itself)"
            if "not authorized" in str(error)
            else ""
        )
        raise Exit(f"sql: {error}{hint}", USAGE) from None
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([names, *([_plain(value) for value in row] for row in rows)])
        return
    _table(call, names, rows, form)


def _table(call: Call, names: list[str], rows: list[sqlite3.Row], form: str) -> None:
    from orchestrator.screen import Screen

    screen = call.screen if (form == "json") == call.as_json else Screen(as_json=form == "json")
    keys = [f"{name}.{place}" if names.count(name) > 1 else name for place, name in enumerate(names)]
    values = [{key: _plain(row[place]) for place, key in enumerate(keys)} for row in rows]
    screen.table(values, dict(zip(keys, names, strict=True)), empty="no rows")


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


def _prompt(call: Call, connection: sqlite3.Connection, form: str) -> None:
    import readline  # noqa: F401  (gives input() its history and editing)

    call.screen.line(
        "SQL, read only; a statement ends with `;`, Ctrl-D leaves. Views: v_board v_running v_stuck v_agent_load v_task_story"
    )
    for statement in statements(_typed()):
        try:
            _show(call, connection, statement, form)
        except Exit as error:
            click.echo(error.sentence, err=True)


def _typed() -> Iterator[str]:
    while True:
        try:
            yield input("board> ") + "\n"
        except EOFError:
            print()
            return


COMMANDS = (doctor, backup, sql)
