"""Who calls: the token of the Authorization header, and what it says of reads.

The header is the only way in: never the query, a cookie or the body. Writes are judged inside their own
transaction (`blackboard.reports`); reads here, on the board each time, never from memory.
"""

from __future__ import annotations

import re
from typing import cast

from starlette.types import Scope

from blackboard import tokens
from blackboard.board import Board, Rows, Tx
from blackboard.errors import Fenced, Forbidden, NotFound, Unauthorized
from blackboard.tokens import Caller

_BEARER = re.compile(rb"(?i:bearer) +(bbt_[A-Za-z0-9_-]{43})")
HOW = (
    "send the token as `Authorization: Bearer bbt_…`: agents by `curl --config` with the file their prompt names, "
    "operators from their token file"
)


def token_hash(scope: Scope) -> bytes:
    """The hash of the request's token; Unauthorized unless there is exactly one, well formed."""
    return tokens.digest(_token(scope))


def without_token(scope: Scope, text: str) -> str:
    """The text with every token masked, and the caller's own also where its prefix is written in other characters."""
    return tokens.redact(text).replace(_token(scope).removeprefix(tokens.PREFIX), "***")


def _token(scope: Scope) -> str:
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(values) != 1:
        raise Unauthorized(("this request carries no token: " if not values else "give one token, not several: ") + HOW)
    match = _BEARER.fullmatch(values[0])
    if match is None:
        raise Unauthorized("this is no token of this server: " + HOW)
    return match[1].decode()


def without_any(scope: Scope) -> bool:
    """Whether the request brings nothing that could be a token."""
    return all(name != b"authorization" for name, _ in scope["headers"])


def who(rows: Rows, token: bytes) -> Caller:
    """Who holds the token; Unauthorized. Looking up is all it does, so a reader's connection will do."""
    return tokens.identify(cast(Tx, rows), token)


async def known(board: Board, token: bytes) -> Caller:
    """The same for a single look from outside a transaction."""
    return await board.read(who, token)


TASK = "SELECT id, project_id, parent_id FROM tasks WHERE id = :task"


def may_read(rows: Rows, token: bytes, project: str, task: int) -> Caller:
    """The caller, if it may read this task: operators all, a living attempt its own task and that one's children.

    An attempt learns nothing of other tasks, not even whether they exist.
    """
    caller = who(rows, token)
    row = rows.one(TASK, task=task)
    if caller.attempt is not None:
        own = living(caller)
        if row is None or own not in (row["id"], row["parent_id"]):
            raise Forbidden(f"this token reaches task {own} and its children: use the URL in your prompt", task=own)
    elif caller.scope is None:
        raise Forbidden("an agent's token does not read tasks: use the token of your attempt")
    if row is None or row["project_id"] != project:
        raise NotFound(f"there is no task {task} in project {project}")
    return caller


def living(caller: Caller) -> int:
    """The task of an attempt's token; Fenced when the attempt has ended: its token reads as little as it writes."""
    attempt = caller.attempt
    if attempt is None:
        raise Forbidden("this needs the token of an attempt")
    if attempt["ended_at"] is not None:
        raise Fenced(
            f"attempt {attempt['number']} has ended ({attempt['outcome']}): stop working, its token is dead",
            outcome=attempt["outcome"],
        )
    task: int = attempt["task_id"]
    return task
