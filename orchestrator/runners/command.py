"""Any command: the configuration says its whole argument list, and what it prints means nothing to us."""

from __future__ import annotations

from orchestrator.config_agent import AgentConfig
from orchestrator.runners.runner import Run, Runner, graceful


def _argv(run: Run) -> list[str]:
    return [word.format_map(run.values) for word in run.agent.argv]


def _stdin(agent: AgentConfig) -> bool:
    return agent.prompt == "stdin"


COMMAND = Runner(
    program=lambda agent: agent.argv[0] if agent.argv else "",
    argv=_argv,
    environment=lambda _run: {},
    stdin=_stdin,
    stop=graceful,
)
