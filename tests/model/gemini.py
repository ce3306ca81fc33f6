"""Gemini generateContent, whole and streamed: gemini."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.model.turns import IN, LAST_WORD, OUT, Asked, No, Refusal, Turn

USAGE = {"promptTokenCount": IN, "candidatesTokenCount": OUT, "totalTokenCount": IN + OUT}


def asked(path: str, body: Mapping[str, Any]) -> Asked:
    said = body["contents"]
    named = re.search(r"models/([^:]+):", path)
    return Asked(
        prompt="\n".join(part.get("text", "") for each in said if each.get("role") == "user" for part in each["parts"]),
        tools=[made["name"] for tool in body.get("tools", []) for made in tool.get("functionDeclarations", [])],
        answered=any("functionResponse" in part for part in said[-1]["parts"]),
        model=named[1] if named else "M",
        streamed="streamGenerateContent" in path,
    )


def whole(one: Asked, turn: Turn) -> dict[str, Any]:
    part = {"functionCall": {"name": turn.tool, "args": turn.arguments}} if turn.tool else {"text": LAST_WORD}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": one.model}


def events(one: Asked, turn: Turn) -> Iterator[dict[str, Any]]:
    yield whole(one, turn)


def no(kind: Refusal, seconds: int) -> No:
    status, name, message = {
        "auth": (401, "UNAUTHENTICATED", "API key not valid. Please pass a valid API key."),
        "rate_limit": (429, "RESOURCE_EXHAUSTED", f"You exceeded your current quota. Please retry in {seconds}s."),
        "error": (500, "INTERNAL", "An internal error has occurred."),
        "overflow": (400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens."),
    }[kind]
    wait = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds}s"}]
    details = wait if kind == "rate_limit" else []
    return No(status, {"error": {"code": status, "message": message, "status": name, "details": details}}, {})
