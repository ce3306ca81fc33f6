"""Budgets: what may be spent, how it is told, and whether a task has spent what it may.

Tokens are input and output; those read from a cache are told apart and not counted. What a running attempt may spend
is in blackboard/standing.py, what may be spent on one day in blackboard/day_budgets.py. Decides; ends and moves nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from blackboard.board import Rows

WARN_AT = 0.8  # share of a budget after which it is told that it is nearly spent
ENGINE = "engine:budgets"


class Spent(NamedTuple):
    """What was spent: tokens of input and output, and US dollars."""

    tokens: int = 0
    usd: float = 0.0


class Budget(NamedTuple):
    """What may be spent; None: no limit."""

    usd: float | None = None
    tokens: int | None = None

    def share(self, spent: Spent) -> float:
        """How much of it is spent, of the nearer limit; 0 where none is set."""
        usd = spent.usd / self.usd if self.usd else 0.0
        return max(usd, spent.tokens / self.tokens if self.tokens else 0.0)

    def told(self, spent: Spent) -> str:
        """The numbers of its nearer limit: `5.02 of 5 USD`."""
        if self.usd and (not self.tokens or spent.usd / self.usd >= spent.tokens / self.tokens):
            return f"{amount(spent.usd)} of {amount(self.usd)} USD"
        return f"{spent.tokens} of {self.tokens} tokens"


def amount(usd: float) -> str:
    """US dollars as people write them, with as many digits as say something: `5.02`, `0.004`."""
    return f"{usd:.2f}".rstrip("0").rstrip(".") if usd >= 1 or usd == 0 else f"{usd:.3g}"


SPENT_ON_TASK = """
SELECT CAST(total(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) AS INTEGER) AS tokens, total(cost_usd) AS usd FROM attempts WHERE task_id = :task
"""


def spent_on_task(rows: Rows, task_id: int) -> Spent:
    """What all attempts of a task have spent, those of reviewers too."""
    row = rows.one(SPENT_ON_TASK, task=task_id)
    return Spent(row["tokens"] or 0, row["usd"]) if row else Spent()


OF_TASK = """
SELECT t.id, t.task_usd, t.task_tokens, g.budget_action FROM tasks t
  LEFT JOIN attempts a ON a.id = t.attempt_id LEFT JOIN agents g ON g.id = a.agent_id WHERE t.id = :task
"""


def task_is_spent(rows: Rows, task_id: int) -> str | None:
    """Why nothing more is begun for a task, and what would change that; None while there is something left."""
    row = rows.one(OF_TASK, task=task_id)
    if row is None or row["budget_action"] in (None, "warn"):
        return None
    whole = Budget(row["task_usd"], row["task_tokens"])
    if whole == Budget():
        return None
    spent = spent_on_task(rows, task_id)
    if whole.share(spent) < 1:
        return None
    columns = [f"{name} = {value}" for name, value in (("task_usd", _twice(whole.usd, spent.usd)), ("task_tokens", _twice(whole.tokens, spent.tokens))) if value]  # fmt: skip
    remedy = f"UPDATE tasks SET {', '.join(columns)} WHERE id = {task_id}"  # noqa: S608 - shown, not run
    return f"its attempts have spent {whole.told(spent)}: raise its budget ({remedy}) and then answer how to go on, or cancel it"


def _twice(limit: float | None, spent: float) -> str | None:
    """A limit that leaves room again: what was spent and as much as it may spend now."""
    return None if not limit else f"{limit + spent:.6g}" if isinstance(limit, float) else str(int(limit + spent))
