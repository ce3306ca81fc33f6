"""The operator's hooks of an attempt and of a workspace: with which words, where, and as whose step they run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.config_agent import AgentConfig
from orchestrator.runners.runner import Place, environment, launch_plan
from orchestrator.steps import Step

LOG = "hooks.log"


def values(
    workspace: Path, *, task: object = "", agent: str = "", project: str = "", attempt: object = "", outcome: str = ""
) -> dict[str, str]:
    """The placeholders of a hook; empty where there is nothing to say (no outcome before the end)."""
    return {
        "workspace": str(workspace), "task": str(task), "agent": agent, "project": project, "attempt": str(attempt),
        "outcome": outcome,
    }  # fmt: skip


def words(argv: Sequence[str], placeholders: Mapping[str, str]) -> list[str]:
    """A hook's command with its placeholders filled in."""
    return [word.format_map(placeholders) for word in argv]


def step(
    name: str, argv: list[str], config: AgentConfig, place: Place, *, marker: str, boot_id: str, claimed_at: str,
    seconds: float, added: Mapping[str, str] | None = None, cwd: Path | None = None,
) -> Step:  # fmt: skip
    """A step of an attempt (or a workspace) whose directory is `place.directory`: the agent's environment, no token."""
    own = place.directory / name
    env = environment(config, os.environ, marker, added)
    plan = launch_plan(config, argv, env, Place(own, cwd or place.workspace), boot_id, claimed_at, stdin=False)
    unlimited = {**plan, "rlimits": {}, "nice": 0}  # the agent's limits are not the operator's
    return Step(name, own, marker, unlimited, place.directory / LOG, seconds)
