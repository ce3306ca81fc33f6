"""A write that may be asked for twice: looked up, done and remembered in one transaction, by its caller's key.

A kill at any moment leaves either nothing, or the effect together with its answer. Refusals are not remembered, so
that a mended request may use its key again. Knows nothing of HTTP: a status is a number it keeps.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, cast

from blackboard.board import Rows, Tx
from blackboard.clock import plus
from blackboard.errors import KeyReused
from blackboard.tokens import identify

P = ParamSpec("P")

KEPT_SECONDS = 24 * 3600
DROPPED_AT_ONCE = 16  # a keyed write adds one row and drops up to so many old ones: the table follows one day's calls


@dataclass(frozen=True, slots=True)
class Asked:
    """A call with a key. `caller`: the hash of its token; `route`: method and path; `body_hash`: of what it says."""

    caller: bytes
    key: str
    route: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Said:
    """What a call is answered; `replayed`: it was done before, and this is the answer of then."""

    status: int
    content: dict[str, Any]
    replayed: bool = False


KNOWN = """
SELECT route, body_hash, status, answer FROM idempotency
 WHERE caller = :caller AND key = :key AND created_at > :since
"""


def before(rows: Rows, asked: Asked, now: str) -> Said | None:
    """The answer this call got before, if it did; KeyReused when its key was used for something else.

    Unauthorized for a token that is unknown or revoked; that of an attempt which has ended is answered all the same.
    """
    identify(cast(Tx, rows), asked.caller)
    row = rows.one(KNOWN, caller=asked.caller, key=asked.key, since=plus(now, -KEPT_SECONDS))
    if row is None:
        return None
    if row["route"] != asked.route:
        raise KeyReused(
            f"this Idempotency-Key was used for {row['route']}: take a new key for every new request",
            found=row["route"],
        )
    if row["body_hash"] != asked.body_hash:
        raise KeyReused(
            "this Idempotency-Key was used here with other content: repeat a request as it was, or take a new key"
        )
    return Said(row["status"], json.loads(row["answer"]), replayed=True)


KEEP = """
INSERT INTO idempotency (caller, key, route, body_hash, status, answer, created_at)
VALUES (:caller, :key, :route, :body_hash, :status, :answer, :now)
ON CONFLICT (caller, key) DO UPDATE SET route = excluded.route, body_hash = excluded.body_hash,
  status = excluded.status, answer = excluded.answer, created_at = excluded.created_at
"""
DROP_OLD = """
DELETE FROM idempotency WHERE (caller, key) IN (
  SELECT caller, key FROM idempotency WHERE created_at <= :since ORDER BY created_at LIMIT :most)
"""


def once(
    tx: Tx,
    asked: Asked,
    status: int,
    verb: Callable[Concatenate[Tx, P], dict[str, Any]],
    *args: P.args,
    **more: P.kwargs,
) -> Said:
    """Do `verb(tx, …)` unless this call has done it within the last day; what it is answered, now or then."""
    if (said := before(tx, asked, tx.now)) is not None:
        return said
    content = verb(tx, *args, **more)
    tx.run(KEEP, caller=asked.caller, key=asked.key, route=asked.route, body_hash=asked.body_hash, status=status,
           answer=json.dumps(content, ensure_ascii=False), now=tx.now)  # fmt: skip
    tx.run(DROP_OLD, since=plus(tx.now, -KEPT_SECONDS), most=DROPPED_AT_ONCE)
    return Said(status, content)
