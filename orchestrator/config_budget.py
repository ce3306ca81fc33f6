"""The keys of `[budget]` and `[agents.NAME.budget]`: what may be spent on one day, and what follows when it is spent."""

from __future__ import annotations

from typing import Literal

from orchestrator.config_types import Part, Tokens, Usd, Zone

Action = Literal["warn", "pause", "stop"]


class AgentBudget(Part):
    """What one agent may spend on a day. Without an action of its own, that of `[budget]`."""

    day_usd: Usd | None = None
    day_tokens: Tokens | None = None
    action: Action | None = None


class BoardBudget(Part):
    """What all agents together may spend on a day, and whose midnight begins one."""

    day_usd: Usd | None = None
    day_tokens: Tokens | None = None
    action: Action = "pause"
    time_zone: Zone = "UTC"
