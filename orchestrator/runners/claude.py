"""Claude Code: prompt on standard input, one result object back. Its exit code 0 after an INT means nothing."""

from __future__ import annotations

import dataclasses

from orchestrator.runners import result_object
from orchestrator.runners.found import cost, count, table
from orchestrator.runners.program import ARGS, MODEL, SESSION, Program, unreadable
from orchestrator.runners.result import Result
from orchestrator.runners.runner import MIB, Ended


def parse(ended: Ended) -> Result:
    """The result object, with the model that wrote the most and the cost, which is of the whole session."""
    found = result_object.found_in(ended.stdout)
    if found is None:
        return unreadable(ended)
    models = table(found.get("modelUsage"))
    most = max(models, key=lambda name: count(table(models[name]).get("outputTokens")) or 0, default=None)
    return dataclasses.replace(
        result_object.read(found, ended),
        model=most,
        cost_usd=cost(found.get("total_cost_usd")),
    )


CLAUDE = Program(
    binary="claude",
    words=("-p", "--output-format", "json", MODEL, "--allowedTools", "Bash", "--session-id", SESSION, ARGS),
    parse=parse,
    tried=(2, 1, 329),
    package="npm install -g @anthropic-ai/claude-code",
    memory=220 * MIB,
    writes=("~/.claude", "~/.claude.json"),
    env={
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_TELEMETRY": "1", "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_MAX_RETRIES": "1",
    },
    resume=("-p", "--output-format", "json", MODEL, "--allowedTools", "Bash", "--resume", SESSION, ARGS),
    totals=("cost_usd",),
    native="@anthropic-ai/claude-code-linux-x64/claude",
)  # fmt: skip
