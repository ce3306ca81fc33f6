"""The keys of `[budget]` and `[agents.NAME.budget]`: what may be spent on one day, and what follows when it is spent."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from orchestrator.config_types import Tokens, Usd, zone_exists

Action = Literal["warn", "pause", "stop"]


class AgentBudget(BaseModel):
    """What one agent may spend on a day. Without an action of its own, that of `[budget]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    day_usd: Usd | None = None
    day_tokens: Tokens | None = None
    action: Action | None = None


class BoardBudget(BaseModel):
    """What all agents together may spend on a day, and whose midnight begins one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    day_usd: Usd | None = None
    day_tokens: Tokens | None = None
    action: Action = "pause"
    time_zone: str = "UTC"

    _zone = field_validator("time_zone")(zone_exists)
