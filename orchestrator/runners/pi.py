"""pi: prompt on standard input, JSON lines back. It exits with 0 on errors: only what it prints tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.runners.failures import kind_of
from orchestrator.runners.found import cost, objects, table, whole, word
from orchestrator.runners.program import ARGS, MODEL, SESSION, Program, unreadable
from orchestrator.runners.result import FailureKind, Result, Status, Usage
from orchestrator.runners.runner import MIB, Ended

STATUSES: Mapping[str, Status] = {"stop": "ok", "error": "error", "length": "error", "aborted": "cancelled"}


def parse(ended: Ended) -> Result:
    """The last answer's reason to stop decides; tokens and cost are the sum of all answers."""
    lines = objects(ended.stdout)
    answers = _answers(lines)
    last = answers[-1] if answers else {}
    status = STATUSES.get(str(last.get("stopReason")))
    session_id = next((word(line.get("id")) for line in lines if line.get("type") == "session"), None)
    if status is None:
        return unreadable(ended, session_id)
    complaint = word(last.get("errorMessage"))
    otherwise: FailureKind = "context" if last["stopReason"] == "length" else "crash"
    return Result(
        status=status,
        final=True,
        text=complaint or _text(last),
        failure_kind=(kind_of(complaint or "") or otherwise) if status == "error" else None,
        session_id=session_id,
        provider=word(last.get("provider")),
        model=word(last.get("model")),
        **vars(_used(answers)),
    )


def spent(stdout: str) -> Usage:
    """What it has used until now: the sum of all answers it has printed."""
    return _used(_answers(objects(stdout)))


def _used(answers: list[dict[str, Any]]) -> Usage:
    usages = [table(answer.get("usage")) for answer in answers]
    costs = [each for each in (cost(table(usage.get("cost")).get("total")) for usage in usages) if each is not None]
    return Usage(
        input_tokens=whole(usage.get(name) for usage in usages for name in ("input", "cacheWrite")),
        cached_tokens=whole(usage.get("cacheRead") for usage in usages),
        output_tokens=whole(usage.get("output") for usage in usages),
        cost_usd=sum(costs) if costs else None,
    )


def _answers(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [table(line.get("message")) for line in lines if _is_answer(line)]


def _is_answer(line: dict[str, Any]) -> bool:
    return line.get("type") == "message_end" and table(line.get("message")).get("role") == "assistant"


def _text(answer: Mapping[str, Any]) -> str | None:
    content = answer.get("content")
    parts = [table(part) for part in content] if isinstance(content, list) else []
    return "".join(word(part.get("text")) or "" for part in parts if part.get("type") == "text") or word(content)


PI = Program(
    binary="pi",
    words=("--print", "--mode", "json", "--offline", MODEL, ARGS),
    parse=parse,
    spent=spent,
    tried=(0, 73, 1),
    package="npm install -g @mariozechner/pi-coding-agent",
    resume=("--print", "--mode", "json", "--offline", MODEL, "--session", SESSION, ARGS),
    same_folder=True,
    memory=170 * MIB,
    writes=("~/.pi",),
    env={"PI_OFFLINE": "1", "PI_SKIP_VERSION_CHECK": "1"},
)
