"""The keys `session_…` of `[agents.NAME]`: what of them cannot be together with its runner."""

from __future__ import annotations

from typing import Protocol

LONGEST = frozenset({"session_max_attempts", "session_max_tokens"})
# Runners whose programs go on with a session that an earlier run began; a test holds that.
RESUMING = ("codex", "claude", "opencode", "gemini", "pi", "qwen")


class Agent(Protocol):
    """What is looked at of an agent's configuration."""

    @property
    def runner(self) -> str: ...
    @property
    def session_scope(self) -> str: ...
    @property
    def model_fields_set(self) -> set[str]: ...


def problem_of(agent: Agent) -> str | None:
    """What about an agent's sessions cannot be."""
    if agent.runner == "mini-swe-agent" and agent.session_scope != "attempt":
        return "mini-swe-agent keeps no sessions: leave session_scope out"
    asked = sorted(LONGEST & agent.model_fields_set)
    if asked and agent.runner not in RESUMING:
        return f"{asked[0]} is for runners that go on with a session ({', '.join(RESUMING)}): leave it out"
    if asked and agent.session_scope == "attempt":
        return f'{asked[0]} means nothing where each attempt has a session of its own: set session_scope, e.g. "task"'
    return None
