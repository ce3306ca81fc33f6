"""A model for real agent programs in tests: OpenAI chat completions over loopback, streamed, without a network.

It answers the first call of a run with one tool call that runs the commands of the prompt, and every later one with a
last word. Nothing is decided but by what the request holds.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LAST_WORD = "All of it is handed in."


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def commands(prompt: str) -> str:
    """A shell script that hands a result in with curl, by the address and the token's file that the prompt names."""
    conf = re.search(r"/[^\s\"'`]+/attempts/\d+/curl\.conf", prompt)
    task = re.search(r"http://[^\s\"'`]+/api/projects/[\w.-]+/tasks/\d+", prompt)
    assert conf and task, f"the prompt names both: {prompt}"
    says = (
        ("status", {"status": "working"}),
        ("outputs", {"type": "document", "title": "Result", "content": "hello\n"}),
        ("status", {"status": "review"}),
    )
    curl = f"curl -sS --fail-with-body --config {conf[0]} -H 'Content-Type: application/json'"
    return " && ".join(f"{curl} --data '{json.dumps(body)}' {task[0]}/{route}" for route, body in says)


class Model(BaseHTTPRequestHandler):
    """One request: a tool call as long as no tool has answered, then the last word."""

    requests: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(body)
        said = body["messages"]
        prompt = "\n".join(text_of(each) for each in said if each["role"] == "user")
        names = [tool["function"]["name"] for tool in body.get("tools", [])]
        delta: dict[str, Any] = {"role": "assistant", "content": LAST_WORD}
        reason = "stop"
        shell = next((name for name in ("exec", "bash") if name in names), None)
        if shell and not any(each["role"] == "tool" for each in said):
            arguments = json.dumps({"command": commands(prompt)})
            call = {
                "index": 0,
                "id": "call_1",
                "type": "function",
                "function": {"name": shell, "arguments": arguments},
            }
            delta, reason = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
        self._answers(body, delta, reason)

    def _answers(self, body: dict[str, Any], delta: dict[str, Any], reason: str) -> None:
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        head = {"id": "c1", "created": 1, "model": body.get("model", "M")}
        self.send_response(200)
        if body.get("stream"):
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            kind = {"object": "chat.completion.chunk"}
            for choices, more in (
                ([{"index": 0, "delta": delta, "finish_reason": None}], {}),
                ([{"index": 0, "delta": {}, "finish_reason": reason}], {}),
                ([], {"usage": usage}),
            ):
                self.wfile.write(
                    b"data: " + json.dumps({**head, **kind, "choices": choices, **more}).encode() + b"\n\n"
                )
            self.wfile.write(b"data: [DONE]\n\n")
        else:
            choice = {"index": 0, "message": delta, "finish_reason": reason}
            answer = json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        self.close_connection = True

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def model() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A running model: its port, and the requests it got."""
    seen: list[dict[str, Any]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Seen", (Model,), {"requests": seen}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
