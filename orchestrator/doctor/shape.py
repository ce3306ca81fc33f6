"""Rules about the file itself: whole pages, kept references, and the shipped tables, triggers and moves."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from orchestrator.doctor.rule import RESTORE, Rule, Said, into, query

RULES: list[Rule] = []
rule = into(RULES)


@rule
def integrity(connection: sqlite3.Connection) -> Said:
    """I14: SQLite finds its pages, indexes and constraints whole."""
    for (text,) in query(connection, "PRAGMA integrity_check"):
        if text != "ok":
            yield "file", f"SQLite's integrity_check says: {text}. {RESTORE}"


@rule
def foreign_keys(connection: sqlite3.Connection) -> Said:
    """I14: no row names one that is not there."""
    for table, rowid, parent, _ in query(connection, "PRAGMA foreign_key_check"):
        yield f"{table} {rowid}", f"Row {rowid} of {table} names a row of {parent} that is not there. Insert it again."


SHAPES = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE substr(name, 1, 7) <> 'sqlite_'"
CONTENTS = {"moves": "SELECT * FROM moves", "outcomes": "SELECT * FROM outcomes"}


def differences(connection: sqlite3.Connection, schema_text: str) -> Said:
    """I1, I4: tables, indexes, triggers, views, moves and outcomes are the shipped ones: they are the rules."""
    with closing(sqlite3.connect(":memory:")) as shipped:
        shipped.executescript(schema_text)
        ours, theirs = _shapes(shipped), _shapes(connection)
        for what in sorted(ours.keys() | theirs.keys()):
            if what not in theirs:
                yield what, f"The {what} is missing. Make it with its text from schema.sql."
            elif what not in ours:
                yield what, f"The {what} is not of schema.sql. Drop it, unless you know what it is for."
            elif ours[what] != theirs[what]:
                yield what, f"The {what} is not as in schema.sql. {_mend(what)}"
        for table, content in CONTENTS.items():
            if f"table {table}" in theirs and {*query(shipped, content)} != {*query(connection, content)}:
                yield f"table {table}", f"The rows of {table} are not those of schema.sql. Write those into it."


def _mend(what: str) -> str:
    return RESTORE if what.startswith("table ") else "Drop it, and make it with its text from schema.sql."


# A quoted text is kept; comments and white space between the words count as one blank.
GAPS = re.compile(r"('(?:[^']|'')*')|(?:--[^\n]*|\s)+")


# What stands around a comma or a bracket: schema.sql aligns columns, ALTER TABLE does not.
EDGES = re.compile(r"('(?:[^']|'')*')|\s*([(),])\s*")


def _shapes(connection: sqlite3.Connection) -> dict[str, tuple[str, tuple[str, ...]]]:
    """'trigger task_stays' → the table it is of, and its text as words; a table's text as its parts, in any order.

    The order of columns is no rule: a migrated file has the newer ones last.
    """
    return {
        f"{kind} {name}": (table, _parts(_words(sql or "")) if kind == "table" else (_words(sql or ""),))
        for kind, name, table, sql in query(connection, SHAPES)
    }


def _words(sql: str) -> str:
    return GAPS.sub(lambda gap: gap[1] or " ", sql)


def _parts(table: str) -> tuple[str, ...]:
    """A CREATE TABLE as its head, its columns and constraints, and its tail, sorted."""
    text = EDGES.sub(lambda edge: edge[1] or edge[2], table)
    parts, depth, begun = [], 0, 0
    for place, letter in _bare(text):
        depth += (letter == "(") - (letter == ")")
        if (letter, depth) in ((",", 1), ("(", 1), (")", 0)):
            parts.append(text[begun:place].strip())
            begun = place + 1
    return tuple(sorted([*parts, text[begun:].strip()]))


def _bare(text: str) -> Iterator[tuple[int, str]]:
    """The letters outside of quotes, each with its place."""
    quoted = False
    for place, letter in enumerate(text):
        quoted ^= letter == "'"
        if not quoted:
            yield place, letter
