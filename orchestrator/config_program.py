"""The keys of `[agents.NAME.program]`: one set for every agent program we know, and what cannot be together."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import Field

from orchestrator.config_types import Part, Word

ProgramName = Literal["codex", "claude", "opencode", "gemini", "pi", "qwen", "mini-swe-agent"]


class Program(Part):
    """How an agent program we know is called: where it is, which model, what else it is told."""

    binary: Word | None = Field(None, min_length=1)
    model: Word | None = Field(None, min_length=1)
    args: tuple[Word, ...] = ()


class Agent(Protocol):
    """What is looked at of an agent's configuration."""

    @property
    def runner(self) -> str: ...
    @property
    def argv(self) -> tuple[str, ...]: ...
    @property
    def calls_back(self) -> bool: ...
    @property
    def model_fields_set(self) -> set[str]: ...


def problem_of(agent: Agent) -> str | None:
    """What about an agent of one of these runners cannot be."""
    name = agent.runner
    if agent.argv:
        return f"argv is made by the runner {name}: leave it out, and set program.args for what is to be added"
    if not agent.calls_back:
        return f'calls_back = false is for runner = "command": an agent of {name} reports by itself'
    if "prompt" in agent.model_fields_set:
        return f"prompt is chosen by the runner {name}: leave it out"
    return None
