"""Making what a new orchestrator needs: its configuration file, its board, the operator's token.

Never overwrites and never deletes: what is there stays and is said, `set_aside` only moves it.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from blackboard.board import Board, ReadOnly, Tx
from blackboard.lock import BoardLock, holder
from orchestrator import operator_token
from orchestrator.config import Settings
from orchestrator.exits import REFUSED, TRY_AGAIN, Exit
from orchestrator.roster import enrol


class Made(NamedTuple):
    """One thing of a beginning. `new`: it was made just now; else it was there."""

    what: str
    path: Path
    new: bool


def starter() -> str:
    """The commented configuration a new folder gets."""
    return (resources.files("orchestrator") / "starter.toml").read_text(encoding="utf-8")


def config_written(file: Path) -> Made:
    """Write the configuration unless there is one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return Made("config", file, False)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(starter())
    return Made("config", file, True)


def board_made(settings: Settings) -> list[Made]:
    """Make the board and the operator's token unless they are there; take the configuration's agents over."""
    before = settings.board.exists()
    prepare_folders(settings)
    lock = BoardLock.try_take(settings.board)
    if lock is None:
        return _held(settings)
    try:
        token_is_new = asyncio.run(_filled(settings))
    finally:
        lock.release()
    return [Made("board", settings.board, not before), Made("token", settings.token_file, token_is_new)]


def _held(settings: Settings) -> list[Made]:
    """A daemon holds the board: then all is there, or cannot be made now."""
    found = holder(settings.board) or {}
    if not settings.token_file.exists():
        raise Exit(
            f"process {found.get('pid')} holds the board: stop it, then `init` makes the operator's token", TRY_AGAIN
        )
    return [Made("board", settings.board, False), Made("token", settings.token_file, False)]


def prepare_folders(settings: Settings) -> None:
    """The folders of the board and of the state, for this user only if they are made now."""
    for folder in (settings.board.parent, settings.state_dir):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Exit(f"{folder} cannot be made: {error.strerror}") from None


async def _filled(settings: Settings) -> bool:
    board = await Board.open(settings.board, readers=0)
    try:
        return await settle(board, settings)
    finally:
        await board.close()


async def settle(board: Board, settings: Settings) -> bool:
    """Have the operator's token and the configuration's projects and agents on the board; whether the token is new."""
    new = operator_token.made(settings.token_file)
    await board.write(_settle, settings, operator_token.read(settings.token_file))
    return new


def _settle(tx: Tx, settings: Settings, token: str) -> None:
    operator_token.known(tx, token)
    enrol(tx, settings)


STATE = ("attempts", "uploads", "workspaces", "sinks", "operator.token")


def set_aside(folder: Path, settings: Settings) -> Path | None:
    """Move a board, its state and its configuration into a folder `before-TIME`; None when there was nothing."""
    found = [path for path in _parts(folder, settings) if path.exists()]
    if not found:
        return None
    _nothing_runs(settings)
    lock = BoardLock.try_take(settings.board)
    if lock is None:
        raise Exit(f"process {(holder(settings.board) or {}).get('pid')} holds the board: stop it first", TRY_AGAIN)
    try:
        target = folder / f"before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        target.mkdir(mode=0o700)
        for path in found:
            path.rename(target / path.name)
    except OSError as error:
        raise Exit(f"cannot move what is there: {error}") from None
    finally:
        lock.release()
    return target


RUNNING = "SELECT task_id FROM attempts WHERE gone_at IS NULL ORDER BY task_id"


def _nothing_runs(settings: Settings) -> None:
    if settings.board.exists():
        with ReadOnly(settings.board) as board:
            tasks = ", ".join(str(row["task_id"]) for row in board.all(RUNNING))
        if tasks:
            raise Exit(
                f"agents may still run (tasks {tasks}): start and stop `orchestrator run` once, then again", REFUSED
            )


def _parts(folder: Path, settings: Settings) -> list[Path]:
    board = [settings.board.with_name(settings.board.name + suffix) for suffix in ("", "-wal", "-shm")]
    state = [settings.state_dir / name for name in STATE]
    named = [*settings.slots.files, *(each.file for each in settings.calendars.values() if each.file)]
    slots = [file for file in named if file.is_relative_to(folder)]
    return [*board, *state, *slots, *([settings.config_file] if settings.config_file else [])]
