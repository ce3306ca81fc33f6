"""Comparing what is planned elsewhere with what is on the board. Reads both, changes neither."""

from __future__ import annotations

import click

from orchestrator.commands.frame import Call, command
from orchestrator.exits import FAILED, NOT_FOUND, USAGE, Exit


@command("audit", short_help="Compare a calendar backend's day with the board.")
@click.argument("backend")
@click.option("--date", metavar="DAY", help="Which day, YYYY-MM-DD; today in the backend's zone unless said.")
def audit(call: Call, backend: str, date: str | None) -> None:
    """Compare a day of BACKEND (of [backends.NAME]) with the board: slots that are missing, extra or different.

    Exit 1 with differences. Nothing is mended: the next whole answer of the backend does that.
    """
    from datetime import date as day_type

    from blackboard.clock import SystemClock
    from orchestrator.asking import NoAnswer
    from orchestrator.backend_audit import compared
    from orchestrator.backends import backend_of

    config = call.settings.backends.get(backend)
    if config is None:
        known = ", ".join(call.settings.backends) or "none: add [backends.NAME] to the configuration"
        raise Exit(f"there is no backend {backend!r}: there is {known}", NOT_FOUND)
    day = date or backend_of(backend, config, call.settings).today(SystemClock().now())
    try:
        if day_type.fromisoformat(day).isoformat() != day:
            raise ValueError
    except ValueError:
        raise Exit(f"--date {day!r} is not a day: write YYYY-MM-DD", USAGE) from None
    try:
        with call.board() as board:
            found = compared(board, call.settings, backend, day)
    except NoAnswer as error:
        raise Exit(f"backend {backend}: {error}", FAILED) from None
    value = {"backend": backend, "date": day, "differences": [each._asdict() for each in found]}
    lines = [f"{each.agent}  {each.slot}  {each.kind}: {each.sentence}" for each in found]
    call.screen.answer(value, lines or [f"{day}: the board and backend {backend} agree"])
    if found:
        raise SystemExit(FAILED)


COMMANDS = (audit,)
