"""Counting what is refused to an attempt's token, by route and reason, with the last body as evidence.

Counts after the refusal and before its answer, in a transaction of its own. Never changes the answer.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from api import callers, problems
from api.endpoints import Call
from blackboard import reports
from blackboard.errors import BlackboardError

T = TypeVar("T")

log = logging.getLogger("api")

COUNTED = frozenset({403, 404, 409, 422})
EVIDENCE = 64 * 1024  # bytes kept of a refused body


async def counted(call: Call, work: Callable[[bytes], Awaitable[T]]) -> T:
    """What `work` gives for the caller's token; when it refuses, the refusal is counted and passed on."""
    token = callers.token_hash(call.scope)
    if _may_be_large(call):
        await callers.known(call.api.board, token)
    try:
        return await work(token)
    except BlackboardError as error:
        if problems.kind_of(error)[1].status in COUNTED:
            await _count(call, token, error)
        raise


def _may_be_large(call: Call) -> bool:
    """Whether the body is announced as large, or with no length at all."""
    length = call.headers.get(b"content-length")
    if length is None:
        return b"transfer-encoding" in call.headers
    return int(length) > call.api.config.max_unknown_bytes


async def _count(call: Call, token: bytes, error: BlackboardError) -> None:
    """Count it, if the token is an attempt's. Who is not known learns nothing else, whatever is wrong: Unauthorized."""
    caller = await callers.known(call.api.board, token)
    if caller.attempt is None:
        return
    try:
        await call.api.board.write(reports.refused, token, call.endpoint.name, error.code, _evidence(call))
    except BlackboardError as failure:
        log.warning("a refusal could not be counted: %s", failure.sentence)


def _evidence(call: Call) -> str | None:
    """The beginning of a body as text the board can keep, without tokens."""
    if call.body is None:
        return None
    text = call.body[:EVIDENCE].decode("utf-8", "replace").replace("\0", "\ufffd")
    return callers.without_token(call.scope, text)
