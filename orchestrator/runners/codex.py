"""Codex: prompt on standard input, JSON lines back. Only INT ends what its shell started too."""

from __future__ import annotations

import signal

from orchestrator.runners.failures import kind_of
from orchestrator.runners.found import count, less, objects, table, word
from orchestrator.runners.program import ARGS, MODEL, SESSION, SETTING, Program, unreadable
from orchestrator.runners.result import Result
from orchestrator.runners.runner import MIB, Ended


def parse(ended: Ended) -> Result:
    """The last turn's end decides; its tokens are of the whole thread."""
    lines = objects(ended.stdout)
    of = {str(line.get("type")): line for line in lines}
    thread = word(of.get("thread.started", {}).get("thread_id"))
    if not of.keys() & {"turn.completed", "turn.failed", "error"}:
        return unreadable(ended, thread)
    texts = [word(table(line.get("item")).get("text")) for line in lines if _is_message(line)]
    done, failed = of.get("turn.completed", {}), of.get("turn.failed", {})
    ok = bool(done) and not failed
    complaint = word(table(failed.get("error")).get("message")) or word(of.get("error", {}).get("message"))
    usage = table(done.get("usage"))
    return Result(
        status="ok" if ok else "error",
        final=True,
        text=next((text for text in reversed(texts) if text), None) if ok else complaint,
        failure_kind=None if ok else kind_of(complaint or ended.stderr) or "crash",
        session_id=thread,
        input_tokens=less(usage.get("input_tokens"), usage.get("cached_input_tokens")),
        cached_tokens=count(usage.get("cached_input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
    )


def _is_message(line: dict[str, object]) -> bool:
    return line.get("type") == "item.completed" and table(line.get("item")).get("type") == "agent_message"


CODEX = Program(
    binary="codex",
    words=(
        "exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", MODEL, ARGS, "-",
    ),
    parse=parse,
    tried=(0, 169, 0),
    package="npm install -g @openai/codex",
    memory=145 * MIB,
    writes=("~/.codex",),
    signal=signal.SIGINT,
    resume=(
        "exec", "resume", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", SETTING, ARGS,
        SESSION, "-",
    ),
    totals=("input_tokens", "cached_tokens", "output_tokens"),
)  # fmt: skip
