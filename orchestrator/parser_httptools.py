"""httptools with the limits of `orchestrator.connections`: it has none of its own, neither of heads nor of trailers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from orchestrator.connections import Watched

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application


class HttpToolsConnection(Watched, HttpToolsProtocol):
    """Counts what is no body. `httptools` calls the `on_…` while it is fed."""

    _answering: RequestResponseCycle | None = None

    def on_headers_complete(self) -> None:
        """The head is whole. One that came in a single piece is measured here."""
        if self._aside > self.limits.head_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self.limits.head_bytes:
                raise ValueError("too large")  # httptools makes it a parser's error: see send_400_response
        self._aside = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Each byte of body earns one of framing, so that many small chunks are no crime."""
        self._aside -= 2 * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """What follows belongs to the next request."""
        self._aside = 0
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """uvicorn tells the request that came last; the one that is being answered may be another, in front of it."""
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)
