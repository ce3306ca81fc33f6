"""`feed`: the calendar feed on the terminal, or as a file for a web server. Reads the board itself, with a daemon or without."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import click

from orchestrator import exits
from orchestrator.commands.completing import agents as agent_names
from orchestrator.commands.frame import FILE, Call, command


@command("feed", short_help="What happened and what is planned, as an iCalendar text.")
@click.option("--agent", help="Only what is this agent's.", shell_complete=agent_names)
@click.option("--out", type=FILE, metavar="FILE", help="Write it there, in one step, over what was there.")
def feed(call: Call, agent: str | None, out: Path | None) -> None:
    """What happened and what is planned, of all agents or of one, as calendar programs read it.

    The same text that the daemon serves at the address of `token new --feed`; with --out it becomes a file that any web
    server can serve. A file that says the same already is left as it is.
    """
    from blackboard import feed as feeds
    from blackboard import feed_text
    from blackboard.clock import SystemClock

    with call.board() as board:
        found = feeds.read(board, SystemClock().now(), agent)
    text = feed_text.rendered(found, agent)
    told = {"agent": agent, "events": len(found.entries), "cut": found.cut, "bytes": len(text)}
    if found.cut:
        click.echo(f"orchestrator: {feed_text.CUT}", err=True)
    if out is not None:
        changed = _put(out, text)
        line = f"{len(found.entries)} events in {out}{'' if changed else ', as before'}"
        call.screen.answer({**told, "file": str(out), "changed": changed}, [line])
    elif call.as_json:
        call.screen.answer({**told, "calendar": text.decode()}, [])
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text)


def _put(file: Path, text: bytes) -> bool:
    """Have the file say this, whole at any moment; whether it said something else. Who may read it stays as it was."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        if file.exists() and file.read_bytes() == text:
            return False
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
            if file.exists():
                os.fchmod(opened.fileno(), stat.S_IMODE(file.stat().st_mode))
        part.replace(file)
    except OSError as error:
        raise exits.Exit(f"{file} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return True


COMMANDS = (feed,)
