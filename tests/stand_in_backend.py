"""A calendar backend for tests, on real HTTP: it keeps slots and tokens, and fails in every way it is told to.

It answers in the shapes that are recorded in `tests/backends/`, and writes down whatever it is asked.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Fault = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Backend:
    """Slots by agent, a token that counts up, and the faults that are next. `old`: it gives no tokens."""

    schedules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    date: str | None = None
    old: bool = False
    number: int = 0
    changes: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # since that number
    asked: list[Asked] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)  # one a request
    broken: Fault | None = None  # every request, until it is taken away
    broken_paths: dict[str, Fault] = field(default_factory=dict)  # ... whose path has this in it
    statuses: dict[str, str] = field(default_factory=dict)
    real: dict[str, int] = field(default_factory=dict)  # virtual id → the id it gets when it is told of

    # --- what a test does with it -----------------------------------------------------------------------------------

    def change(self, *changes: dict[str, Any]) -> None:
        """Change the schedule, and know it as a diff."""
        self.changes[self.number] = list(changes)
        self.number += 1
        for each in changes:
            listed = self.schedules.setdefault(each["agent"], [])
            if each["op"] == "add":
                listed.append(dict(each["slot"]))
                continue
            index = next(
                i for i, slot in enumerate(listed) if each["slotId"] in (slot.get("id"), slot.get("virtual_id"))
            )
            if each["op"] == "remove":
                listed.pop(index)
            else:
                listed[index] |= each["patch"]

    def of(self, path: str, method: str | None = None) -> list[Asked]:
        """The requests whose path has this in it."""
        return [each for each in self.asked if path in each.path and method in (None, each.method)]

    @property
    def synced(self) -> list[str | None]:
        """With which token it was asked for schedules."""
        return [each.query.get("since") for each in self.of("/calendar/sync")]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Which slot was said to be what, in the order it came."""
        return [
            (unquote(each.path.split("/calendar/slots/")[1].removesuffix("/agent-update")), each.body["status"])
            for each in self.of("/agent-update")
        ]

    def slot(self, agent: str, number: int) -> dict[str, Any]:
        return next(slot for slot in self.schedules[agent] if slot["id"] == number)

    # --- what it answers ----------------------------------------------------------------------------------------

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        length = int(request.headers.get("Content-Length") or 0)
        body = json.loads(request.rfile.read(length)) if length else None
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.command, url.path, query, headers, body))
        fault = next((each for part, each in self.broken_paths.items() if part in url.path), self.broken)
        if fault is None and self.faults:
            fault = self.faults.pop(0)
        if fault is not None:
            fault(request)
        else:
            self._answer(request, self.asked[-1])

    def _answer(self, request: BaseHTTPRequestHandler, asked: Asked) -> None:
        if asked.path == "/calendar/sync":
            says(request, 200, self._schedule(asked.query.get("since")))
        elif asked.path == "/calendar/day":
            says(request, 200, {"slots": self.schedules.get(asked.headers.get("x-agent-id", ""), [])})
        elif asked.path == "/calendar/agent/status" and asked.method == "GET":
            says(request, 200, {"status": self.statuses.get(asked.query["agent_id"], "idle")})
        elif asked.path == "/calendar/agent/status":
            self.statuses[asked.body["agent_id"]] = asked.body["status"]
            says(request, 200, {})
        elif asked.path == "/monitor/server/heartbeat":
            says(request, 200, {})
        elif found := re.fullmatch(r"/calendar/slots/(virtual/)?([^/]+)/agent-update", asked.path):
            self._update(request, unquote(found[2]), asked.body, virtual=bool(found[1]))
        else:
            says(request, 404, {"detail": "Not Found"})

    def _schedule(self, since: str | None) -> dict[str, Any]:
        if self.old:
            return {"schedules": self.schedules, "date": self.date}
        token = {"syncToken": f"t{self.number}"}
        if since is None:
            return {"full": True, "schedules": self.schedules, **token}
        diff = [change for number in range(int(since[1:]), self.number) for change in self.changes[number]]
        return {"full": False, "diff": diff, **token}

    def _update(self, request: BaseHTTPRequestHandler, name: str, body: dict[str, Any], *, virtual: bool) -> None:
        for slots in self.schedules.values():
            for slot in slots:
                if name == (slot.get("virtual_id") if virtual else str(slot.get("id"))):
                    slot |= body
                    if virtual and name in self.real:
                        slot["id"] = self.real[name]
                    says(request, 200, {"id": slot.get("id"), "status": slot["status"]})
                    return
        says(request, 404, {"detail": "Slot not found"})


def says(request: BaseHTTPRequestHandler, status: int, document: Any) -> None:
    """Answer with JSON, or with text as it is."""
    raw = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    request.send_response(status)
    request.send_header("Content-Type", "text/html" if isinstance(document, str) else "application/json")
    request.send_header("Content-Length", str(len(raw)))
    request.end_headers()
    request.wfile.write(raw)


def fault(status: int, document: Any = None) -> Fault:
    """A fault that answers so."""
    return lambda request: says(request, status, {} if document is None else document)


def half(request: BaseHTTPRequestHandler) -> None:
    """Says how long it is, and ends in the middle."""
    request.send_response(200)
    request.send_header("Content-Length", "5000")
    request.end_headers()
    request.wfile.write(b'{"full": true, "schedules": {"ada": [')
    request.wfile.flush()
    request.connection.close()


def slow(seconds: float) -> Fault:
    """Says nothing for so long."""

    def hangs(request: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        says(request, 500, {})

    return hangs


def drops(request: BaseHTTPRequestHandler) -> None:
    """Hangs up."""
    request.connection.close()


@contextmanager
def serving(backend: Backend, port: int = 0) -> Iterator[str]:
    """The backend at an address, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):
                backend(self)

        do_POST = do_PATCH = do_GET

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer.daemon_threads = True
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
