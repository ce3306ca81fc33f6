"""How the sources of slots are doing: when each answered last, what its last failure was, when it is asked again.

Written by who asks them (orchestrator/sources.py, orchestrator/asking.py). What a schedule does to the board is
blackboard/slots.py.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

from blackboard import journal
from blackboard.board import Rows, Tx
from blackboard.clock import plus
from blackboard.policy import backoff

ENGINE = "engine:slots"

FOUND = "SELECT * FROM sources WHERE name = :name"
ANSWERED = """
INSERT INTO sources (name, tried_at, ok_at, next_at, stale_at, state) VALUES (:name, :now, :now, :next, :stale, :state)
ON CONFLICT (name) DO UPDATE SET tried_at = :now, ok_at = :now, failures = 0, error = NULL, next_at = :next,
   stale_at = :stale, state = :state
"""
FAILED = """
INSERT INTO sources (name, tried_at, failures, failed, error, next_at) VALUES (:name, :now, 1, 1, :error, :next)
ON CONFLICT (name) DO UPDATE SET tried_at = :now, failures = failures + 1, failed = failed + 1, error = :error, next_at = :next
"""


def found(rows: Rows, name: str) -> sqlite3.Row | None:
    """How a source is doing; None when it was never asked."""
    return rows.one(FOUND, name=name)


def state_of(rows: Rows, name: str) -> dict[str, Any]:
    """What the next question to a source needs, as `answered` kept it; empty at first."""
    row = found(rows, name)
    state: dict[str, Any] = json.loads(row["state"]) if row is not None else {}
    return state


def answered(
    tx: Tx, name: str, *, state: Mapping[str, Any] | None = None, every: float | None = None, stale_after: float | None = None
) -> None:  # fmt: skip
    """A source gave a good answer, to which this very transaction brings the board up.

    `state`: what the next question needs, {} when None. `every`: seconds until that. `stale_after`: seconds for which
    the answer is good; None is for ever. Event `source_back` after failures.
    """
    row = found(tx, name)
    tx.run(
        ANSWERED, name=name, now=tx.now, next=plus(tx.now, every) if every is not None else None,
        stale=plus(tx.now, stale_after) if stale_after is not None else None, state=json.dumps(dict(state or {}), sort_keys=True),
    )  # fmt: skip
    if row is not None and row["failures"]:
        journal.tell(
            tx, "source_back", actor=ENGINE, reason=f"{name} answers again after {_times(row['failures'])} without an answer"
        )  # fmt: skip


KEEP_STATE = """
INSERT INTO sources (name, state) VALUES (:name, :state) ON CONFLICT (name) DO UPDATE SET state = excluded.state
"""


def keep_state(tx: Tx, name: str, state: Mapping[str, Any]) -> None:
    """Keep what the next question needs, without saying whether the last one was answered."""
    tx.run(KEEP_STATE, name=name, state=json.dumps(dict(state), sort_keys=True))


def failed(tx: Tx, name: str, sentence: str, *, base: float | None = None, cap: float = 3600.0) -> float | None:
    """A source gave no good answer: what it said before stays. Seconds until it is asked again, None without `base`.

    The wait doubles from `base` to `cap` seconds. Event `source_failed`, once as long as it would say the same.
    """
    row = found(tx, name)
    failures = (row["failures"] if row is not None else 0) + 1
    wait = backoff(base, cap, failures, f"{name}/{failures}") if base is not None else None
    tx.run(FAILED, name=name, now=tx.now, error=sentence, next=plus(tx.now, wait) if wait is not None else None)
    if row is None or row["error"] != sentence:
        journal.tell(tx, "source_failed", actor=ENGINE, reason=f"{name}: {sentence}; what it said before stays")
    return wait


FORGET = "DELETE FROM sources WHERE name = :name"
FORGET_TOLD = "DELETE FROM write_backs WHERE source = :name"
NAMES = "SELECT name FROM sources UNION SELECT DISTINCT source FROM slots WHERE removed_at IS NULL ORDER BY 1"


def unnamed(rows: Rows, kind: str, named: Collection[str]) -> list[str]:
    """The sources of a kind (the part of a name before its colon) that are on the board and not among those named."""
    return [row["name"] for row in rows.all(NAMES) if row["name"].startswith(f"{kind}:") and row["name"] not in named]


def forget(tx: Tx, name: str) -> None:
    """The configuration names it no more. Its slots are taken away by an empty schedule."""
    tx.run(FORGET, name=name)
    tx.run(FORGET_TOLD, name=name)


LISTED = """
SELECT o.name, o.tried_at, o.ok_at, o.failures, o.failed, o.error, o.next_at, o.stale_at,
       (SELECT count(*) FROM slots s WHERE s.source = o.name AND s.removed_at IS NULL) AS slots
  FROM sources o ORDER BY o.name
"""


def listed(rows: Rows) -> list[dict[str, Any]]:
    """Every source with how it is doing and how many slots it has on the board."""
    return [dict(row) for row in rows.all(LISTED)]


def _times(count: int) -> str:
    return "1 try" if count == 1 else f"{count} tries"
