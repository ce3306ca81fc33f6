"""What every command has in common: `--json`, the settings it works with, and how its errors are told.

Imports little, so that `--help` is quick: settings and the board are loaded when a command asks for them.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from blackboard.errors import BlackboardError
from orchestrator import exits

if TYPE_CHECKING:
    from blackboard.board import ReadOnly
    from orchestrator.config import Settings
    from orchestrator.screen import Screen


@dataclass(frozen=True)
class Flags:
    """The options every command takes, before its name or after it."""

    config: Path | None = None
    board: Path | None = None

    @property
    def values(self) -> dict[str, Any]:
        """Keys of the configuration that a flag sets."""
        return {"board": self.board} if self.board else {}


FILE = click.Path(path_type=Path)


def options(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--config` and `--board`."""
    fn = click.option("--board", type=FILE, metavar="FILE", help="Another board than the configured one.")(fn)
    return click.option("--config", type=FILE, metavar="FILE", help="The configuration to use.")(fn)


@dataclass
class Call:
    """What a command is handed besides its own options."""

    flags: Flags
    as_json: bool

    @functools.cached_property
    def settings(self) -> Settings:
        """The configuration in force."""
        from orchestrator.config_loading import load

        return load(self.flags.config, flags=self.flags.values)

    @functools.cached_property
    def screen(self) -> Screen:
        """Where answers go."""
        from orchestrator.screen import Screen

        return Screen(as_json=self.as_json)

    def board(self) -> ReadOnly:
        """The board's file, opened for reading."""
        from blackboard.board import ReadOnly

        return ReadOnly(self.settings.board)


def command(name: str, **attributes: Any) -> Callable[[Callable[..., None]], click.Command]:
    """Make `fn(call, **options)` a command with `--json` and told errors."""

    def made(fn: Callable[..., None]) -> click.Command:
        @click.option("--json", "as_json", is_flag=True, help="Answer in JSON, and nothing else on stdout.")
        @options
        @click.pass_context
        @functools.wraps(fn)
        def called(
            context: click.Context, /, as_json: bool, config: Path | None, board: Path | None, **given: Any
        ) -> None:
            before = context.ensure_object(Flags)
            with told_errors():
                fn(Call(Flags(config or before.config, board or before.board), as_json), **given)

        return click.command(name, cls=click.Command, **attributes)(called)

    return made


@contextmanager
def told_errors() -> Iterator[None]:
    """Errors become one sentence on stderr and an exit code; a reader that went away ends the command quietly."""
    try:
        yield
        sys.stdout.flush()
    except exits.Exit as error:
        _end(error.sentence, error.code)
    except BlackboardError as error:
        _end(error.sentence, exits.code_of(error))
    except sqlite3.Error as error:
        _end(f"the board cannot be read: {error}", exits.FAILED)
    except OverflowError as error:
        if "SQLite" not in str(error):
            raise
        _end("a number is larger than a board can hold: give a smaller one", exits.USAGE)
    except UnicodeEncodeError as error:  # bytes of an argument or of standard input, kept as halves of surrogate pairs
        if error.reason != "surrogates not allowed":
            raise
        _end("what was given holds bytes that are not UTF-8: write it as text", exits.USAGE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit
        sys.exit(exits.OK)


def _end(sentence: str, code: int) -> None:
    from orchestrator.screen import harmless

    for line in sentence.splitlines():
        click.echo(f"orchestrator: {harmless(line)}", err=True)
    sys.exit(code)
