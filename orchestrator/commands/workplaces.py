"""`workspaces`: where agents work, and having what is over removed now: by the daemon, or here when none runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from orchestrator import exits
from orchestrator.commands.frame import Call, command

if TYPE_CHECKING:
    from orchestrator.cleaning import Found
    from orchestrator.config import Settings

WAIT_SECONDS = 60.0  # for the daemon to look at them
LOOK_SECONDS = 0.2
COLUMNS = {
    "task": "task", "agent": "agent", "kind": "kind", "branch": "branch", "state": "state", "ready_at": "made", "path": "path",
    "why": "why",
}  # fmt: skip


@command("workspaces", short_help="Where agents work; `workspaces clean` removes what is over.")
@click.argument("what", required=False, type=click.Choice(["clean"]))
@click.option("--all", "everything", is_flag=True, help="Also those that were removed.")
@click.option("--dry-run", is_flag=True, help="With clean: say what would be removed or kept, and change nothing.")
def workspaces(call: Call, what: str | None, everything: bool, dry_run: bool) -> None:
    """Where agents work: whose each is, its branch, and what became of it.

    `workspaces clean` looks now at every workspace whose time has come, also at those that were kept: each is removed,
    or kept for a reason. Live work is never removed.
    """
    if what == "clean":
        if everything:
            raise exits.Exit("--all is for the list: clean has the limits of [workspaces]", exits.USAGE)
        _clean(call, dry_run)
        return
    if dry_run:
        raise exits.Exit("--dry-run goes with clean: orchestrator workspaces clean --dry-run", exits.USAGE)
    from blackboard.workspaces import listed

    with call.board() as board:
        rows = [_shown(dict(row)) for row in listed(board, everything=everything)]
    call.screen.table(rows, COLUMNS, empty="there are no workspaces yet: the first attempt of a task makes one")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"why": row.pop("kept")}


def _clean(call: Call, dry_run: bool) -> None:
    from blackboard.clock import SystemClock
    from orchestrator.cleaning import looked_over

    with call.board() as board:
        found = looked_over(board, call.settings, SystemClock())
    if dry_run:
        _tell(call, found, "would be removed", "would be kept")
        return
    after = _looked_at(call.settings, found)
    _tell(call, after, "removed", "kept")


def _tell(call: Call, found: list[Found], removed: str, kept: str) -> None:
    rows = [
        {"task": row["task_id"], "agent": row["agent_id"], "path": row["path"], "state": kept if why else removed, "why": why}
        for row, why in found
    ]  # fmt: skip
    empty = "there is nothing to remove: no workspace's time has come"
    call.screen.table(
        rows, {"task": "task", "agent": "agent", "state": "state", "path": "path", "why": "why"}, empty=empty
    )


def _looked_at(settings: Settings, found: list[Found]) -> list[Found]:
    """Have them looked at, by whichever road is open; what became of each."""
    import asyncio  # here, as in `_sweep`: `--help` is not to wait for it

    from blackboard.board import ReadOnly
    from blackboard.workspaces import GET, ask_again
    from orchestrator import roads
    from orchestrator.cleaning import Found

    roads.write(settings, "/api/workspaces/clean", {}, ask_again)
    lock, _ = roads.taken_or_held(settings)
    if lock is not None:
        try:
            asyncio.run(_sweep(settings))
        finally:
            lock.release()
    until = time.monotonic() + WAIT_SECONDS
    with ReadOnly(settings.board) as board:
        while True:
            rows = [row for each in found if (row := board.one(GET, id=each.row["id"])) is not None]
            if all(row["removed_at"] or row["looked_at"] for row in rows):
                return [Found(row, None if row["removed_at"] else row["kept"]) for row in rows]
            if time.monotonic() > until:
                raise exits.Exit(
                    f"not all of it was looked at within {WAIT_SECONDS:g} s: orchestrator workspaces tells",
                    exits.TRY_AGAIN,
                )
            time.sleep(LOOK_SECONDS)


async def _sweep(settings: Settings) -> None:
    """Clean without a daemon. The caller holds the board's lock."""
    import asyncio

    from blackboard.board import Board
    from orchestrator.cleaning import Cleaner
    from orchestrator.state_folder import keep_to_one_board
    from orchestrator.workspaces import Workspaces

    board = await Board.open(settings.board, readers=1)
    try:
        await asyncio.to_thread(keep_to_one_board, settings, board.board_id)
        await Cleaner(board, settings, Workspaces(board, settings)).sweep()
    finally:
        await board.close()


COMMANDS = (workspaces,)
