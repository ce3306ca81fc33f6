"""A server that takes webhooks: it keeps what it hears and answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Heard(NamedTuple):
    """One call."""

    path: str
    headers: dict[str, str]
    body: bytes


class HookServer:
    """Listens at once, on any free port or on one that is given. `answers`: statuses in their order, then `always`."""

    def __init__(self, port: int = 0) -> None:
        self.heard: list[Heard] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.always: tuple[int, dict[str, str]] = (204, {})
        self.before: Callable[[], None] | None = None  # called when a message was heard, before its answer
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                hooks.heard.append(Heard(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if hooks.before is not None:
                    hooks.before()
                status, headers = hooks.answers.pop(0) if hooks.answers else hooks.always
                with suppress(OSError):  # whoever asked was killed meanwhile
                    self._answer(status, headers)

            def _answer(self, status: int, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """From here on nobody listens."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def told(self, secret: str = SECRET) -> list[dict[str, object]]:
        """What was heard, each verified by the reference library."""
        return [Webhook(secret).verify(each.body, each.headers) for each in self.heard]
