"""The keys of `[agents.NAME.openclaw]`, and what of them cannot be together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, Field

from orchestrator.config_types import File, Part, Seconds, Word, judge_placeholders

_OPENCLAW_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)


# Of probe and cancel.
PLACEHOLDERS = frozenset(("session_key", "run_id", "agent", "task", "attempt", "project"))


def _known(word: str) -> str:
    judge_placeholders(word, PLACEHOLDERS)
    return word


class Openclaw(Part):
    """How an agent of the runner `openclaw` is run: through its gateway, as a process of its own, or headless."""

    mode: Literal["gateway", "local", "exec"] = "gateway"
    binary: Word = Field("openclaw", min_length=1)
    agent: Word | None = None
    state_dir: File | None = None
    model: Word | None = None
    thinking: Word | None = None
    probe: tuple[Annotated[Word, AfterValidator(_known)], ...] = ()
    cancel: tuple[Annotated[Word, AfterValidator(_known)], ...] = ()
    probe_every_seconds: float = Field(15, ge=0.1, le=3600)
    hold_seconds: Seconds = 0


class Agent(Protocol):
    """What is looked at of an agent's configuration."""

    @property
    def runner(self) -> str: ...
    @property
    def argv(self) -> tuple[str, ...]: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def calls_back(self) -> bool: ...
    @property
    def max_live(self) -> int: ...
    @property
    def openclaw(self) -> Openclaw: ...
    def known_as(self, name: str) -> str: ...


def problem_of(agent: Agent) -> str | None:
    """What about an agent of this runner cannot be, alone; its name is looked at by `problem_of_all`."""
    openclaw = agent.openclaw
    if agent.argv:
        return "argv is made by the runner openclaw: leave it out, and set openclaw.binary if the program is elsewhere"
    if not agent.calls_back:
        return 'calls_back = false is for runner = "command": an openclaw agent reports by itself'
    if openclaw.mode == "local" and agent.max_live > 1:
        return (
            'openclaw.mode = "local" runs one at a time in a state folder: set max_live = 1, or use "gateway" or "exec"'
        )
    if openclaw.mode != "gateway" and (openclaw.probe or openclaw.cancel or openclaw.hold_seconds):
        return f'openclaw.probe, cancel and hold_seconds are for mode = "gateway": with "{openclaw.mode}" the run ends with its process'
    if openclaw.mode == "exec" and openclaw.agent:
        return 'openclaw.agent means nothing with mode = "exec": such a run belongs to no agent of openclaw'
    return None


def problem_of_all(agents: Mapping[str, Agent]) -> str | None:
    """What about the agents of this runner cannot be together."""
    folders: dict[Path | None, str] = {}
    for name, agent in agents.items():
        if agent.runner != "openclaw" or not agent.enabled:
            continue
        if agent.openclaw.mode != "exec" and not _OPENCLAW_ID.fullmatch(agent.known_as(name)):
            return f"{name}: openclaw knows agents by small letters, digits, '_' and '-': set openclaw.agent to its id there"
        if agent.openclaw.mode == "local":
            other = folders.setdefault(agent.openclaw.state_dir, name)
            if other != name:
                return f"{other} and {name} would run in one state folder at once: give each its own openclaw.state_dir"
    return None
