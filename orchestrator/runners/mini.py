"""mini-swe-agent: prompt as an argument, a transcript for people back; the trajectory file tells how the run went."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.runners.failures import kind_of
from orchestrator.runners.found import cost, less, table, whole, word
from orchestrator.runners.program import ARGS, MODEL, PROMPT, REPORT, Program, unreadable
from orchestrator.runners.result import Result
from orchestrator.runners.runner import MIB, Ended

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
    text = (word(info.get("submission")) or "").strip() or _fault(_messages(report))
    ok = status == SUBMITTED
    usages = [_usage(each) for each in _messages(report)]
    cached = [table(each.get("prompt_tokens_details")).get("cached_tokens") for each in usages]
    return Result(
        status="ok" if ok else "error",
        final=True,
        text=text or (None if ok else status),
        failure_kind=None if ok else kind_of(f"{status} {text}") or kind_of(ended.stderr) or "crash",
        input_tokens=whole(
            less(*pair) for pair in zip((each.get("prompt_tokens") for each in usages), cached, strict=True)
        ),
        cached_tokens=whole(cached),
        output_tokens=whole(each.get("completion_tokens") for each in usages),
        cost_usd=cost(table(info.get("model_stats")).get("instance_cost")) or None,
    )


def _messages(report: dict[str, Any]) -> list[dict[str, Any]]:
    messages = report.get("messages")
    return [table(each) for each in messages] if isinstance(messages, list) else []


def _usage(message: dict[str, Any]) -> dict[str, Any]:
    """What one answer of the model took: it lies in the answer as the provider sent it, beside the message."""
    return table(table(table(message.get("extra")).get("response")).get("usage"))


def _fault(messages: list[dict[str, Any]]) -> str | None:
    """The words of the fault that ended it: they are beside its last message."""
    return word(table(messages[-1].get("extra")).get("exception_str")) if messages else None


MINI = Program(
    binary="mini",
    words=(
        "--yolo", "--exit-immediately", "--cost-limit", "0", MODEL, "--output", REPORT, ARGS, "--task", PROMPT,
    ),
    parse=parse,
    tried=(2, 4, 6),
    package="pip install mini-swe-agent mcp",
    memory=230 * MIB,
    writes=("~/.config/mini-swe-agent",),
    env={
        "MSWEA_CONFIGURED": "true", "MSWEA_COST_TRACKING": "ignore_errors",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    },
    report_file="trajectory.json",
    version_flag="--help",  # it has no other, and tells it at every start that is not silenced
)  # fmt: skip
