"""The result object in which claude and qwen tell of a run: `{type: "result", is_error, result, usage, ...}`. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.runners.failures import kind_of
from orchestrator.runners.found import count, table, whole, word
from orchestrator.runners.result import FailureKind, Result
from orchestrator.runners.runner import Ended


def found_in(text: str) -> dict[str, Any] | None:
    """The last result object of an output: alone on a line, or in an array on a line."""
    for line in reversed(text.split("\n")):
        if line.lstrip().startswith(("{", "[")):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            of = [
                each for each in (value if isinstance(value, list) else [value]) if table(each).get("type") == "result"
            ]
            if of:
                return table(of[-1])
    return None


def _first(errors: object) -> str | None:
    return word(errors[0]) if isinstance(errors, list) and errors else None


def read(found: Mapping[str, Any], ended: Ended) -> Result:
    """Its own word goes before the exit code: an interrupted claude exits with 0. Refused tools are told even if all else went well."""
    failed = found.get("is_error") is not False
    text = word(found.get("result")) or word(table(found.get("error")).get("message")) or _first(found.get("errors"))
    said = " ".join(filter(None, (text, word(found.get("subtype")))))
    usage = table(found.get("usage"))
    refused: FailureKind | None = "refused" if found.get("permission_denials") else None
    return Result(
        status="error" if failed else "ok",
        final=True,
        text=text or word(found.get("subtype")),
        failure_kind=(kind_of(said) or kind_of(ended.stderr) or refused or "crash") if failed else refused,
        session_id=word(found.get("session_id")),
        input_tokens=whole((usage.get("input_tokens"), usage.get("cache_creation_input_tokens"))),
        cached_tokens=count(usage.get("cache_read_input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
    )
