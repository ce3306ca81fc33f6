"""The runners by the name the configuration calls them."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.config_agent import AgentConfig
from orchestrator.config_program import ProgramName
from orchestrator.runners.claude import CLAUDE
from orchestrator.runners.codex import CODEX
from orchestrator.runners.command import COMMAND
from orchestrator.runners.gemini import GEMINI
from orchestrator.runners.mini import MINI
from orchestrator.runners.openclaw import OPENCLAW
from orchestrator.runners.opencode import OPENCODE
from orchestrator.runners.pi import PI
from orchestrator.runners.program import Program, runner
from orchestrator.runners.qwen import QWEN
from orchestrator.runners.runner import Runner

PROGRAMS: Mapping[ProgramName, Program] = {
    "codex": CODEX, "claude": CLAUDE, "opencode": OPENCODE, "gemini": GEMINI, "pi": PI, "qwen": QWEN,
    "mini-swe-agent": MINI,
}  # fmt: skip
RUNNERS: Mapping[str, Runner] = {
    "command": COMMAND, "openclaw": OPENCLAW, **{name: runner(program) for name, program in PROGRAMS.items()},
}  # fmt: skip


def memory_of(agent: AgentConfig) -> int:
    """Bytes that one attempt of an agent is known to need; 0: not known."""
    return runner_of(agent).memory(agent) if agent.memory is None else agent.memory


def runner_of(agent: AgentConfig) -> Runner:
    """The runner of an agent."""
    return RUNNERS[agent.runner]
