"""What each agent, and all of them together, may spend on one day: setting it, what is spent of it, telling so.

An attempt counts to the day it was claimed on. Sums are asked only where a budget is set. Ends and moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from blackboard.board import Rows, Tx
from blackboard.budgets import ENGINE, WARN_AT, Budget, Spent
from blackboard.days import Day
from blackboard.record import Record

# --- Taking budgets over from the configuration --------------------------------------------------------------

_CHANGED = "day_usd IS NOT :usd OR day_tokens IS NOT :tokens OR budget_action IS NOT :action"
_SET = "day_usd = :usd, day_tokens = :tokens, budget_action = :action, budget_warned_at = NULL, budget_spent_at = NULL, rev = rev + 1, actor = :actor"
PUT_AGENT = f"UPDATE agents SET {_SET} WHERE id = :id AND ({_CHANGED})"  # noqa: S608 - our own constants
PUT_BOARD = f"UPDATE whole_board SET {_SET} WHERE {_CHANGED}"  # noqa: S608 - our own constants


def put_agent(tx: Tx, agent: str, budget: Budget, action: str, actor: str = "engine:config") -> None:
    """What an agent may spend a day, and what follows when it is spent: warn, pause or stop."""
    tx.run(PUT_AGENT, id=agent, usd=budget.usd, tokens=budget.tokens, action=action, actor=actor)


def put_board(tx: Tx, budget: Budget, action: str, actor: str = "engine:config") -> None:
    """The same of all agents together."""
    tx.run(PUT_BOARD, usd=budget.usd, tokens=budget.tokens, action=action, actor=actor)


# --- A day ---------------------------------------------------------------------------------------------------

BOARD = """
SELECT w.*, w.day_usd IS NOT NULL OR w.day_tokens IS NOT NULL
         OR EXISTS (SELECT 1 FROM agents g WHERE g.day_usd IS NOT NULL OR g.day_tokens IS NOT NULL) AS any_budget FROM whole_board w
"""
# total(), not sum(): what programs say of themselves may be absurd, and a sum of integers too large ends every claim.
SPENT_ON = """
SELECT agent_id, CAST(total(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) AS INTEGER) AS tokens, total(cost_usd) AS usd
  FROM attempts INDEXED BY attempts_by_claim WHERE claimed_at >= :since AND claimed_at < :until GROUP BY agent_id
"""


NO_DAY = Day("", "")


@dataclass(frozen=True)
class Today:
    """What was spent on a day so far, of each agent that spent anything. `board`: the row of the whole board.

    Without a day, or where no budget is set, nothing is asked and `board` is None.
    """

    day: Day = NO_DAY
    board: Record | None = None
    spent: Mapping[str, Spent] = field(default_factory=dict)

    @property
    def total(self) -> Spent:
        """Of all agents together."""
        return Spent(sum(each.tokens for each in self.spent.values()), sum(each.usd for each in self.spent.values()))


NOTHING = Today()


def today(rows: Rows, day: Day | None) -> Today:
    """What has been spent on a day, if any budget asks for it."""
    board = rows.one(BOARD) if day is not None else None
    if day is None or board is None or not board["any_budget"]:
        return NOTHING
    found = rows.all(SPENT_ON, since=day.since, until=day.until)
    return Today(day, board, {row["agent_id"]: Spent(row["tokens"], row["usd"]) for row in found})


class DayBudget(NamedTuple):
    """One budget of a day, with what is spent of it."""

    agent: str | None  # None: all agents together
    budget: Budget
    action: str
    spent: Spent
    until: str
    row: Record  # of the agent, or of the whole board

    @property
    def is_spent(self) -> bool:
        return self.budget.share(self.spent) >= 1

    @property
    def sentence(self) -> str:
        who = "all agents together have" if self.agent is None else f"agent {self.agent} has"
        return f"{who} spent {self.budget.told(self.spent)} today; the next day begins at {self.until}"


def of_agent(agent: Record, so_far: Today) -> DayBudget:
    """The budget of an agent, by its row."""
    spent = so_far.spent.get(agent["id"], Spent())
    return _day_budget(agent["id"], agent, spent, so_far)


def of_board(so_far: Today) -> DayBudget | None:
    """The budget of all agents together; None where nothing was asked."""
    return None if so_far.board is None else _day_budget(None, so_far.board, so_far.total, so_far)


def _day_budget(agent: str | None, row: Record, spent: Spent, so_far: Today) -> DayBudget:
    return DayBudget(
        agent, Budget(row["day_usd"], row["day_tokens"]), row["budget_action"], spent, so_far.day.until, row
    )


def spent_for(agent: Record, so_far: Today) -> DayBudget | None:
    """The budget that keeps an agent from beginning anything more today; None where nothing does."""
    if so_far.board is None:
        return None
    both = (of_agent(agent, so_far), of_board(so_far))
    return next((each for each in both if each is not None and each.is_spent and each.action != "warn"), None)


def closed(agent: Record, so_far: Today) -> str | None:
    """The sentence of the gate `budget` while it is closed."""
    found = spent_for(agent, so_far)
    return found.sentence if found else None


_TOLD = "budget_warned_at = :now, budget_spent_at = CASE WHEN :verb = 'budget_spent' THEN :now ELSE budget_spent_at END"
TOLD_AGENT = f"UPDATE agents SET {_TOLD} WHERE id = :id"  # noqa: S608 - our own constant
TOLD_BOARD = f"UPDATE whole_board SET {_TOLD}"  # noqa: S608 - our own constant
EVENT = "INSERT INTO events (at, verb, actor, agent_id, reason) VALUES (:now, :verb, :actor, :agent, :reason)"


def tell(tx: Tx, agents: Iterable[Record], so_far: Today) -> None:
    """Tell of each budget, once a day, that it is nearly spent (`budget_warned`) and that it is (`budget_spent`)."""
    if so_far.board is None:
        return
    for each in (*(of_agent(agent, so_far) for agent in agents), of_board(so_far)):
        if each is None:
            continue
        share = each.budget.share(each.spent)
        for verb, from_share in (("budget_spent", 1.0), ("budget_warned", WARN_AT)):
            if share >= from_share:
                _tell_once(tx, each, verb, so_far.day)
                break


def _tell_once(tx: Tx, each: DayBudget, verb: str, day: Day) -> None:
    if (each.row[f"{verb}_at"] or "") >= day.since:
        return
    if each.agent is None:
        tx.run(TOLD_BOARD, verb=verb, now=tx.now)
    else:
        tx.run(TOLD_AGENT, id=each.agent, verb=verb, now=tx.now)
    follows = {"warn": "", "pause": "; nothing more is begun", "stop": "; nothing more is begun and what runs is ended"}
    reason = each.sentence + (follows[each.action] if verb == "budget_spent" else "")
    tx.run(EVENT, now=tx.now, verb=verb, actor=ENGINE, agent=each.agent, reason=reason)
