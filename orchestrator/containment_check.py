"""What `check` looks at of what holds agents in: whether a sandbox works here, what it cannot hide, who never fits.

Tries the sandbox once on a program that does nothing; starts no agent.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Literal, NamedTuple

from blackboard.gates import Memory, never_fits
from blackboard.sizes import in_words
from orchestrator import machine, sandbox, wrapping
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.config_contain import is_preset
from orchestrator.runners.table import memory_of


class Said(NamedTuple):
    """One finding about one agent."""

    level: Literal["ok", "warn", "fail"]
    agent: str
    sentence: str


def looked_at(settings: Settings) -> Iterator[Said]:
    """Everything about the agents that are enabled."""
    bounds = machine.memory(settings.tick.memory_share)
    works: dict[str, str | None] = {}
    for name, agent in settings.agents.items():
        if agent.enabled:
            yield from (Said(level, name, sentence) for level, sentence in _sandbox(settings, agent, works))
            yield from (Said("warn", name, sentence) for sentence in _memory(agent, bounds))


def warnings(settings: Settings) -> Iterator[Said]:
    """What `run` says before it begins: nobody looks at a sandbox that is missing before an agent is started."""
    return (said for said in looked_at(settings) if said.level != "ok")


def _sandbox(
    settings: Settings, agent: AgentConfig, works: dict[str, str | None]
) -> Iterator[tuple[Literal["ok", "warn", "fail"], str]]:
    if not agent.wrap:
        return
    program = agent.wrap[0]
    if not is_preset(agent):
        if "{" not in program and shutil.which(program) is None:
            yield "fail", f"the program {program} of wrap is not in PATH: install it, or mend wrap"
        return
    if program not in works:
        works[program] = wrapping.tried(program)
    if problem := works[program]:
        if agent.require_sandbox:
            yield "fail", f"{problem}; nothing of it will be started, because require_sandbox = true"
        else:
            yield "warn", f"{problem}; it will run without (require_sandbox = true refuses that)"
        return
    yield "ok", f"the sandbox {program} works here"
    if agent.workspace is not None and (within := _board_inside(settings, agent)):
        yield (
            "warn",
            f"its workspace {agent.workspace} holds {within}: what comes into that folder while it works can be seen by it; "
            "give the board (`board`, `state_dir`) a folder elsewhere",
        )


def _board_inside(settings: Settings, agent: AgentConfig) -> str | None:
    work = os.path.realpath(agent.workspace or "")
    return next((folder for folder in sandbox.secrets(settings).folders if sandbox.inside(folder, work)), None)


def _memory(agent: AgentConfig, bounds: Memory | None) -> Iterator[str]:
    need = memory_of(agent)
    if bounds is not None and never_fits(need, bounds):
        yield (
            f"it needs {in_words(need)} of memory, and all agents together may have {in_words(bounds.most)} here: it never "
            "fits, so nothing is claimed for it; set its memory, or tick.memory_share"
        )
