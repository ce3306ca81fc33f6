"""The runners by the name the configuration calls them."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.config import AgentConfig
from orchestrator.runners.command import COMMAND
from orchestrator.runners.openclaw import OPENCLAW
from orchestrator.runners.runner import Runner

RUNNERS: Mapping[str, Runner] = {"command": COMMAND, "openclaw": OPENCLAW}


def runner_of(agent: AgentConfig) -> Runner:
    """The runner of an agent."""
    return RUNNERS[agent.runner]
