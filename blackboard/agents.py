"""Agents and projects on the board: taking them over from the configuration."""

from __future__ import annotations

from collections.abc import Iterable

from blackboard.accounts import own_account, put_account
from blackboard.board import Rows, Tx
from blackboard.errors import NotFound

PROJECT = """
INSERT INTO projects (id, title, created_at) VALUES (:id, :title, :now)
ON CONFLICT (id) DO UPDATE SET title = excluded.title WHERE title IS NOT excluded.title
"""


EXISTS = "SELECT 1 FROM agents WHERE id = :agent"


def must_exist(rows: Rows, agent: str) -> None:
    """NotFound unless there is such an agent."""
    if rows.one(EXISTS, agent=agent) is None:
        raise NotFound(f"there is no agent {agent}: `orchestrator agents` lists them")


def put_project(tx: Tx, project: str, title: str = "") -> None:
    """Add a project, or change its title."""
    tx.run(PROJECT, id=project, title=title, now=tx.now)


AGENT = """
INSERT INTO agents (id, runner, enabled, max_live, claim_when, account, memory_bytes, actor, created_at)
VALUES (:id, :runner, :enabled, :max_live, :claim_when, :account, :memory_bytes, :actor, :now)
ON CONFLICT (id) DO UPDATE SET runner = excluded.runner, enabled = excluded.enabled, max_live = excluded.max_live,
   claim_when = excluded.claim_when, account = excluded.account, memory_bytes = excluded.memory_bytes, rev = rev + 1, actor = excluded.actor
 WHERE runner IS NOT excluded.runner OR enabled IS NOT excluded.enabled OR max_live IS NOT excluded.max_live
    OR claim_when IS NOT excluded.claim_when OR account IS NOT excluded.account OR memory_bytes IS NOT excluded.memory_bytes
"""
ROLES = "SELECT role FROM agent_roles WHERE agent_id = :agent"
FORGET_ROLE = "DELETE FROM agent_roles WHERE agent_id = :agent AND role = :role"
ROLE = "INSERT INTO agent_roles (agent_id, role) VALUES (:agent, :role)"


def put_agent(
    tx: Tx, agent: str, *, runner: str = "command", enabled: bool = True, max_live: int = 1, roles: Iterable[str] = (),
    account: str | None = None, memory_bytes: int = 0, claim_when: Iterable[str] = ("idle", "on_call"), actor: str = "engine:config",
) -> None:  # fmt: skip
    """Add an agent, or change what the configuration says of it. `account`: one that is there; None: one of its own.

    `claim_when`: with which reported presences it gets work.
    """
    if account is None:
        put_account(tx, own_account(agent), actor=actor)
    values = {"runner": runner, "enabled": int(enabled), "max_live": max_live, "memory_bytes": memory_bytes}
    tx.run(
        AGENT, id=agent, **values, claim_when=" ".join(claim_when), account=account or own_account(agent), actor=actor, now=tx.now
    )  # fmt: skip
    wanted, found = set(roles), {row["role"] for row in tx.all(ROLES, agent=agent)}
    for role in sorted(found - wanted):
        tx.run(FORGET_ROLE, agent=agent, role=role)
    for role in sorted(wanted - found):
        tx.run(ROLE, agent=agent, role=role)


ENABLED = "SELECT id FROM agents WHERE enabled ORDER BY id"
DISABLE = "UPDATE agents SET enabled = 0, rev = rev + 1, actor = :actor WHERE id = :agent"


def disable_others(tx: Tx, agents: Iterable[str], actor: str = "engine:config") -> list[str]:
    """Disable every agent the configuration does not name, and keep its history; which."""
    named = set(agents)
    others = [row["id"] for row in tx.all(ENABLED) if row["id"] not in named]
    for agent in others:
        tx.run(DISABLE, agent=agent, actor=actor)
    return others
