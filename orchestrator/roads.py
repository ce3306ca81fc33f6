"""The two roads of a command that writes: by the daemon that holds the board, or by itself when nobody does.

Both end in the same function of `blackboard.reports` with the same token, so a command cannot tell them apart.
Never writes to the file while another process holds its lock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from blackboard import tokens
from blackboard.board import Board, ReadOnly, Tx
from blackboard.errors import NotFound
from blackboard.lock import BoardLock, holder
from orchestrator import exits, operator_token
from orchestrator.roster import introduce

if TYPE_CHECKING:
    from blackboard.pauses import Target
    from orchestrator.config import Settings

Answer = dict[str, Any]
Direct = Callable[[Tx, bytes], Answer]  # the report itself, given the hash of the caller's token

WAIT_SECONDS = 5.0  # for another command to finish
LOOK_SECONDS = 0.05

PROJECT = "SELECT project_id FROM tasks WHERE id = :task"


def operate(settings: Settings, task: int, verb: str, detail: str | None) -> Answer:
    """A person's verb on a task: approve, reject, answer, cancel, reopen, recheck."""
    from blackboard import people

    project = project_of(settings, task)

    def direct(tx: Tx, token_hash: bytes) -> Answer:
        return people.operate(tx, token_hash, project, task, verb, detail)

    return write(settings, f"/api/projects/{project}/tasks/{task}/{verb}", {"detail": detail}, direct)


def switch(settings: Settings, target: Target, verb: str, reason: str | None) -> Answer:
    """Pause or resume an agent, a project or everything."""
    from blackboard import people

    def direct(tx: Tx, token_hash: bytes) -> Answer:
        return people.switch(tx, token_hash, target, verb, reason)

    return write(settings, f"{target.path}/{verb}", {"detail": reason}, direct)


ATTEMPT = "SELECT a.task_id, t.project_id FROM attempts a JOIN tasks t ON t.id = a.task_id WHERE a.id = :attempt"


def declare_gone(settings: Settings, attempt: int, why: str) -> Answer:
    """A person knows that a run which went on elsewhere is over."""
    from blackboard import abroad

    with ReadOnly(settings.board) as board:
        row = board.one(ATTEMPT, attempt=attempt)
    if row is None:
        raise NotFound(f"there is no attempt {attempt} on this board: `orchestrator status` names those that are stuck")
    task, project = int(row["task_id"]), str(row["project_id"])

    def direct(tx: Tx, token_hash: bytes) -> Answer:
        return abroad.declare_gone(tx, token_hash, project, task, attempt, why)

    return write(settings, f"/api/projects/{project}/tasks/{task}/gone", {"attempt": attempt, "detail": why}, direct)


def project_of(settings: Settings, task: int) -> str:
    """The project of a task; NotFound when there is no such task, or no board."""
    with ReadOnly(settings.board) as board:
        row = board.one(PROJECT, task=task)
    if row is None:
        raise NotFound(f"there is no task {task} on this board: `orchestrator tasks` lists them")
    return str(row["project_id"])


def write(settings: Settings, path: str, body: Answer, direct: Direct) -> Answer:
    """Say one thing to the board, by whichever road is open; the answer is the same on both."""
    if not settings.board.exists():
        raise NotFound(f"there is no board at {settings.board}: `orchestrator init` makes one")
    token = operator_token.read(settings.token_file)
    lock, found = taken_or_held(settings)
    if lock is None:
        return _remote(settings, found, path, body, token)
    try:
        return asyncio.run(_alone(settings, direct, tokens.digest(token)))
    finally:
        lock.release()


def taken_or_held(settings: Settings) -> tuple[BoardLock | None, dict[str, object]]:
    """The lock of the board, or the daemon that holds it; waits for a command that holds it, then Exit 75."""
    until = time.monotonic() + WAIT_SECONDS
    while (lock := BoardLock.try_take(settings.board)) is None:
        found = holder(settings.board)
        if found and found.get("url"):
            return None, found
        if time.monotonic() > until:
            who = f"process {found['pid']}" if found and found.get("pid") else "another process"
            raise exits.Exit(f"{who} holds the board and answers nowhere: try again", exits.TRY_AGAIN)
        time.sleep(LOOK_SECONDS)
    return lock, {}


async def _alone(settings: Settings, direct: Direct, token_hash: bytes) -> Answer:
    """Open the board, say it in one transaction, close. The caller holds the lock."""

    def said(tx: Tx) -> Answer:
        introduce(tx, settings)
        return direct(tx, token_hash)

    board = await Board.open(settings.board, readers=0)
    try:
        return await board.write(said)
    finally:
        await board.close()


def _remote(settings: Settings, found: dict[str, object], path: str, body: Answer, token: str) -> Answer:
    from orchestrator import remote

    try:
        return remote.post(str(found["url"]), path, body, token=token, certificate=settings.api.tls_cert)
    except remote.NotListening as error:
        raise exits.Exit(
            f"process {found.get('pid')} holds the board, but nothing answers at {found['url']}: nothing was written; "
            "if it is just starting or stopping, try again",
            exits.UNREACHABLE,
        ) from error
