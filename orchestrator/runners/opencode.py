"""opencode: prompt on standard input only (it quotes an argument), JSON lines back. Its tools outlive any signal to it."""

from __future__ import annotations

from typing import Any

from orchestrator.runners.failures import kind_of
from orchestrator.runners.found import cost, objects, table, whole, word
from orchestrator.runners.program import ARGS, MODEL, SESSION, Program, unreadable
from orchestrator.runners.result import Result, Usage
from orchestrator.runners.runner import MIB, Ended


def parse(ended: Ended) -> Result:
    """Tokens and cost are the sum of all steps; an error line, or no last step, is no good end."""
    lines = objects(ended.stdout)
    errors = [table(line.get("error")) for line in lines if line.get("type") == "error"]
    steps = _steps(lines)
    over = bool(steps) and steps[-1].get("reason") != "tool-calls" and lines[-1].get("type") != "step_start"
    session_id = next((found for line in lines if (found := word(line.get("sessionID")))), None)
    if not errors and not over:
        return unreadable(ended, session_id)
    texts = [word(table(line.get("part")).get("text")) for line in lines if line.get("type") == "text"]
    complaint = _complaint(errors[-1]) if errors else None
    return Result(
        status="error" if errors else "ok",
        final=True,
        text=complaint if errors else next((text for text in reversed(texts) if text), None),
        failure_kind=(kind_of(complaint or "") or kind_of(ended.stderr) or "crash") if errors else None,
        session_id=session_id,
        **vars(_used(steps)),
    )


def spent(stdout: str) -> Usage:
    """What it has used until now: the sum of all steps it has finished."""
    return _used(_steps(objects(stdout)))


def _used(steps: list[dict[str, Any]]) -> Usage:
    tokens = [table(step.get("tokens")) for step in steps]
    costs = [each for each in (cost(step.get("cost")) for step in steps) if each is not None]
    return Usage(
        input_tokens=whole(each.get("input") for each in tokens),
        cached_tokens=whole(table(each.get("cache")).get("read") for each in tokens),
        output_tokens=whole(each.get(name) for each in tokens for name in ("output", "reasoning")),
        cost_usd=sum(costs) if costs else None,
    )


def _steps(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [table(line.get("part")) for line in lines if line.get("type") == "step_finish"]


def _complaint(error: dict[str, object]) -> str | None:
    said = (word(error.get("name")), word(table(error.get("data")).get("message")) or word(error.get("message")))
    return ": ".join(filter(None, said)) or None


OPENCODE = Program(
    binary="opencode",
    words=("run", "--format", "json", MODEL, ARGS),
    parse=parse,
    spent=spent,
    tried=(1, 18, 33),
    package="npm install -g opencode-ai",
    resume=("run", "--format", "json", MODEL, "--session", SESSION, ARGS),
    same_folder=True,
    native="opencode-linux-x64/bin/opencode",
    memory=630 * MIB,
    writes=("~/.local/share/opencode", "~/.local/state/opencode", "~/.config/opencode", "~/.cache/opencode"),
    env={
        "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    },
)  # fmt: skip
