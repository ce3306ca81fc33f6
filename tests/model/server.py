"""The server: one address for all dialects, chosen by the path that is asked. Loopback only."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from tests.model import chat, gemini, messages, responses
from tests.model.turns import Refusal, Script, hand_in, turn

RESET = 3600  # seconds that a rate limit is said to last
DIALECTS: Mapping[str, ModuleType] = {
    "/chat/completions": chat, "/responses": responses, "/messages": messages,
    ":generateContent": gemini, ":streamGenerateContent": gemini,
}  # fmt: skip


@dataclass
class Model:
    """A running model: where it is, what it was asked, and what it is ordered to do."""

    script: Script = hand_in
    refuses: Refusal | None = None
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Handler(BaseHTTPRequestHandler):
    """One request, read in its dialect and answered in the same."""

    model: Model

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = urlsplit(self.path).path
        dialect = next((DIALECTS[end] for end in DIALECTS if path.endswith(end)), None)
        if dialect is None:  # a question beside the work, such as how many tokens something has
            return self._sends(404, {"error": {"message": "not here"}})
        self.model.requests.append(body)
        refuses = self.model.refuses
        if refuses == "hang":
            self.model.over.wait()
            return None
        if refuses:
            no = dialect.no(refuses, RESET)
            return self._sends(no.status, no.body, no.headers)
        asked = dialect.asked(path, body)
        said = turn(asked, self.model.script)
        if not asked.streamed:
            return self._sends(200, dialect.whole(asked, said))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in dialect.events(asked, said):
            name = f"event: {event['type']}\n" if "type" in event else ""
            self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
        if dialect is chat:
            self.wfile.write(b"data: [DONE]\n\n")
        return None

    def do_GET(self) -> None:
        self._sends(404, {"error": {"message": "not here"}})

    def _sends(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Type": "application/json", "Content-Length": len(text)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: what was asked is in `requests`."""


@contextmanager
def model(**orders: Any) -> Iterator[Model]:
    """A running model with these orders, until the end of the block; `hang` ends then, too."""
    running = Model(**orders)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"model": running}))
    server.daemon_threads = True
    running.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
