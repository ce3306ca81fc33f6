"""uvicorn's two HTTP parsers with the limits of `orchestrator.connections`: httptools where it is, else h11."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from orchestrator.connections import Limits, Watched


class H11Connection(Watched, H11Protocol):
    """h11 limits heads, chunk sizes and trailers by itself."""

    def data_received(self, data: bytes) -> None:
        """Count what comes before a body only."""
        if not self._before_body():
            self._aside = -len(data)
        super().data_received(data)
        if not self._before_body():
            self._aside = 0

    def _before_body(self) -> bool:
        return self.conn.their_state.__name__ == "IDLE"


def protocol(limits: Limits) -> type[asyncio.Protocol]:
    """The class of a server's connections."""
    try:
        from orchestrator.parser_httptools import HttpToolsConnection as Best
    except ImportError:  # it is not built for every Python
        return h11_protocol(limits)
    return type("Connection", (Best,), {"limits": limits})


def h11_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """The same with h11."""
    return type("Connection", (H11Connection,), {"limits": limits})
