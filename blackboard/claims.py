"""The claim: which task or review, for which agent, now. A claim is the insertion of an attempt; a trigger does the rest.

Asked by orchestrator/tick.py. Never starts anything.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Sequence

from blackboard import accounts, day_budgets, presence_reports, reviews
from blackboard.board import Rows, Tx
from blackboard.gates import OPEN, OPEN_REVIEW, AgentFacts, Room, agent_open, waits_for_memory

PROMOTE_AT_ONCE = 2000

# The earliest instant a task may be claimed; written as the index tasks_waiting_for_time has it.
_EARLIEST = "max(due_at, coalesce(not_before, ''))"
_WAITING = "status = 'pending' AND ready = 0 AND deps_open = 0"

PROMOTE = f"""
UPDATE tasks SET ready = 1
 WHERE id IN (SELECT id FROM tasks WHERE {_WAITING} AND {_EARLIEST} <= :now ORDER BY {_EARLIEST}, id LIMIT :most)
"""  # noqa: S608 - our own constants
NEXT_DUE = f"""
SELECT {_EARLIEST} AS earliest_at FROM tasks WHERE {_WAITING} ORDER BY {_EARLIEST}, id LIMIT 1
"""  # noqa: S608 - our own constants


NEXT_REVIEW = """
SELECT not_before AS earliest_at FROM tasks
 WHERE status = 'review' AND reviewer IS NOT NULL AND handed_over IS NULL AND not_before > :now ORDER BY not_before LIMIT 1
"""


def next_time(rows: Rows, now: str) -> str | None:
    """The next instant at which a task, another try of a review, an account or an agent may go on; None when none waits for time."""
    asked = (rows.one(NEXT_DUE), rows.one(NEXT_REVIEW, now=now), rows.one(accounts.NEXT_OPEN, now=now),
             rows.one(presence_reports.NEXT_EXPIRY, now=now))  # fmt: skip
    return min((row["earliest_at"] for row in asked if row is not None and row["earliest_at"]), default=None)


def promote(tx: Tx) -> int:
    """Mark what has become due as ready, so that the claim's index holds it; how many, at most PROMOTE_AT_ONCE."""
    return tx.run(PROMOTE, now=tx.now, most=PROMOTE_AT_ONCE)


# The first task of each project that is not paused: of one that is, however full, no row is read.
_BEST = """
SELECT best.id, best.priority, best.due_at, 'executor' AS duty FROM projects o CROSS JOIN tasks best ON best.id = (
  SELECT t.id FROM tasks t
   WHERE t.{whose} AND t.project_id = o.id AND t.status = 'pending' AND t.ready = 1 AND {gates}
   ORDER BY t.priority DESC, t.due_at, t.id LIMIT 1)
 WHERE o.paused_at IS NULL
"""
BEST_OF_AGENT = _BEST.format(whose="agent_id = :agent", gates=OPEN)
BEST_OF_ROLE = _BEST.format(whose="role = :role", gates=OPEN)

# Both kinds of reviewer in one text: `:reviewer` is `agent:ID` or `role:NAME`.
BEST_REVIEW = f"""
SELECT t.id, t.priority, t.due_at, 'reviewer' AS duty FROM tasks t
 WHERE t.reviewer = :reviewer AND {OPEN_REVIEW}
 ORDER BY t.priority DESC, t.due_at, t.id LIMIT 1
"""  # noqa: S608 - our own constants

# INDEXED BY: without statistics SQLite prefers an index over all attempts an agent ever had.
AGENTS = f"""
SELECT g.*, (SELECT count(*) FROM attempts a INDEXED BY attempts_not_gone WHERE a.agent_id = g.id AND a.gone_at IS NULL) AS live,
       w.paused_at AS board_paused_at, w.pause_reason AS board_pause_reason,
       c.paused_at AS account_paused_at, c.pause_reason AS account_pause_reason, {accounts.LIMITED} AS account_limited,
       c.limited_until AS account_limited_until, c.limit_reason AS account_limit_reason, {accounts.UNPROVED} AS account_unproved,
       c.canary_id AS account_canary
  FROM agents g CROSS JOIN whole_board w LEFT JOIN accounts c ON c.id = g.account ORDER BY g.id
"""  # noqa: S608 - our own constants
ALL_LIVE = """
SELECT count(*) AS n, coalesce(sum((SELECT memory_bytes FROM agents g WHERE g.id = a.agent_id)), 0) AS promised
  FROM attempts a WHERE a.gone_at IS NULL
"""
ROLES = "SELECT role FROM agent_roles WHERE agent_id = :agent ORDER BY role"

CLAIM = """
INSERT INTO attempts (task_id, number, role, agent_id, token_hash, claimed_at, claimed_by)
VALUES (:task, (SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE task_id = :task), :role, :agent, :hash, :now, 'engine:tick')
"""


def best(tx: Tx, agent_id: str) -> sqlite3.Row | None:
    """What an agent would get now."""
    return _best(tx, agent_id, tx.now)


def _best(rows: Rows, agent_id: str, now: str) -> sqlite3.Row | None:
    """The task or review an agent would get, its own or one of its roles'; priority, then due time, then id.

    `duty` of the row: what the agent would be, executor or reviewer.
    """
    roles = [row["role"] for row in rows.all(ROLES, agent=agent_id)]
    found = rows.all(BEST_OF_AGENT, agent=agent_id, now=now)
    for role in roles:
        found += rows.all(BEST_OF_ROLE, role=role, now=now)
    for reviewer in (f"agent:{agent_id}", *(f"role:{role}" for role in roles)):
        found += rows.all(BEST_REVIEW, reviewer=reviewer, agent=agent_id, now=now)
    return min(found, key=_order, default=None)


def _order(row: sqlite3.Row) -> tuple[int, str, int]:
    return -row["priority"], row["due_at"], row["id"]


def agent_facts(rows: Rows, now: str, room: Room) -> list[AgentFacts]:
    """Every agent with what its gates look at, computed from the board."""
    row = rows.one(ALL_LIVE)
    all_live, promised = (int(row["n"]), int(row["promised"])) if row else (0, 0)
    today = day_budgets.today(rows, room.day)
    said = presence_reports.of_all(rows, now)
    return [
        AgentFacts(
            agent, agent["live"], all_live, room, today, agent["account_canary"], promised, said=said.get(agent["id"])
        )
        for agent in rows.all(AGENTS, now=now)
    ]


def held_by_memory(rows: Rows, now: str, room: Room) -> bool:
    """Whether something would be claimed if only other programs held less memory: nothing on the board will tell when."""
    return any(
        waits_for_memory(facts) and _best(rows, facts.agent["id"], now) for facts in agent_facts(rows, now, room)
    )


def claim(tx: Tx, task_id: int, agent_id: str, token_hash: bytes, role: str = "executor") -> int:
    """Claim one task, or its review, for one agent; the attempt's id. Refused with a trigger's sentence when it cannot be."""
    made = tx.insert(CLAIM, task=task_id, role=role, agent=agent_id, hash=token_hash, now=tx.now)
    accounts.go_first(tx, made, agent_id)
    return made


def claim_due(tx: Tx, token_hashes: Sequence[bytes], room: Room, sweep: bool = True) -> list[int]:
    """Promote, then claim for every free agent, the most urgent task first; the attempts, at most one a hash.

    Reviews stand in the same line. `sweep`: those that no agent can make are handed over to a person before; that
    reads all that wait, so the tick asks for it only when the team has changed.
    """
    promote(tx)
    if sweep:
        reviews.hand_over_hopeless(tx)
    claimed: list[int] = []
    every = agent_facts(tx, tx.now, room)
    if every:
        day_budgets.tell(tx, [facts.agent for facts in every], every[0].today)
    waiting = [(facts, best(tx, facts.agent["id"])) for facts in every if agent_open(facts)]
    while len(claimed) < len(token_hashes):
        offers = [(_order(row), facts, row) for facts, row in waiting if row is not None and agent_open(facts)]
        if not offers:
            break
        _, chosen, task = min(offers, key=lambda offer: offer[0])
        made = claim(tx, task["id"], chosen.agent["id"], token_hashes[len(claimed)], task["duty"])
        claimed.append(made)
        waiting = [_after_claim(tx, facts, row, chosen, task, made) for facts, row in waiting]
    return claimed


def _after_claim(
    tx: Tx, facts: AgentFacts, row: sqlite3.Row | None, chosen: AgentFacts, task: sqlite3.Row, made: int
) -> tuple[AgentFacts, sqlite3.Row | None]:
    """The same agent's facts one claim later; looks again only where the claimed task was the offer."""
    busy = facts.agent["id"] == chosen.agent["id"]
    together = chosen.agent["account_unproved"] and facts.agent["account"] == chosen.agent["account"]
    canary = made if together else facts.canary
    need = chosen.agent["memory_bytes"]
    later = dataclasses.replace(
        facts, live=facts.live + busy, all_live=facts.all_live + 1, canary=canary, promised=facts.promised + need,
        claimed=facts.claimed + need,
    )  # fmt: skip
    if row is not None and row["id"] == task["id"] and agent_open(later):
        row = best(tx, facts.agent["id"])
    return later, row
