"""What openclaw printed with --json, read into a Result: all forms, whole, cut off, or behind diagnostics. Pure.

Gateway: `{runId, status, result: {payloads, meta}}`; `--local`: `{payloads, meta}`; `exec`: `{ok, status, final, ...}`;
failed early: `{ok: false, error: {type, message}}`. The status of the JSON decides before the exit code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.runners.failures import kind_of
from orchestrator.runners.found import cost, count, last_object, table, word
from orchestrator.runners.result import FailureKind, Result, Status
from orchestrator.runners.runner import Ended

Json = Mapping[str, Any]
STATUSES: Mapping[str, Status] = {
    "ok": "ok", "completed": "ok", "error": "error", "failed": "error", "timeout": "timeout", "timed_out": "timeout",
    "cancelled": "cancelled", "canceled": "cancelled", "aborted": "cancelled",
}  # fmt: skip
SIGNALLED = (130, 143)  # it was told to end and said so to its run before it did


def parse(ended: Ended) -> Result:
    """The result of one run; status unknown where nothing was left that can be read."""
    found = last_object(ended.stdout)
    if found is None:
        return _without_json(ended)
    if "final" in found or ("ok" in found and "error" not in found and "payloads" in found):
        return _read(found, found, found, found.get("status"), ended)
    inner = table(found.get("result")) or found
    meta = table(inner.get("meta"))
    if "payloads" not in inner and not meta:
        return _failed_early(found, ended)
    agent_meta = table(meta.get("agentMeta"))
    status = found.get("status") or ("error" if meta.get("error") else "aborted" if meta.get("aborted") else None)
    return _read(found, inner, agent_meta | {"error": meta.get("error")}, status, ended)


def _read(found: Json, said: Json, about: Json, claimed: object, ended: Ended) -> Result:
    """`said`: what holds the words; `about`: what holds model, usage and error."""
    status = STATUSES.get(str(claimed), "unknown") if claimed is not None else ("ok" if ended.code == 0 else "error")
    usage = table(about.get("usage"))
    return Result(
        status=status,
        final=status != "unknown",
        text=_text(said),
        failure_kind=_kind(status, about.get("error"), found, ended),
        run_id=word(found.get("runId")),
        session_id=word(about.get("sessionId")),
        provider=word(about.get("provider")),
        model=word(about.get("model")),
        input_tokens=count(usage.get("input")),
        cached_tokens=count(usage.get("cacheRead")),
        output_tokens=count(usage.get("output")),
        cost_usd=cost(about.get("costUsd")),
    )


def _failed_early(found: Json, ended: Ended) -> Result:
    """`origin: gateway` tells who has the run, not that it is over: only a failure of the command itself is final."""
    error = table(found.get("error"))
    status = STATUSES.get(str(found.get("status")), "error" if error or found.get("ok") is False else "unknown")
    over = status != "unknown" and found.get("origin") != "gateway" and not found.get("runId")
    return Result(
        status=status,
        final=over,
        text=word(error.get("message")) or word(found.get("summary")),
        failure_kind=_kind(status, error, found, ended),
        run_id=word(found.get("runId")),
    )


def _without_json(ended: Ended) -> Result:
    if ended.code == 0:
        return Result()
    status: Status = "cancelled" if ended.code in SIGNALLED else "unknown"
    kind = kind_of(ended.stderr)
    # Some refusals come before there is any JSON, and nothing has begun then.
    began_nothing = kind in ("busy", "unknown_agent")
    if began_nothing or status == "unknown":
        return Result("error" if began_nothing else "unknown", began_nothing, failure_kind=kind or "crash")
    return Result(status, final=True)


def _kind(status: Status, error: object, found: Json, ended: Ended) -> FailureKind | None:
    if status in ("ok", "cancelled", "unknown"):
        return None
    if status == "timeout":
        return "timeout"
    said = json.dumps(error, default=str) if error else str(found.get("summary") or "")
    return kind_of(said) or kind_of(ended.stderr) or ("timeout" if ended.code == 2 else "crash")


def _text(said: Json) -> str | None:
    """The last words: `final`, else the last payload with text, else what the user was shown."""
    if isinstance(said.get("final"), str):
        return str(said["final"])
    payloads = said.get("payloads")
    texts = [word(table(each).get("text")) for each in payloads] if isinstance(payloads, list) else []
    shown = word(table(said.get("meta")).get("finalAssistantVisibleText"))
    return next((text for text in reversed(texts) if text), shown)
