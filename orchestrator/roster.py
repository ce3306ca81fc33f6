"""Taking projects and agents over from the configuration onto the board.

The configuration wins where it says something; pausing is the operator's own and stays. Deletes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from blackboard import accounts, agents, day_budgets
from blackboard.board import Tx
from blackboard.budgets import Budget
from orchestrator.runners.table import memory_of

if TYPE_CHECKING:
    from orchestrator.config import Settings


def enrol(tx: Tx, settings: Settings) -> None:
    """Have every project and agent of the configuration on the board, and agents it no longer names disabled."""
    for project in settings.projects:
        agents.put_project(tx, project.id, project.title)
    for name in settings.agents:
        _put(tx, settings, name)
    agents.disable_others(tx, settings.agents)
    whole = settings.budget
    day_budgets.put_board(tx, Budget(whole.day_usd, whole.day_tokens), whole.action)


PROJECTS = "SELECT id FROM projects"
AGENTS = "SELECT id FROM agents"


def introduce(tx: Tx, settings: Settings) -> None:
    """Add what the board does not know yet, and change nothing: a command may be on somebody else's board."""
    projects = {row["id"] for row in tx.all(PROJECTS)}
    for project in settings.projects:
        if project.id not in projects:
            agents.put_project(tx, project.id, project.title)
    for name in settings.agents.keys() - {row["id"] for row in tx.all(AGENTS)}:
        _put(tx, settings, name)


def _put(tx: Tx, settings: Settings, name: str) -> None:
    agent = settings.agents[name]
    if agent.account is not None:
        accounts.put_account(tx, agent.account, settings.account(agent.account).cold_after_seconds)
    agents.put_agent(
        tx, name, runner=agent.runner, enabled=agent.enabled, max_live=agent.max_live, roles=agent.roles, account=agent.account,
        memory_bytes=memory_of(agent), claim_when=agent.claim_when,
    )  # fmt: skip
    own = agent.budget
    day_budgets.put_agent(tx, name, Budget(own.day_usd, own.day_tokens), own.action or settings.budget.action)
