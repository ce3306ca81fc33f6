"""What openclaw printed with --json, read into a Result: all forms, whole, cut off, or behind diagnostics. Pure.

Gateway: `{runId, status, result: {payloads, meta}}`; `--local`: `{payloads, meta}`; `exec`: `{ok, status, final, ...}`;
failed early: `{ok: false, error: {type, message}}`. The status of the JSON decides before the exit code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.runners.result import FailureKind, Result, Status
from orchestrator.runners.runner import Ended

Json = Mapping[str, Any]
STATUSES: Mapping[str, Status] = {
    "ok": "ok", "completed": "ok", "error": "error", "failed": "error", "timeout": "timeout", "timed_out": "timeout",
    "cancelled": "cancelled", "canceled": "cancelled", "aborted": "cancelled",
}  # fmt: skip
SIGNALLED = (130, 143)  # it was told to end and said so to its run before it did
KINDS: tuple[tuple[FailureKind, str], ...] = (
    (
        "busy",
        r"state ownership|owned by another|state (?:dir\w*|folder) is (?:locked|in use)|already running|in_flight",
    ),
    ("unknown_agent", r"unknown agent"),
    ("rate_limit", r"rate.?limit|too many requests|\b429\b|quota|overloaded|\b529\b|temporarily disabled"),
    ("auth", r"\b401\b|\b403\b|unauthori[sz]ed|authentication|api.?key|no credentials|forbidden|auth_"),
    ("context", r"context.{0,12}(?:overflow|length|window|limit)|prompt is too long|maximum context"),
    ("timeout", r"time(?:d )?.?out|deadline"),
    ("network", r"econn|enotfound|network|socket|connection|gateway (?:closed|not|is not|unreachable)|fetch failed"),
    ("refused", r"refus|rejected|not allowed|denied|admin"),
)


def parse(ended: Ended) -> Result:
    """The result of one run; status unknown where nothing was left that can be read."""
    found = last_object(ended.stdout)
    if found is None:
        return _without_json(ended)
    if "final" in found or ("ok" in found and "error" not in found and "payloads" in found):
        return _read(found, found, found, found.get("status"), ended)
    inner = _table(found.get("result")) or found
    meta = _table(inner.get("meta"))
    if "payloads" not in inner and not meta:
        return _failed_early(found, ended)
    agent_meta = _table(meta.get("agentMeta"))
    status = found.get("status") or ("error" if meta.get("error") else "aborted" if meta.get("aborted") else None)
    return _read(found, inner, agent_meta | {"error": meta.get("error")}, status, ended)


def last_object(text: str) -> dict[str, Any] | None:
    """The last whole JSON object that begins a line; diagnostics around it are passed over."""
    decoder = json.JSONDecoder()
    end, found = 0, None
    for begin in _beginnings(text):
        if begin < end:
            continue
        try:
            value, end = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            continue
        found = value if isinstance(value, dict) else found
    return found


def _beginnings(text: str) -> Iterator[int]:
    return (match.start() for match in re.finditer(r"^\{", text, re.MULTILINE))


def _read(found: Json, said: Json, about: Json, word: object, ended: Ended) -> Result:
    """`said`: what holds the words; `about`: what holds model, usage and error."""
    status = STATUSES.get(str(word), "unknown") if word is not None else ("ok" if ended.code == 0 else "error")
    usage = _table(about.get("usage"))
    return Result(
        status=status,
        final=status != "unknown",
        text=_text(said),
        failure_kind=_kind(status, about.get("error"), found, ended),
        run_id=_word(found.get("runId")),
        session_id=_word(about.get("sessionId")),
        provider=_word(about.get("provider")),
        model=_word(about.get("model")),
        input_tokens=_count(usage.get("input")),
        cached_tokens=_count(usage.get("cacheRead")),
        output_tokens=_count(usage.get("output")),
        cost_usd=_cost(about.get("costUsd")),
    )


def _failed_early(found: Json, ended: Ended) -> Result:
    """`origin: gateway` tells who has the run, not that it is over: only a failure of the command itself is final."""
    error = _table(found.get("error"))
    status = STATUSES.get(str(found.get("status")), "error" if error or found.get("ok") is False else "unknown")
    over = status != "unknown" and found.get("origin") != "gateway" and not found.get("runId")
    return Result(
        status=status,
        final=over,
        text=_word(error.get("message")) or _word(found.get("summary")),
        failure_kind=_kind(status, error, found, ended),
        run_id=_word(found.get("runId")),
    )


def _without_json(ended: Ended) -> Result:
    if ended.code == 0:
        return Result()
    status: Status = "cancelled" if ended.code in SIGNALLED else "unknown"
    kind = _kind_of(ended.stderr)
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
    return _kind_of(said) or _kind_of(ended.stderr) or ("timeout" if ended.code == 2 else "crash")


def _kind_of(text: str) -> FailureKind | None:
    return next((kind for kind, words in KINDS if re.search(words, text, re.IGNORECASE)), None)


def _text(said: Json) -> str | None:
    """The last words: `final`, else the last payload with text, else what the user was shown."""
    if isinstance(said.get("final"), str):
        return str(said["final"])
    payloads = said.get("payloads")
    texts = [_word(_table(each).get("text")) for each in payloads] if isinstance(payloads, list) else []
    shown = _word(_table(said.get("meta")).get("finalAssistantVisibleText"))
    return next((text for text in reversed(texts) if text), shown)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    whole = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53
    return int(value) if whole and isinstance(value, int | float) else None


def _cost(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9 else None
