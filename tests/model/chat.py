"""OpenAI chat completions: openclaw, opencode, pi, qwen, mini-swe-agent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.model.turns import IN, LAST_WORD, OUT, Asked, No, Refusal, Turn

USAGE = {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT}


def asked(_path: str, body: Mapping[str, Any]) -> Asked:
    said = body["messages"]
    return Asked(
        prompt="\n".join(_text(each) for each in said if each["role"] == "user"),
        tools=[tool["function"]["name"] for tool in body.get("tools", [])],
        answered="tool" in _since_its_word(said),
        model=body["model"],
        streamed=bool(body.get("stream")),
    )


def _since_its_word(said: list[dict[str, Any]]) -> list[str]:
    """The roles after the model's last word: openclaw adds a user's message behind what the tool answered."""
    roles = [each["role"] for each in said]
    last = max((place for place, role in enumerate(roles) if role == "assistant"), default=0)
    return roles[last:]


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def whole(one: Asked, turn: Turn) -> dict[str, Any]:
    message, reason = _message(turn)
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {**_head(one, turn, "chat.completion"), "choices": [choice], "usage": USAGE}


def events(one: Asked, turn: Turn) -> Iterator[dict[str, Any]]:
    message, reason = _message(turn)
    head = _head(one, turn, "chat.completion.chunk")
    yield {**head, "choices": [{"index": 0, "delta": message, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    yield {**head, "choices": [], "usage": USAGE}


def _head(one: Asked, turn: Turn, kind: str) -> dict[str, Any]:
    return {"id": f"c_{turn.id}", "created": 1, "model": one.model, "object": kind}


def _message(turn: Turn) -> tuple[dict[str, Any], str]:
    if turn.tool is None:
        return {"role": "assistant", "content": LAST_WORD}, "stop"
    function = {"name": turn.tool, "arguments": turn.words}
    call = {"index": 0, "id": turn.id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"


def no(kind: Refusal, seconds: int) -> No:
    status, code, message = {
        "auth": (401, "invalid_api_key", "Incorrect API key provided: stub."),
        "rate_limit": (429, "rate_limit_exceeded", f"Rate limit reached for M. Please try again in {seconds}s."),
        "error": (500, "server_error", "The server had an error while processing your request."),
        "overflow": (400, "context_length_exceeded", "This model's maximum context length is 128000 tokens."),
    }[kind]
    headers = {"retry-after": str(seconds)} if kind == "rate_limit" else {}
    return No(status, {"error": {"message": message, "type": "invalid_request_error", "code": code}}, headers)
