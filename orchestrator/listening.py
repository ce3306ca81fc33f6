"""The socket and the web server of one daemon: bound before anything is claimed, stopped when we say so.

Knows no route; takes no signals, the daemon does.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import uvicorn

from orchestrator import connections, parsers
from orchestrator.connections import Limits
from orchestrator.exits import MISSING, Exit

if TYPE_CHECKING:
    from orchestrator.config_api import Api

BACKLOG = 2048
GRACE_SECONDS = 5  # for requests under way when the server stops


def bound(api: Api) -> socket.socket:
    """A listening socket on the configured address; callers wait in its backlog until the server takes them."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            api.host or None, api.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise Exit(f"api.host {api.host!r} is no address of this machine: {error.strerror}", MISSING) from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise Exit(f"api.host {api.host!r} is no address of this machine: {error.strerror}", MISSING) from None
        raise Exit(
            f"cannot listen on {api.host}:{api.port}: {error.strerror}; "
            "stop what listens there, or set api.port (ORCH_API__PORT) to another one",
            MISSING,
        ) from None
    listener.setblocking(False)
    return listener


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The daemon decides what a signal means."""
        yield

    async def main_loop(self) -> None:
        """Once a second what uvicorn does ten times a second, so that an idle daemon is idle."""
        while not await self.on_tick(0):
            connections.sweep(self.server_state, asyncio.get_running_loop().time())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 1)

    def stop(self) -> None:
        """Take no new requests; finish those under way."""
        self.should_exit = True
        self._told.set()


def server(app: Any, api: Api) -> Server:
    """The server for an application. Give `serve` the socket of `bound`."""
    return Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            log_level="error",  # or every line of rubbish that somebody sends is a line of ours
            http=parsers.protocol(Limits(head_seconds=api.head_seconds, most=api.max_connections)),
            lifespan="off",
            loop="none",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            ssl_certfile=str(api.tls_cert) if api.tls_cert else None,
            ssl_keyfile=str(api.tls_key) if api.tls_key else None,
            proxy_headers=False,
        )
    )
