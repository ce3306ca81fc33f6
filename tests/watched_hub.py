"""A server that is watched: it answers what a test says, fails as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """`items`: what it has, by id. `fault`: a status, or bytes that it gives instead. `served`: every good answer."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.fault: int | bytes | None = None
        self.tags = False  # whether it gives an ETag, and says 304
        self.odd_tag: str | None = None  # the ETag it gives then, whatever it has
        self.served: list[dict[str, dict[str, Any]]] = []
        self.asked: list[dict[str, str]] = []  # the headers of each question
        self.statuses: list[int] = []
        self.holds = threading.Event()
        self.holds.set()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append({name.lower(): value for name, value in self.headers.items()})
                hub.holds.wait(20)
                status, body = hub.answer(self.headers.get("If-None-Match"))
                hub.statuses.append(status)
                try:
                    self.send_response(status)
                    if hub.tags:
                        self.send_header("ETag", hub.tag())
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # it did not wait for the answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/tickets"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, tag: str | None) -> tuple[int, bytes]:
        if isinstance(self.fault, int):
            return self.fault, b"no"
        if self.fault is not None:
            return 200, self.fault
        if self.tags and tag == self.tag():
            return 304, b""
        self.served.append(json.loads(json.dumps(self.items)))
        return 200, json.dumps({"tickets": [{"id": name, **item} for name, item in self.items.items()]}).encode()

    def tag(self) -> str:
        return self.odd_tag or f'"{abs(hash(json.dumps(self.items)))}"'

    def close(self) -> None:
        self.holds.set()
        self._server.shutdown()
        self._server.server_close()
