"""OpenAI responses: codex."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.model import chat
from tests.model.turns import IN, LAST_WORD, OUT, Asked, No, Refusal, Turn

USAGE = {
    "input_tokens": IN, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": OUT,
    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": IN + OUT,
}  # fmt: skip


def asked(_path: str, body: Mapping[str, Any]) -> Asked:
    said = body["input"]
    return Asked(
        prompt="\n".join(
            part.get("text", "") for each in said if each.get("role") == "user" for part in each["content"]
        ),
        tools=[tool.get("name", "") for tool in body.get("tools", [])],
        answered=said[-1]["type"] == "function_call_output",
        model=body["model"],
        streamed=bool(body.get("stream")),
    )


def whole(one: Asked, turn: Turn) -> dict[str, Any]:
    return {
        "id": f"r_{turn.id}",
        "object": "response",
        "model": one.model,
        "status": "completed",
        "output": [_item(turn)],
        "usage": USAGE,
    }


def events(one: Asked, turn: Turn) -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "response": {"id": f"r_{turn.id}", "status": "in_progress"}}
    yield {"type": "response.output_item.done", "output_index": 0, "item": _item(turn)}
    yield {"type": "response.completed", "response": whole(one, turn)}


def _item(turn: Turn) -> dict[str, Any]:
    if turn.tool is None:
        text = {"type": "output_text", "text": LAST_WORD, "annotations": []}
        return {"type": "message", "id": f"m_{turn.id}", "role": "assistant", "content": [text]}
    return {
        "type": "function_call",
        "id": f"f_{turn.id}",
        "call_id": turn.id,
        "name": turn.tool,
        "arguments": turn.words,
    }


def no(kind: Refusal, seconds: int) -> No:
    if kind != "rate_limit":
        return chat.no(kind, seconds)
    error = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "pro"}
    ends = {"resets_at": int(time.time()) + seconds, "resets_in_seconds": seconds}
    return No(429, {"error": error | ends}, {"retry-after": str(seconds)})
