"""Getting an output out of the board: printed, or saved to a file. Reads the files themselves, with a daemon or without."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from orchestrator import exits
from orchestrator.commands.frame import FILE, Call, command

if TYPE_CHECKING:
    from blackboard.board import ReadOnly

PIECE = 1024 * 1024


@command("output", short_help="Print an output, or save it to a file.")
@click.argument("output", type=click.IntRange(min=1))
@click.option("--to", type=FILE, metavar="FILE", help="Save it there; never over a file that exists.")
@click.option("--force", is_flag=True, help="... also over a file that exists.")
def output(call: Call, output: int, to: Path | None, force: bool) -> None:
    """Print an output (its number is in `show TASK`), or save it to a file, byte for byte.

    On a terminal, characters that could steer it are left out, and what is no text is not printed.
    """
    from blackboard import downloads

    if force and to is None:
        raise click.UsageError("--force goes with --to FILE")
    with call.board() as board:
        row = downloads.one(board, output)
        pieces = _pieces(board, row, call.settings.uploads_dir)
        facts = downloads.facts(row)
        if to is not None:
            with _target(to, force) as file:
                for piece in pieces:
                    file.write(piece)
            call.screen.answer(facts | {"file": str(to)}, [f"output {output}: {row['size']} bytes in {to}"])
        elif call.as_json:
            beginning = next(pieces, b"")[: downloads.MOST_PAGE]
            call.screen.answer(facts | downloads.page(beginning, 0, row["size"]), [])
        elif sys.stdout.isatty():
            _show(b"".join(pieces), output)
        else:
            for piece in pieces:
                sys.stdout.buffer.write(piece)


def _pieces(board: ReadOnly, row: sqlite3.Row, uploads: Path) -> Iterator[bytes]:
    """The bytes, piece by piece; NotFound or Conflict before the first when a file is not what was handed in."""
    from blackboard import downloads

    if row["on_board"]:
        for offset in range(0, row["size"], PIECE):
            yield downloads.piece(board, row["id"], offset, PIECE)
        return
    fd = downloads.opened(row, uploads)
    try:
        left = row["size"]
        while left and (piece := os.read(fd, min(left, PIECE))):
            left -= len(piece)
            yield piece
    finally:
        os.close(fd)


@contextmanager
def _target(path: Path, force: bool) -> Iterator[BinaryIO]:
    """A new file, for this user only, there when all of it is written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            yield file
        if force:
            part.replace(path)
        else:
            os.link(part, path)
    except FileExistsError:
        raise exits.Exit(f"{path} exists: name another file, or say --force", exits.REFUSED) from None
    except OSError as error:
        raise exits.Exit(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _show(raw: bytes, output: int) -> None:
    from blackboard import downloads
    from orchestrator.screen import harmless

    text = downloads.page(raw, 0, len(raw))["text"]
    if text is None:
        raise exits.Exit(f"output {output} is not text: save it, with --to FILE", exits.REFUSED)
    print(harmless(text), end="" if text.endswith("\n") else "\n")


COMMANDS = (output,)
