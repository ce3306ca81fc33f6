"""Answers for a person or a program: tables and lines, colour on a terminal, plain text otherwise, or JSON.

Text of the board was written by others: control characters never reach the terminal. Nothing but answers goes
to stdout; never decides what is shown, only how.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)
_RAW_IN_JSON = re.compile(r"[\x7f-\x9f]")

STYLES = {
    "pending": "dim", "claimed": "cyan", "working": "blue", "review": "magenta", "done": "green",
    "failed": "red", "blocked": "yellow", "cancelled": "dim",
    "ok": "green", "warn": "yellow", "fail": "red",
}  # fmt: skip


def harmless(text: str) -> str:
    """The text without what could steer a terminal: escape sequences, control and direction characters."""
    return _CONTROL.sub("", text)


def as_json(value: object) -> str:
    """One line of JSON that is harmless on a terminal too."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return _RAW_IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


class Screen:
    """Where the answers of one command go."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.coloured = not as_json and sys.stdout.isatty()

    def answer(self, value: object, lines: Iterable[str]) -> None:
        """One answer: the value for a program, the lines for a person."""
        if self.as_json:
            print(as_json(value))
            return
        for line in lines:
            self.line(line)

    def stream(self, value: object, line: str, style: str = "") -> None:
        """One of many answers, shown at once."""
        if self.as_json:
            print(as_json(value), flush=True)
        else:
            self.line(line, style)
            sys.stdout.flush()

    def line(self, text: str, style: str = "") -> None:
        """A line for a person; nothing in JSON."""
        if self.as_json:
            return
        if self.coloured and style:
            from rich.text import Text

            self._console.print(Text(harmless(text), style=style), soft_wrap=True)
        else:
            print(harmless(text))

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, empty: str) -> None:
        """Rows as a table. `columns`: key → heading; `empty`: the sentence instead of an empty table."""
        if self.as_json:
            print(as_json([dict(row) for row in rows]))
        elif not rows:
            self.line(empty)
        else:
            cells = [[_cell(row[key]) for key in columns] for row in rows]
            (self._rich_table if self.coloured else _plain_table)(cells, list(columns.values()))

    def _rich_table(self, cells: list[list[str]], headings: list[str]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for heading in headings:
            table.add_column(heading, overflow="fold", no_wrap=heading not in _LONG)
        for row in cells:
            table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
        self._console.print(table)

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console

        return Console(highlight=False, markup=False, emoji=False)


_LONG = frozenset({"title", "why", "next", "reason", "what"})  # headings whose cells may take several lines


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return harmless(" ".join(text.split()))


def _plain_table(cells: list[list[str]], headings: list[str]) -> None:
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    for row in [headings, *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
