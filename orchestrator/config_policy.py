"""The keys of `[policy]` and `[agents.NAME.policy]`: how often and how long a task is tried, and who reviews it."""

from __future__ import annotations

from pydantic import Field

from blackboard.forms import Review
from orchestrator.config_types import MOST, Part, Seconds, SomeSeconds, Tokens, Usd


class PolicyNumbers(Part):
    """The policy columns of a task (same defaults as schema.sql; a test holds that)."""

    max_tries: int = Field(3, ge=1, le=MOST)
    backoff_seconds: Seconds = 30
    backoff_cap_seconds: Seconds = 3600
    wall_seconds: SomeSeconds = 3600
    idle_seconds: SomeSeconds = 900
    startup_seconds: SomeSeconds = 300
    settle_seconds: Seconds = 30
    review: Review = "human"
    max_review_tries: int = Field(2, ge=1, le=MOST)
    max_rejections: int = Field(3, ge=0, le=MOST)
    needs_output: bool = True
    waits_for_children: bool = True
    max_same: int = Field(3, ge=1, le=MOST)
    attempt_usd: Usd | None = None
    attempt_tokens: Tokens | None = None
    task_usd: Usd | None = None
    task_tokens: Tokens | None = None
