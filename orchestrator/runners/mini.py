"""mini-swe-agent: prompt as an argument, a transcript for people back; the trajectory file tells how the run went."""

from __future__ import annotations

import json

from orchestrator.runners.failures import kind_of
from orchestrator.runners.found import cost, table, word
from orchestrator.runners.program import ARGS, MODEL, PROMPT, REPORT, Program, unreadable
from orchestrator.runners.result import Result
from orchestrator.runners.runner import Ended

SUBMITTED = "Submitted"


def parse(ended: Ended) -> Result:
    """Ended well only if it submitted; its cost is 0 where it knows no price, and says nothing then."""
    try:
        report = table(json.loads(ended.report))
    except (ValueError, RecursionError):
        return unreadable(ended)
    info = table(report.get("info"))
    status = word(info.get("exit_status"))
    if status is None:
        return unreadable(ended)
    text = word(info.get("submission")) or _fault(report.get("messages"))
    ok = status == SUBMITTED
    return Result(
        status="ok" if ok else "error",
        final=True,
        text=text or (None if ok else status),
        failure_kind=None if ok else kind_of(f"{status} {text}") or kind_of(ended.stderr) or "crash",
        cost_usd=cost(table(info.get("model_stats")).get("instance_cost")) or None,
    )


def _fault(messages: object) -> str | None:
    """The words of the fault that ended it: they are beside its last message."""
    last = table(messages[-1]) if isinstance(messages, list) and messages else {}
    return word(table(last.get("extra")).get("exception_str"))


MINI = Program(
    binary="mini",
    words=(
        "--yolo", "--exit-immediately", "--cost-limit", "0", MODEL, "--output", REPORT, ARGS, "--task", PROMPT,
    ),
    parse=parse,
    tried=(2, 4, 6),
    package="pip install mini-swe-agent mcp",
    env={
        "MSWEA_CONFIGURED": "true", "MSWEA_COST_TRACKING": "ignore_errors",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    },
    report_file="trajectory.json",
    version_flag="--help",  # it has no other, and tells it at every start that is not silenced
)  # fmt: skip
