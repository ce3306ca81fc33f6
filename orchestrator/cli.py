"""The command line, and `run`, where the orchestrator and the API meet.

The only module that imports both; everything heavy is imported inside `run`, so that `--help` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands import (
    auditing,
    boardfile,
    completing,
    deciding,
    feeding,
    fetching,
    heartbeats,
    listing,
    looking,
    noticing,
    pausing,
    permitting,
    posting,
    setup,
    spending,
    telling,
    tokens,
    watches,
    watching,
    workplaces,
)
from orchestrator.commands.frame import Call, Flags, command, options
from orchestrator.exits import TRY_AGAIN, Exit

if TYPE_CHECKING:
    import asyncio

    from blackboard.board import Board
    from blackboard.lock import BoardLock
    from orchestrator.config import Settings
    from orchestrator.daemon import Parts, Wish


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@options
@click.version_option(package_name="blackboard-orchestrator", prog_name="orchestrator")
@click.pass_context
def cli(context: click.Context, config: Path | None, board: Path | None) -> None:
    """Turn due slots into tasks on a blackboard, and tasks into running agents.

    Every command takes --json. Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 not found, 4 refused by
    the board, 5 daemon unreachable, 69 something is missing here, 75 try again.
    """
    context.obj = Flags(config, board)


@command("run", short_help="Run the daemon: take in slots, claim, start and watch agents.")
@click.option("--once", is_flag=True, help="One pass; wait for what it started, then end.")
@click.option("--dry-run", is_flag=True, help="One pass that renders and records, and starts nothing.")
@click.option("--on-exit", type=click.Choice(["stop", "leave"]), help="Agents that still run when the daemon ends.")
def run(call: Call, once: bool, dry_run: bool, on_exit: str | None) -> None:
    """Run the daemon on this terminal until Ctrl-C: take in slots, claim, start and watch agents."""
    from orchestrator import beginning, containment_check, listening, preflight
    from orchestrator.daemon import Wish
    from orchestrator.narration import Narrator
    from orchestrator.spoken import command as command_here

    settings = call.settings
    for refusal in preflight.refusals(settings):
        raise Exit(refusal.sentence, refusal.code)
    for warning in containment_check.warnings(settings):
        click.echo(f"orchestrator: agent {warning.agent}: {warning.sentence}", err=True)
    beginning.prepare_folders(settings)
    lock = _taken(settings)
    try:
        wish = Wish(once or dry_run, dry_run, on_exit or settings.on_exit)
        with (
            listening.bound(settings.api) as listener,
            Narrator(call.screen, command_here(settings), settings.board) as say,
        ):
            _live(settings, wish, lock, listener, say)
    finally:
        lock.release()


def _taken(settings: Settings) -> BoardLock:
    from orchestrator.roads import taken_or_held

    lock, found = taken_or_held(settings)
    if lock is None:
        raise Exit(
            f"process {found.get('pid')} runs this board already, at {found.get('url')}: use that one, or stop it first",
            TRY_AGAIN,
        )
    return lock


def _live(settings: Settings, wish: Wish, lock: BoardLock, listener: Any, say: Any) -> None:
    import asyncio

    from orchestrator.daemon import live

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(live(settings, _parts(settings), wish, lock, listener, say))


def _parts(settings: Settings) -> Parts:
    """Where the two halves are made, and handed to each other."""
    from api.app import create_app
    from api.endpoints import ApiConfig
    from orchestrator.daemon import Parts, Works, not_ready
    from orchestrator.machine import room
    from orchestrator.tick import Orchestrator

    def application(board: Board, works: Works, url: str) -> Any:
        config = ApiConfig(
            public_base_url=url,
            project=str(settings.slots.project),
            time_zone=settings.slots.time_zone,
            policies=settings.policies(),
            max_body_bytes=settings.api.max_body_bytes,
            uploads=settings.uploads_dir,
            max_upload_bytes=settings.api.max_upload_bytes,
            sinks=tuple(settings.sinks),
            room=lambda now: room(settings, now),
            calendar_open_to=frozenset(settings.api.calendar_open_to),
        )
        return create_app(
            board, config, wake=works.wake, ready=lambda: not_ready(settings, works), lateness=works.lateness
        )

    return Parts(
        orchestrator=lambda board, url, announce: Orchestrator(board, settings, base_url=url, announce=announce),
        application=application,
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # it does not build everywhere; the plain loop does the same, slower
        return None
    return uvloop.new_event_loop


for group in (
    setup,
    auditing,
    completing,
    looking,
    listing,
    spending,
    fetching,
    feeding,
    heartbeats,
    telling,
    watching,
    posting,
    deciding,
    noticing,
    pausing,
    permitting,
    tokens,
    workplaces,
    watches,
    boardfile,
):
    for each in group.COMMANDS:
        cli.add_command(each)
cli.add_command(run)


def main() -> None:
    """The installed command. What it makes is for this user only."""
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name="orchestrator")
