"""Accounts: what several agents draw on together. A limit that one of them meets holds for all of them.

When a limit is over, or an account was not used for long, one attempt goes first: its canary. The others wait for its
sign of life, which a trigger takes for the proof. Never ends an attempt; never moves a task.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

from blackboard import attempts
from blackboard.board import Rows, Tx
from blackboard.clock import plus, to_text
from blackboard.pauses import Target, pause
from blackboard.policy import backoff
from blackboard.record import Record

ENGINE = "engine:accounts"
# Without a word of the provider: so long after the first limit, twice as long after each further one.
FIRST_WAIT = 60.0
LONGEST_WAIT = 3600.0
# With one: its word, but never less than this, doubled likewise. Some say "in one second" for hours.
SHORTEST_WAIT = 1.0


def own_account(agent: str) -> str:
    """The account of an agent that shares none."""
    return f"agent:{agent}"


PUT = """
INSERT INTO accounts (id, cold_after_seconds, actor, created_at) VALUES (:id, :cold, :actor, :now)
ON CONFLICT (id) DO UPDATE SET cold_after_seconds = excluded.cold_after_seconds, rev = rev + 1, actor = excluded.actor
 WHERE cold_after_seconds IS NOT excluded.cold_after_seconds
"""


def put_account(tx: Tx, account: str, cold_after_seconds: float = 0.0, actor: str = "engine:config") -> None:
    """Add an account, or change after how many seconds without a sign of life one attempt goes first (0: never)."""
    tx.run(PUT, id=account, cold=cold_after_seconds, actor=actor, now=tx.now)


FARTHEST = 8 * 86400.0  # seconds: no provider has a longer window than a week


def believable(now: str, said: str | float | None) -> str | None:
    """When a limit ends, as somebody says it (an instant, or seconds from now); None for the past and the absurd."""
    if said is None:
        return None
    try:
        at = plus(now, float(said))
    except ValueError:
        try:
            at = to_text(datetime.fromisoformat(str(said)))
        except OverflowError:  # its offset leads beyond the last day there is
            return None
    return at if now < at <= plus(now, FARTHEST) else None


# Of an account `c` at `:now`: whether its provider refuses, and whether one attempt has to go first.
LIMITED = "coalesce(c.limited_until > :now, 0)"
_COLD_SINCE = "strftime('%Y-%m-%dT%H:%M:%fZ', c.proved_at, '+' || c.cold_after_seconds || ' seconds')"
UNPROVED = f"""(c.limited_until IS NOT NULL
        OR (c.cold_after_seconds > 0 AND (c.proved_at IS NULL OR {_COLD_SINCE} <= :now)))"""

GO_FIRST = f"""
UPDATE accounts AS c SET canary_id = :attempt, rev = rev + 1, actor = :actor
 WHERE id = (SELECT account FROM agents WHERE id = :agent) AND canary_id IS NULL AND {UNPROVED}
"""  # noqa: S608 - our own constants


def go_first(tx: Tx, attempt_id: int, agent: str) -> bool:
    """Let a fresh attempt try its agent's account for all others, if somebody has to."""
    return tx.run(GO_FIRST, attempt=attempt_id, agent=agent, actor=ENGINE, now=tx.now) > 0


OF_AGENT = "SELECT c.* FROM accounts c JOIN agents g ON g.account = c.id WHERE g.id = :agent"
LIMIT = """
UPDATE accounts SET limited_at = :now, limited_until = :until, limit_reason = :reason, limited_by = :attempt, strikes = :strikes,
       canary_id = NULL, rev = rev + 1, actor = :actor WHERE id = :id
"""


def refused(tx: Tx, attempt: Record, outcome: str, detail: str | None) -> bool:
    """An attempt ends because its provider refuses: gate its account in the same transaction.

    False when no account gates it: the outcome is another one, or its agent has none. Its task then waits by itself.
    """
    account = tx.one(OF_AGENT, agent=attempt["agent_id"]) if outcome in _GATING else None
    if account is None:
        return False
    _GATING[outcome](tx, account, attempt, detail or outcome)
    return True


def _rate_limited(tx: Tx, account: Record, attempt: Record, reason: str) -> None:
    """Wait until the provider's word; without one, longer with each limit in a row. Never shortens a wait."""
    said = attempts.get(tx, attempt["id"])["reset_at"]
    until, strikes = account["limited_until"], account["strikes"]
    if until is not None and until > tx.now:  # begun before the limit was met: it knows at most a later end
        if said is None or said <= until:
            return
        until = said
    else:
        until = _until(tx.now, said, strikes, f"{account['id']}/{attempt['id']}")
        strikes += 1
    tx.run(LIMIT, id=account["id"], now=tx.now, until=until, reason=reason, attempt=attempt["id"], strikes=strikes,
           actor=ENGINE)  # fmt: skip


def _until(now: str, said: str | None, strikes: int, seed: str) -> str:
    if said is None:
        return plus(now, backoff(FIRST_WAIT, LONGEST_WAIT, strikes + 1, seed))
    return max(said, plus(now, backoff(SHORTEST_WAIT, LONGEST_WAIT, strikes + 1, seed)))


def _not_authorised(tx: Tx, account: Record, attempt: Record, reason: str) -> None:
    """Only a person can mend a login: pause the account. When it is resumed, one attempt goes first."""
    mend = f"its provider does not accept the login or key ({reason}); mend it, then resume the account"
    pause(tx, Target("account", account["id"]), reason=mend, actor=ENGINE)


_GATING = {"rate_limited": _rate_limited, "not_authorised": _not_authorised}

# The limits that end by themselves: at each, one attempt may go first.
NEXT_OPEN = "SELECT min(limited_until) AS earliest_at FROM accounts WHERE limited_until > :now AND paused_at IS NULL"

LISTED = f"""
SELECT c.id AS account, (SELECT group_concat(id, ' ') FROM (SELECT id FROM agents g WHERE g.account = c.id ORDER BY id)) AS agents,
       c.paused_at, c.pause_reason, c.limited_until, c.limit_reason, c.limited_by, c.strikes, c.canary_id, c.proved_at, c.cold_after_seconds,
       {LIMITED} AS limited, {UNPROVED} AS unproved
  FROM accounts c WHERE EXISTS (SELECT 1 FROM agents g WHERE g.account = c.id) OR c.paused_at IS NOT NULL OR c.limited_until IS NOT NULL
 ORDER BY c.id
"""  # noqa: S608 - our own constants


def listed(rows: Rows, now: str) -> list[dict[str, Any]]:
    """Every account that an agent draws on, with its `state`: paused, limited, tried, unproved or open."""
    return [_told(row) for row in rows.all(LISTED, now=now)]


def _told(row: sqlite3.Row) -> dict[str, Any]:
    told = dict(row)
    limited, unproved = told.pop("limited"), told.pop("unproved")
    told["agents"] = (told["agents"] or "").split()
    told["state"] = (
        "paused" if row["paused_at"] else "limited" if limited else "tried" if row["canary_id"] else
        "unproved" if unproved else "open"
    )  # fmt: skip
    return told
