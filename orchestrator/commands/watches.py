"""`watches`: what is watched, what each watch saw, why it is not told yet; asking now, and telling again what was left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from orchestrator import exits
from orchestrator.commands.frame import Call, command

if TYPE_CHECKING:
    import sqlite3

    from blackboard.board import ReadOnly
    from orchestrator.config import Settings

LOOK_SECONDS = 0.1
MOST = 100
COLUMNS = {
    "watch": "watch", "for": "for", "topic": "topic", "asked_at": "last asked", "items": "items", "waiting": "waiting",
    "left": "left", "why": "why",
}  # fmt: skip
CHANGES = {
    "id": "id", "seen_at": "seen", "item": "item", "kind": "kind", "what": "what", "state": "state", "push_id": "push"
}  # fmt: skip


@command("watches", short_help="What is watched, what has changed there, and why it is not told yet.")
@click.argument("what", required=False, type=click.Choice(["changes", "poll", "retry"]))
@click.argument("name", required=False)
@click.option("--after", type=click.IntRange(min=0), metavar="ID", help="With changes: those after this one; without it the latest.")  # fmt: skip
def watches(call: Call, what: str | None, name: str | None, after: int | None) -> None:
    """What is watched: when each was asked last, how many items it has, what waits and why it is not told yet.

    `watches changes NAME` shows what it saw and what became of each change, `watches poll NAME` asks it now, `watches
    retry NAME` tells again what was left because nobody took it.
    """
    if what is None:
        _list(call)
        return
    if name is None:
        raise exits.Exit(f"say which: orchestrator watches {what} NAME", exits.USAGE)
    if after is not None and what != "changes":
        raise exits.Exit("--after goes with changes: orchestrator watches changes NAME --after ID", exits.USAGE)
    {"changes": _changes, "poll": _poll, "retry": _retry}[what](call, name, after)


def _list(call: Call) -> None:
    with call.board() as board:
        rows = [_row(board, call.settings, name) for name in call.settings.watches]
    call.screen.table(rows, COLUMNS, empty="nothing is watched yet: add [watches.NAME] to the configuration")


def _row(board: ReadOnly, settings: Settings, name: str) -> dict[str, Any]:
    from blackboard import sources, watch_pushes
    from blackboard.clock import SystemClock
    from orchestrator.machine import room
    from orchestrator.watch_sources import lane_of

    now = SystemClock().now()
    lane = lane_of(name, settings.watches[name], settings)
    source = sources.found(board, f"watch:{name}")
    counts = watch_pushes.stands(board, name)
    wait = watch_pushes.why(board, lane, now, room(settings, now)) if counts["waiting"] else None
    error = source["error"] if source is not None else "it was not asked yet"
    return {
        "watch": name, "for": lane.target, "topic": lane.topic, "asked_at": source["tried_at"] if source else None,
        "ok_at": source["ok_at"] if source else None, "next_at": source["next_at"] if source else None,
        "failures": source["failures"] if source else 0, "error": error, **counts,
        "why": error or (wait and wait.because) or _why(name, counts),
        "waits_for": wait and wait.because, "until": wait and wait.until,
    }  # fmt: skip


def _why(name: str, counts: dict[str, Any]) -> str | None:
    """What there is to say of a watch that answers, and whose changes nothing holds back."""
    if counts["left"]:
        return f"nobody took what is left: orchestrator watches retry {name}"
    if counts["pushed"]:
        return "it is told, and no sink has taken it yet"
    return "the daemon tells it at once" if counts["waiting"] else None


def _changes(call: Call, name: str, after: int | None) -> None:
    from blackboard import watch_pushes
    from blackboard.watch_diff import differs_in_words

    with call.board() as board:
        rows = watch_pushes.changes(board, name, after=after, most=MOST)
        if not rows:
            _must_be(board, call.settings, name)
    shown = [row | {"what": differs_in_words(row["kind"], row["diff"])} for row in rows]
    more = f" after {after}" if after is not None else ""
    call.screen.table(rows if call.as_json else shown, CHANGES, empty=f"{name} has seen no change{more}")


def _must_be(board: ReadOnly, settings: Settings, name: str) -> None:
    from blackboard import watch_pushes

    if name not in settings.watches:
        watch_pushes.must_be_or_have_been(board, name)


def _retry(call: Call, name: str, _after: int | None) -> None:
    from blackboard import watch_pushes
    from blackboard.board import Tx
    from orchestrator import roads

    def direct(tx: Tx, token: bytes) -> dict[str, Any]:
        return watch_pushes.retry(tx, token, name)

    with call.board() as board:
        watch_pushes.must_be(board, name)  # a name that is none would make a path that is none
    said = roads.write(call.settings, f"/api/watches/{name}/retry", {}, direct)
    call.screen.answer(said, [said["next"]])


def _poll(call: Call, name: str, _after: int | None) -> None:
    """Have it asked, by whichever road is open, and say what came of it."""
    import asyncio

    from blackboard import sources
    from orchestrator import roads

    if name not in call.settings.watches:
        raise exits.Exit(f"there is no watch {name}: `orchestrator watches` lists them", exits.NOT_FOUND)
    with call.board() as board:
        source = sources.found(board, f"watch:{name}")
        before = watch_last(board, name)
    asked = source["tried_at"] if source is not None else None
    if asked is not None:
        _want(call, name)
    lock, _ = roads.taken_or_held(call.settings)
    if lock is not None:
        try:
            asyncio.run(_ask(call.settings, name))
        finally:
            lock.release()
    with call.board() as board:
        _wait(call, board, name, asked)
        error = (sources.found(board, f"watch:{name}") or {"error": None})["error"]
        seen = watch_last(board, name) - before
    if error is not None:
        raise exits.Exit(f"{name} was asked: {error}", exits.FAILED)
    said = f"{name} was asked: {seen} changes since" if seen != 1 else f"{name} was asked: 1 change since"
    call.screen.answer({"watch": name, "changes": seen, "next": said}, [said])


def watch_last(board: ReadOnly, name: str) -> int:
    """How many changes a watch has seen."""
    from blackboard import watch_pushes

    return int(watch_pushes.stands(board, name)["changes"])


def _want(call: Call, name: str) -> None:
    from blackboard import watch_pushes
    from blackboard.board import Tx
    from orchestrator import roads

    def direct(tx: Tx, token: bytes) -> dict[str, Any]:
        return watch_pushes.poll(tx, token, name)

    roads.write(call.settings, f"/api/watches/{name}/poll", {}, direct)


async def _ask(settings: Settings, name: str) -> None:
    """Ask it without a daemon. The caller holds the board's lock; what is seen is told by the next daemon."""
    from blackboard.board import Board
    from orchestrator.asking import Asking
    from orchestrator.watch_sources import WatchSource

    board = await Board.open(settings.board, readers=1)
    try:
        await Asking(board, [WatchSource(name, settings.watches[name], board)], lambda: None).once()
    finally:
        await board.close()


def _wait(call: Call, board: ReadOnly, name: str, asked: str | None) -> None:
    """Until it was asked again; Exit 75 when the time is over."""
    from blackboard import sources

    until = time.monotonic() + 2 * call.settings.watches[name].timeout_seconds + 30
    while (row := sources.found(board, f"watch:{name}")) is None or not _answered(row, asked):
        if time.monotonic() > until:
            raise exits.Exit(f"{name} was not asked in time: orchestrator watches tells", exits.TRY_AGAIN)
        time.sleep(LOOK_SECONDS)


def _answered(row: sqlite3.Row, asked: str | None) -> bool:
    """Whether a question was answered that was asked after somebody wanted it: blackboard/watches.py says how that stands."""
    tried, after = row["tried_at"], row["next_at"]
    return tried is not None and tried != asked and after is not None and after >= tried


COMMANDS = (watches,)
