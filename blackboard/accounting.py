"""What was spent on a day: agent by agent, and in all. Reads only that day's attempts; changes nothing."""

from __future__ import annotations

from typing import Any

from blackboard.board import Rows
from blackboard.budgets import Budget, Spent
from blackboard.days import Day

# The day's attempts are read once, not once for each agent.
SPENDING = """
SELECT g.id AS agent, coalesce(a.attempts, 0) AS attempts, coalesce(a.input_tokens, 0) AS input_tokens,
       coalesce(a.cached_tokens, 0) AS cached_tokens, coalesce(a.output_tokens, 0) AS output_tokens,
       coalesce(a.cost_usd, 0.0) AS cost_usd, g.day_usd, g.day_tokens, g.budget_action AS action
  FROM agents g LEFT JOIN (
       SELECT agent_id, count(*) AS attempts, CAST(total(input_tokens) AS INTEGER) AS input_tokens,
              CAST(total(cached_tokens) AS INTEGER) AS cached_tokens, CAST(total(output_tokens) AS INTEGER) AS output_tokens, total(cost_usd) AS cost_usd
         FROM attempts INDEXED BY attempts_by_claim WHERE claimed_at >= :since AND claimed_at < :until GROUP BY agent_id) a ON a.agent_id = g.id
 ORDER BY g.id
"""
BOARD = "SELECT day_usd, day_tokens, budget_action AS action FROM whole_board"
ANY = """
SELECT EXISTS (SELECT 1 FROM whole_board WHERE day_usd IS NOT NULL OR day_tokens IS NOT NULL)
    OR EXISTS (SELECT 1 FROM agents WHERE day_usd IS NOT NULL OR day_tokens IS NOT NULL) AS any
"""
_SUMS = ("attempts", "input_tokens", "cached_tokens", "output_tokens", "cost_usd")


def spending(rows: Rows, day: Day, agent: str | None = None) -> dict[str, Any]:
    """What each agent (or this one) spent on a day, with its budget, and all of them together.

    `share`: how much of the nearer limit is spent, 1.0 is all of it; None where there is no budget.
    """
    every = [dict(row) for row in rows.all(SPENDING, since=day.since, until=day.until)]
    total = {name: sum(row[name] for row in every) for name in _SUMS}
    board = rows.one(BOARD)
    return {
        "since": day.since,
        "until": day.until,
        "agents": [_with_share(row) for row in every if agent in (None, row["agent"])],
        "total": _with_share(total | (dict(board) if board else {})),
    }


def bounded(rows: Rows, day: Day) -> list[dict[str, Any]]:
    """Every budget of a day and how much of it is spent; `agent` None is that of all agents together."""
    if (row := rows.one(ANY)) is None or not row["any"]:
        return []
    found = spending(rows, day)
    every = [{"agent": None, **found["total"]}, *found["agents"]]
    names = ("agent", "action", "share", "of_budget")
    return [{name: each[name] for name in names} | {"until": day.until} for each in every if each["share"] is not None]


def _with_share(row: dict[str, Any]) -> dict[str, Any]:
    budget = Budget(row["day_usd"], row["day_tokens"])
    spent = Spent(row["input_tokens"] + row["output_tokens"], row["cost_usd"])
    has_one = budget != Budget()
    return row | {
        "tokens": spent.tokens,
        "share": budget.share(spent) if has_one else None,
        "of_budget": budget.told(spent) if has_one else None,
    }
