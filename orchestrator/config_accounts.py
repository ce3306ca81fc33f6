"""The table `[accounts.NAME]`: what several agents draw on together, a login or a key, and what cannot be with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from orchestrator.config_types import Part, Seconds


class Account(Part):
    """An account. An agent that names one without a table has it with these defaults."""

    cold_after_seconds: Seconds = 900


class Agent(Protocol):
    """What is looked at of an agent's configuration."""

    @property
    def account(self) -> str | None: ...


def problem_of(accounts: Mapping[str, Account], agents: Mapping[str, Agent]) -> str | None:
    """A table that nothing reads is a slip of the pen: the agents would not be gated together."""
    named = {agent.account for agent in agents.values()}
    for account in accounts:
        if account not in named:
            return f'no agent draws on {account!r}: set account = "{account}" on its agents, or leave the table out'
    return None
