"""Writes and their answers: done once for each `Idempotency-Key`, however often the call is repeated.

The look-up, the effect and the kept answer are one transaction (`blackboard.repeats`); without a key it is the effect
alone. Never answers before that transaction is durable.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from pydantic import BaseModel
from starlette.responses import Response

from api import endpoints
from api.endpoints import Call
from blackboard import repeats
from blackboard.board import Tx
from blackboard.errors import Invalid
from blackboard.repeats import Asked, Said

P = ParamSpec("P")

HEADER = b"idempotency-key"
MOST = 255  # characters of a key
_KEY = re.compile(rb"[\x20-\x7e]+")


async def before(call: Call, token: bytes, report: BaseModel) -> Said | None:
    """What this very call was answered before: for routes that look at files first, which may be gone since."""
    asked = _asked(call, token, report)
    return None if asked is None else await call.api.board.read(repeats.before, asked, call.api.board.clock.now())


async def stored(
    call: Call,
    report: BaseModel,
    status: int,
    verb: Callable[Concatenate[Tx, bytes, P], dict[str, Any]],
    token: bytes,
    *args: P.args,
    **more: P.kwargs,
) -> Said:
    """Write `verb(tx, token, …)`, once for the call's key if it has one. `status`: of the answer when it succeeds."""
    board = call.api.board
    asked = _asked(call, token, report)
    if asked is None:
        return Said(status, await board.write(verb, token, *args, **more))
    return await board.write(lambda tx: repeats.once(tx, asked, status, verb, token, *args, **more))


def response(said: Said) -> Response:
    """The answer as HTTP."""
    answer = endpoints.answer(said.content, said.status)
    if said.replayed:
        answer.headers["idempotency-replayed"] = "true"
    return answer


def _asked(call: Call, token: bytes, report: BaseModel) -> Asked | None:
    key = _key(call)
    if key is None:
        return None
    # What was understood, not its bytes: JSON, a form and a raw body that say the same are the same request.
    meaning = json.dumps(report.model_dump(mode="json"), ensure_ascii=False, sort_keys=True).encode()
    route = f"{call.scope['method']} {call.scope['path']}"
    return Asked(token, key, route, hashlib.sha256(meaning).digest())


def _key(call: Call) -> str | None:
    """The call's key, None without one; Invalid for one that cannot be kept."""
    values: list[bytes] = [value for name, value in call.scope["headers"] if name == HEADER]
    if not values:
        return None
    if len(values) > 1:
        raise Invalid("Idempotency-Key is given twice: send one key for one request")
    if not values[0]:
        raise Invalid("Idempotency-Key is empty: send a new random text for each request, or leave the header out")
    if len(values[0]) > MOST:
        raise Invalid(f"Idempotency-Key has {len(values[0])} characters: it may have {MOST}")
    if _KEY.fullmatch(values[0]) is None:
        raise Invalid("Idempotency-Key holds more than printable ASCII: a UUID is a good key")
    return values[0].decode("ascii")
