"""notices: who was told what and what is still to be told; trying again or dismissing it, and trying a sink."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from orchestrator import exits
from orchestrator.commands.completing import sinks as sink_names
from orchestrator.commands.frame import Call, command

if TYPE_CHECKING:
    from orchestrator.config import Settings

COLUMNS = {"id": "id", "at": "at", "kind": "kind", "sink": "sink", "state": "state", "failures": "tries failed", "title": "title"}  # fmt: skip
LOOK_SECONDS = 0.05
BEYOND_SECONDS = 5.0  # waited beyond the sink's own limit


@command("notices", short_help="Who is told what: list, retry or dismiss dead letters, test a sink.")
@click.argument("what", type=click.Choice(["list", "retry", "dismiss", "test"]), default="list")
@click.argument("which", required=False)
@click.option("--sink", help="Only of this sink.", shell_complete=sink_names)
@click.option(
    "--state", type=click.Choice(["waiting", "delivered", "repeated", "dead", "dismissed"]), help="list: only these."
)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="list: at most so many.")
def notices(call: Call, what: str, which: str | None, sink: str | None, state: str | None, limit: int) -> None:
    """Notices and whom they reached, the newest first.

    \b
    notices [list] [--sink NAME] [--state STATE]
    notices retry ID [--sink NAME]
    notices retry --sink NAME
    notices dismiss ID [--sink NAME]
    notices dismiss --sink NAME
    notices test SINK

    retry brings dead letters back, and opens a sink that had said that it wants nothing any more. dismiss has nobody told
    of a notice any more, also of one that is being tried and holds up others, or of all dead letters of a sink. test
    sends a notice to a sink and waits for how it goes.
    """
    if state is not None and what != "list":
        raise exits.Exit("--state goes with: orchestrator notices list", exits.USAGE)
    if what == "list":
        _list(call, which, sink, state, limit)
    elif what in ("retry", "dismiss"):
        _order(call, what, which, sink)
    elif which is None or sink is not None:
        raise exits.Exit("say which sink: orchestrator notices test SINK", exits.USAGE)
    else:
        _test(call, which)


def _number(which: str | None) -> int | None:
    if which is None:
        return None
    if not (which.isascii() and which.isdigit()) or not 0 < int(which) < 2**63:
        raise exits.Exit(f"{which!r} is no number of a notice: orchestrator notices lists them", exits.USAGE)
    return int(which)


def _list(call: Call, which: str | None, sink: str | None, state: str | None, limit: int) -> None:
    from blackboard import deliveries
    from blackboard.errors import NotFound

    notice = _number(which)
    with call.board() as board:
        rows = deliveries.listed(board, sink=sink, state=state, notice=notice, most=limit)
    if notice is not None and not rows and sink is None and state is None:
        raise NotFound(f"there is no notice {notice} on this board: `orchestrator notices` lists them")
    narrowed = sink is not None or state is not None
    shown = [{**row, "sink": row["sink"] or "none", "state": row["state"] or "told nobody"} for row in rows]
    empty = "no notice is like that" if narrowed else "nobody had to be told anything yet"
    call.screen.table(rows if call.as_json else shown, COLUMNS, empty=empty)


def _order(call: Call, what: str, which: str | None, sink: str | None) -> None:
    from blackboard import notice_orders
    from orchestrator import roads

    notice = _number(which)
    if notice is None and sink is None:
        raise exits.Exit(f"say which: orchestrator notices {what} ID, or --sink NAME", exits.USAGE)
    if sink is not None and what == "retry":
        _must_know(call.settings, sink)
    body, verb = {"notice": notice, "sink": sink}, notice_orders.retry if what == "retry" else notice_orders.dismiss
    said = roads.write(call.settings, f"/api/notices/{what}", body, lambda tx, token: verb(tx, token, notice, sink))
    call.screen.answer(said, [said["next"]])


def _must_know(settings: Settings, sink: str) -> None:
    if sink not in settings.sinks:
        known = ", ".join(settings.sinks) or "none"
        raise exits.Exit(f"there is no sink {sink!r} in the configuration: there are {known}", exits.NOT_FOUND)


def _test(call: Call, sink: str) -> None:
    from blackboard import notice_orders
    from blackboard.lock import holder
    from orchestrator import roads

    settings = call.settings
    _must_know(settings, sink)
    said = roads.write(
        settings, "/api/notices/test", {"sink": sink}, lambda tx, token: notice_orders.test(tx, token, sink)
    )
    notice = int(said["notice"])
    if not (holder(settings.board) or {}).get("url"):
        raise exits.Exit(
            f"notice {notice} is on the board, and no daemon runs that could tell it: orchestrator run", exits.TRY_AGAIN
        )
    found = _waited(call, sink, notice)
    if found["state"] == "delivered":
        call.screen.answer(found, [f"sink {sink} has taken notice {notice}"])
    elif found["state"] == "dead":
        raise exits.Exit(f"sink {sink} gets nothing: {found['error']}", exits.FAILED)
    elif found["state"] == "dismissed":
        raise exits.Exit(f"notice {notice} was dismissed before sink {sink} had said that it took it", exits.FAILED)
    elif found["error"]:
        raise exits.Exit(f"sink {sink} has not taken it: {found['error']}; it is tried again", exits.FAILED)
    else:
        raise exits.Exit(f"notice {notice} waits behind others of sink {sink}: orchestrator notices --sink {sink}", exits.TRY_AGAIN)  # fmt: skip


def _waited(call: Call, sink: str, notice: int) -> dict[str, Any]:
    """The delivery, once it was tried, or as it stands when the sink's own time is over."""
    from blackboard import deliveries

    until = time.monotonic() + call.settings.sinks[sink].timeout_seconds + BEYOND_SECONDS
    while True:
        with call.board() as board:
            found = deliveries.listed(board, sink=sink, notice=notice)
        if found and (found[0]["state"] != "waiting" or found[0]["failures"]):
            return found[0]
        if time.monotonic() > until:
            return found[0] if found else {"state": "waiting", "error": None}
        time.sleep(LOOK_SECONDS)


COMMANDS = (notices,)
