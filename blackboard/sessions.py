"""Conversations that several attempts share: which one an attempt goes on with, and what of its numbers is this run's.

Decides inside the transaction that prepares an attempt. Knows no program: what it can do is handed in.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from blackboard.board import Rows, Tx
from blackboard.record import Record

# Ends after which a conversation is whole, and nothing in it is known to have gone wrong. After every other: begin anew.
SOUND = frozenset({"submitted", "failed", "blocked", "approved", "rejected", "no_report", "rate_limited"})
# What ended a run from outside: its conversation is as good as before.
OUTSIDE = frozenset({"auth", "network", "rate_limit"})
# What the next run of the same conversation would meet again.
LASTING = frozenset({"context", "refused"})


@dataclass(frozen=True)
class Wish:
    """What an attempt asks of a conversation. `program`: runner and model. `most_tokens`: None for no limit."""

    program: str
    same_folder: bool
    workspace: str
    most_attempts: int
    most_tokens: int | None = None


@dataclass(frozen=True)
class Found:
    """What is known of the conversation so far. `former`: its last attempt that began anything. `at_work`: one of it not gone."""

    former: Record | None = None
    at_work: int | None = None
    attempts: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Session:
    """Goes on with the conversation of the attempt `resumes`, or is a fresh one for the reason `fresh`."""

    session_id: str | None = None
    resumes: int | None = None
    fresh: str | None = None


def resumable(found: Found, wish: Wish) -> Session:
    """Whether to go on, and if not, why. Pure."""
    former = found.former
    if former is None:
        return Session(fresh="no attempt before it has this session")
    if reason := _obstacle(former, found, wish):
        return Session(fresh=reason)
    return Session(former["session_id"], former["id"])


def _obstacle(former: Record, found: Found, wish: Wish) -> str | None:
    last = f"attempt {former['id']}"
    if found.at_work is not None:
        return f"attempt {found.at_work} uses the session at this moment"
    if former["session_id"] is None:
        return f"{last} told no session"
    if former["program"] != wish.program:
        return f"{last} was run by {former['program'] or 'another program'}, this one by {wish.program}"
    if wish.same_folder and former["workspace"] != wish.workspace:
        return f"{last} worked in another folder, and the program finds its sessions by the folder"
    if reason := poisoned(former):
        return f"{last} {reason}"
    if found.attempts >= wish.most_attempts:
        return f"the session has had {found.attempts} attempts, and session_max_attempts is {wish.most_attempts}"
    if wish.most_tokens is not None and found.tokens >= wish.most_tokens:
        return f"the session has used {found.tokens} tokens, and session_max_tokens is {wish.most_tokens}"
    return None


def poisoned(former: Record) -> str | None:
    """Why the conversation of an ended attempt is not to be trusted; None when it is."""
    outcome, kind = former["outcome"], former["failure_kind"]
    if kind in LASTING:
        return f"ended with {kind}, which the same session would meet again"
    if outcome not in SOUND and not (outcome == "crashed" and kind in OUTSIDE):
        return f"ended with {outcome}, so its session may be broken"
    if former["result"] is None:
        return "was stopped or broke off before its program had told how it went"
    return None


# The last one that began anything: it ended, and not before its program was started.
FORMER = """
SELECT id, outcome, failure_kind, session_id, program, workspace, result FROM attempts
 WHERE session_key = :key AND agent_id = :agent AND id <> :id AND gone_at IS NOT NULL
   AND outcome NOT IN ('released','dry_run','spawn_failed','prompt_failed','busy')
 ORDER BY id DESC LIMIT 1
"""
AT_WORK = "SELECT max(id) AS id FROM attempts WHERE session_key = :key AND agent_id = :agent AND id <> :id AND gone_at IS NULL"
SO_FAR = """
SELECT count(*) AS attempts,
       coalesce(sum(coalesce(input_tokens, 0) + coalesce(cached_tokens, 0) + coalesce(output_tokens, 0)), 0) AS tokens
  FROM attempts WHERE session_key = :key AND agent_id = :agent AND session_id = :session AND id <> :id
"""
TAKES = "UPDATE attempts SET session_id = :session, resumes = :resumes, program = :program WHERE id = :id"


def choose(tx: Tx, attempt: Record, wish: Wish, own: str | None) -> Session:
    """Decide what an attempt's conversation is, and record it. `own`: the id of a fresh one, where the program takes one."""
    ask = {"key": attempt["session_key"], "agent": attempt["agent_id"], "id": attempt["id"]}
    chosen = resumable(_found(tx, ask), wish)
    session_id = chosen.session_id or own
    tx.run(TAKES, session=session_id, resumes=chosen.resumes, program=wish.program, id=attempt["id"])
    return chosen


def _found(rows: Rows, ask: Mapping[str, Any]) -> Found:
    former, at_work = rows.one(FORMER, **ask), rows.one(AT_WORK, **ask)
    so_far = rows.one(SO_FAR, **ask, session=former["session_id"]) if former is not None else None
    return Found(
        former,
        at_work["id"] if at_work else None,
        so_far["attempts"] if so_far else 0,
        so_far["tokens"] if so_far else 0,
    )


# --- numbers ---------------------------------------------------------------------------------------------------------


def of_this_run(said: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What a run has used, of the totals its program said and those said before. Never negative; None stays None.

    A total that is smaller than before was counted anew, so all of it is this run's.
    """
    anew = any(value is not None and value < before.get(name, 0) for name, value in said.items())
    return {
        name: value if value is None or anew else round(value - before.get(name, 0), 9) for name, value in said.items()
    }


# The last totals said in the session before this attempt: one that said none is passed over, so that what it used is
# in the next one's difference and the sum is right.
BEFORE = """
WITH RECURSIVE earlier(resumes, totals) AS (
  SELECT resumes, NULL FROM attempts WHERE id = :id
  UNION ALL SELECT a.resumes, a.session_totals FROM attempts a JOIN earlier e ON a.id = e.resumes WHERE e.totals IS NULL)
SELECT totals FROM earlier WHERE totals IS NOT NULL
"""


def own_numbers(rows: Rows, attempt_id: int, found: Mapping[str, Any], whole: Collection[str]) -> dict[str, Any]:
    """What a program said, with the numbers of this run alone and the totals to keep. `whole`: names that are of its session."""
    said = {name: found[name] for name in whole}
    if all(value is None for value in said.values()):
        return {**found, "session_totals": None}
    row = rows.one(BEFORE, id=attempt_id)
    before = json.loads(row["totals"]) if row else {}
    kept = before | {name: value for name, value in said.items() if value is not None}
    return {**found, **of_this_run(said, before), "session_totals": json.dumps(kept, sort_keys=True)}
