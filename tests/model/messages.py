"""Anthropic messages: claude."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.model.turns import IN, LAST_WORD, OUT, Asked, No, Refusal, Turn

USAGE = {"input_tokens": IN, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": OUT}


def asked(_path: str, body: Mapping[str, Any]) -> Asked:
    said = [(each["role"], part) for each in body["messages"] for part in _parts(each["content"])]
    return Asked(
        prompt="\n".join(part.get("text", "") for role, part in said if role == "user"),
        tools=[tool["name"] for tool in body.get("tools", [])],
        answered=any(part["type"] == "tool_result" for part in _parts(body["messages"][-1]["content"])),
        model=body["model"],
        streamed=bool(body.get("stream")),
    )


def _parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def whole(one: Asked, turn: Turn) -> dict[str, Any]:
    return {**_head(one, turn), "content": [_block(turn)], "stop_reason": _reason(turn)}


def events(one: Asked, turn: Turn) -> Iterator[dict[str, Any]]:
    block = _block(turn)
    begun = {**block, "input": {}} if turn.tool else {**block, "text": ""}
    delta = (
        {"type": "input_json_delta", "partial_json": turn.words}
        if turn.tool
        else {"type": "text_delta", "text": LAST_WORD}
    )
    yield {"type": "message_start", "message": {**_head(one, turn), "content": [], "stop_reason": None}}
    yield {"type": "content_block_start", "index": 0, "content_block": begun}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": _reason(turn)}, "usage": {"output_tokens": OUT}}
    yield {"type": "message_stop"}


def _head(one: Asked, turn: Turn) -> dict[str, Any]:
    return {
        "id": f"msg_{turn.id}", "type": "message", "role": "assistant", "model": one.model, "stop_sequence": None,
        "usage": USAGE,
    }  # fmt: skip


def _block(turn: Turn) -> dict[str, Any]:
    if turn.tool is None:
        return {"type": "text", "text": LAST_WORD}
    return {"type": "tool_use", "id": turn.id, "name": turn.tool, "input": turn.arguments}


def _reason(turn: Turn) -> str:
    return "tool_use" if turn.tool else "end_turn"


def no(kind: Refusal, seconds: int) -> No:
    status, name, message = {
        "auth": (401, "authentication_error", "invalid x-api-key"),
        "rate_limit": (429, "rate_limit_error", "This request would exceed your account's rate limit."),
        "error": (500, "api_error", "Internal server error"),
        "overflow": (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    }[kind]
    reset = {"retry-after": str(seconds), "anthropic-ratelimit-unified-reset": str(int(time.time()) + seconds)}
    headers = reset if kind == "rate_limit" else {}
    return No(status, {"type": "error", "error": {"type": name, "message": message}}, headers)
