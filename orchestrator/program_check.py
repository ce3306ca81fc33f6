"""What `check` looks at of an agent whose program we know: its version, and what it needs to be told. Starts no agent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

from orchestrator.config_agent import AgentConfig
from orchestrator.runners.program import Program
from orchestrator.runners.runner import environment
from orchestrator.versions import NoVersion, asked, told

Said = Iterator[tuple[Literal["ok", "warn", "fail"], str]]


def looked_at(agent: AgentConfig, known: Program, program: str) -> Said:
    """The findings about an agent whose program was found."""
    found = asked(program, environment(agent, os.environ, "", known.quiet), known.version_flag)
    if isinstance(found, NoVersion):
        stub = (
            f", or set program.binary to node_modules/{known.native}: npm without scripts leaves a stub"
            if known.native
            else ""
        )
        yield found.level, f"{found.sentence}; it may be a half installation: {known.package}{stub}"
    elif found < known.tried:
        yield (
            "warn",
            f"{agent.runner} {told(found)} is older than {told(known.tried)}, with which it was tried: {known.package}",
        )
    else:
        yield "ok", f"{agent.runner} {told(found)}"
