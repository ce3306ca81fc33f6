"""A running attempt and the budgets that bound it: its own, its task's, and those of the day. Ends nothing."""

from __future__ import annotations

from typing import NamedTuple

from blackboard.board import Rows, Tx
from blackboard.budgets import ENGINE, WARN_AT, Budget, Spent, spent_on_task
from blackboard.day_budgets import of_agent, of_board, today
from blackboard.days import Day
from blackboard.record import Record

STANDING = """
SELECT a.id, a.budget_told, a.agent_id, t.id AS task, coalesce(a.input_tokens, 0) + coalesce(a.output_tokens, 0) AS tokens, coalesce(a.cost_usd, 0.0) AS usd,
       t.attempt_usd, t.attempt_tokens, t.task_usd, t.task_tokens, g.budget_action, g.day_usd, g.day_tokens,
       w.day_usd IS NOT NULL OR w.day_tokens IS NOT NULL AS board_budget
  FROM attempts a JOIN tasks t ON t.id = a.task_id JOIN agents g ON g.id = a.agent_id CROSS JOIN whole_board w WHERE a.id = :id
"""


def is_watched(rows: Rows, attempt_id: int) -> bool:
    """Whether any budget bounds what an attempt spends: only then it is looked at while it runs."""
    row = rows.one(STANDING, id=attempt_id)
    names = ("attempt_usd", "attempt_tokens", "task_usd", "task_tokens", "day_usd", "day_tokens")
    return row is not None and (any(row[name] is not None for name in names) or bool(row["board_budget"]))


class Over(NamedTuple):
    """Why a running attempt is to be ended: its outcome and the sentence."""

    outcome: str
    sentence: str


class Look(NamedTuple):
    """How an attempt stands: why it has to end, if it has, and whether something of its budgets is to be told."""

    over: Over | None
    untold: bool


AGENT = "SELECT * FROM agents WHERE id = :id"


def look(rows: Rows, attempt_id: int, day: Day) -> Look:
    """How a running attempt stands to its own budget, its task's, and the day's."""
    row = rows.one(STANDING, id=attempt_id)
    if row is None:
        return Look(None, False)
    found = _standing(rows, row)
    spent = next((sentence for share, sentence in found if share >= 1), None)
    untold = _percent(max(found, default=(0.0, ""))[0]) > row["budget_told"]
    if spent and row["budget_action"] != "warn":
        return Look(Over("over_budget", spent), untold)
    return Look(_ended_by_the_day(rows, row["agent_id"], day), untold)


def _ended_by_the_day(rows: Rows, agent_id: str, day: Day) -> Over | None:
    so_far = today(rows, day)
    agent = rows.one(AGENT, id=agent_id)
    both = (of_agent(agent, so_far), of_board(so_far)) if agent is not None and so_far.board is not None else ()
    found = next((each for each in both if each is not None and each.is_spent and each.action == "stop"), None)
    return Over("stopped", found.sentence) if found else None


def _percent(share: float) -> int:
    """How many percent of a budget are to be told: 0, 80 or 100."""
    return 100 if share >= 1 else 80 if share >= WARN_AT else 0


def _standing(rows: Rows, row: Record) -> list[tuple[float, str]]:
    """How much of its own budget and of its task's an attempt has spent, each with its sentence."""
    own, whole = Budget(row["attempt_usd"], row["attempt_tokens"]), Budget(row["task_usd"], row["task_tokens"])
    spent, found = Spent(row["tokens"], row["usd"]), []
    if own != Budget():
        found.append((own.share(spent), f"the attempt has spent {own.told(spent)}"))
    if whole != Budget():
        together = spent_on_task(rows, row["task"])
        found.append((whole.share(together), f"the attempts of task {row['task']} have spent {whole.told(together)}"))
    return found


TOLD_ATTEMPT = "UPDATE attempts SET budget_told = :percent WHERE id = :id AND budget_told < :percent"
EVENT_OF_ATTEMPT = """
INSERT INTO events (at, verb, actor, task_id, attempt_id, agent_id, reason)
SELECT :now, :verb, :actor, task_id, id, agent_id, :reason FROM attempts WHERE id = :id
"""


def tell(tx: Tx, attempt_id: int) -> None:
    """Tell once that an attempt's own budget, or its task's, is nearly spent, and once that it is."""
    row = tx.one(STANDING, id=attempt_id)
    share, sentence = max(_standing(tx, row), default=(0.0, "")) if row is not None else (0.0, "")
    percent = _percent(share)
    if percent and tx.run(TOLD_ATTEMPT, id=attempt_id, percent=percent):
        verb = "budget_spent" if percent == 100 else "budget_warned"
        tx.run(EVENT_OF_ATTEMPT, id=attempt_id, now=tx.now, verb=verb, actor=ENGINE, reason=sentence)
